"""`fleet board provision`."""

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fleet.cli import board_progress
from fleet.cli.base import Command
from fleet.cli.options import confirm, dry_run_option, fleet_option, output_option, yes_option
from fleet.cli.output import Column, Output, View, moment
from fleet.cli.session import Session, opened
from fleet.cli.types import split_words
from fleet.errors import NotFoundError, PartlyFailedError, UsageError

if TYPE_CHECKING:
    from fleet.boards import many
    from fleet.boards.provision import Plan, Provisioned
    from fleet.boards.provision_many import Match, Outcome
    from fleet.boards.spec import NodeSpec
    from fleet.boards.ticket import Ticketed
    from fleet.boards.wish import Wish
    from fleet.errors import FleetError
    from fleet.flashing.ports import Port

_COLOURS = {"failed": "red", "absent": "yellow", "new": "green", "renewed": "green"}
PROVISIONED = View(
    "boards",
    (
        Column("node", "NODE"),
        Column("port", "PORT"),
        Column("action", "DONE", colour=lambda action: _COLOURS.get(action, "")),
        Column("kind", "KIND"),
        Column("board", "BOARD"),
        Column("firmware", "FIRMWARE"),
        Column("reason", "REASON", wrap=True),
        Column("hint"),
        Column("mac"),
        Column("boot"),
        Column("certificate_until"),
    ),
    id="node",
)
PSK_VARIABLE = "LUMENAIR_WIFI_PSK"
_PSK_MAX = 256  # characters of a file that holds one line
_NO_ROOT = "The fleet has no root of trust: what is provisioned now takes no updates. `fleet key init` makes one first."
_NOTHING = dict.fromkeys((column.key for column in PROVISIONED.columns), None)
_TEXTS = ("kind", "board", "wifi_ssid", "tz", "site", "lat", "lon")  # options that are values of a node as they are
_LISTS = ("brokers", "ntp")


@click.command(
    "provision",
    cls=Command,
    examples=(
        "fleet board provision air-1 --kind air --wifi-ssid city --wifi-psk-file psk.txt",
        "fleet board provision light-7 --port /dev/ttyUSB1 --board esp32_light --wifi-ssid city --site mitte pole=7",
        "fleet board provision --from boards.csv --wifi-ssid city --yes --json",
        "fleet board provision air-2 --kind air --wifi-ssid city --flash --micropython 1.26.1",
        "fleet board provision --claim b7 --all --kind air --wifi-ssid city",
    ),
)
@click.argument("words", metavar="[NODE] [TAG=VALUE]...", nargs=-1)
@click.option("--from", "file", metavar="FILE", type=click.Path(path_type=Path), help="Many boards: CSV, or TOML.")
@click.option("--port", "ports", metavar="PORT", multiple=True, help="A path, pattern or URL; else what is attached.")
@click.option("--all", "every", is_flag=True, help="With --claim: every board that is attached.")
@click.option("--flash", is_flag=True, help="Flash MicroPython and our firmware in the same run; for blank boards.")
@click.option("--micropython", metavar="FILE|VERSION", default="", help="With --flash: the base image.")
@click.option("--claim", "batch", metavar="BATCH", help="A ticket instead: the board claims its identity by itself.")
@click.option("--kind", metavar="KIND", help="air or light; else as the pin map says.")
@click.option("--board", metavar="NAME", help="The pin map; else the one for kind and chip.")
@click.option("--wifi-ssid", metavar="NAME", envvar="LUMENAIR_WIFI_SSID", help="The network; else LUMENAIR_WIFI_SSID.")
@click.option(
    "--wifi-psk-file",
    "psk_file",
    metavar="FILE",
    type=click.Path(path_type=Path, allow_dash=True),
    help=f"Its key is the first line; - is stdin; else {PSK_VARIABLE}; without either the network is open.",
)
@click.option("--broker", "brokers", metavar="HOST:PORT", multiple=True, help="In order; else as fleet.toml says.")
@click.option("--ntp", metavar="HOST", multiple=True, help="Time servers; else as fleet.toml says.")
@click.option("--tz", metavar="ZONE", help="POSIX time zone; else as fleet.toml says.")
@click.option("--site", metavar="NAME", help="Where it will hang: the tag site.")
@click.option("--lat", metavar="DEGREES", help="North, as a tag.")
@click.option("--lon", metavar="DEGREES", help="East, as a tag.")
@yes_option
@dry_run_option
@output_option
@fleet_option
def command(
    words: tuple[str, ...],
    file: Path | None,
    psk_file: Path | None,
    batch: str | None,
    out: Output,
    directory: Path,
    **values: Any,
) -> None:
    """Make a node of a board.

    Its key is made here, goes onto the board, and is kept nowhere else; the node is registered as accepted. Only the
    report of the node itself counts as success. A node that exists gets a new certificate, and the old one is revoked:
    that needs --yes. Whatever interrupts this, doing the same again completes it.

    With --from the boards of a file: CSV with a heading, or TOML with [[board]] tables and [defaults]. The columns are
    node, mac or port, kind, board, brokers, ntp, wifi_ssid, wifi_psk, tz, site, lat, lon and tag.NAME. The whole
    file is checked first; boards that are done are left alone; exit code 6 when some are not.

    With --claim no node is registered: the board asks for its identity where it hangs, and waits as pending until
    `fleet node accept`. NODE is then the id that it would like.
    """
    from fleet.boards import spec

    named, tags = split_words(words)
    texts = {name: values[name] for name in _TEXTS if values[name]}
    texts |= {name: " ".join(values[name]) for name in _LISTS if values[name]}
    texts |= {f"{spec.TAG}{name}": value for name, value in tags.items()}
    psk = read_psk(psk_file, os.environ)
    shared = spec.of({**texts, **({"wifi_psk": psk} if psk else {})}, _option)
    if (file and named) or len(named) > 1 or not (named or file or batch):
        raise UsageError("name one node, or a file of many with --from", hint="fleet board provision --help")
    with opened(directory) as session:
        job = _Job(session, out, **{name: values[name] for name in _Job.OPTIONS})
        out.note("" if job.takes_updates else _NO_ROOT)
        if file:
            job.many(file, shared)
            return
        one = spec.of({"node": named[0]}, "{}".format).over(shared) if named else shared
        job.tickets(one, batch) if batch else job.one(one)


class _Job:
    """What one call is to do."""

    OPTIONS = ("ports", "every", "flash", "micropython", "yes", "dry_run")

    def __init__(self, session: Session, out: Output, **options: Any) -> None:
        from fleet.boards.provision import desk

        self._desk = desk(session.config, session.store)
        self._out = out
        self._ports: tuple[str, ...] = options["ports"]
        self._every: bool = options["every"]
        self._flash: bool = options["flash"]
        self._micropython: str = options["micropython"]
        self._yes: bool = options["yes"]
        self._dry_run: bool = options["dry_run"]

    @property
    def takes_updates(self) -> bool:
        """Whether nodes that are made now will ever take an update."""
        return self._desk.provisioner.takes_updates

    def one(self, spec: "NodeSpec") -> None:
        """One board."""
        from fleet.boards import attached, provision

        if len(self._ports) > 1 or self._every:
            raise UsageError("one node is one board", hint="name one --port, or many nodes with --from")
        url = attached.one(self._ports[0] if self._ports else None).url
        if self._flash:
            self._flash_one(url, spec)
            return
        planned = provision.plan(self._desk, provision.look(url), spec)
        if self._dry_run:
            self._show([_planned(planned)])
            return
        for doubt in planned.doubts:
            confirm(doubt, self._yes)
        with self._told(spec.node):
            done = provision.carry_out(self._desk, planned, lambda step: self._say(spec.node, step))
        self._show([_done(done)])
        self._out.note(f"Next: fleet node show {spec.node}, or fleet board monitor --port {url}.")

    def _flash_one(self, url: str, spec: "NodeSpec") -> None:
        from fleet.boards.probe import Facts
        from fleet.boards.provision import Seen
        from fleet.boards.provision_many import Match

        with self._told(spec.node):
            (outcome,) = self._flash_all([Match(spec, Seen(url, Facts()))])
        if outcome.error is not None:
            raise outcome.error
        self._show([_outcome(outcome)])

    def _flash_all(self, matches: "Sequence[Match]") -> "list[Outcome]":
        from fleet.boards.provision_flash import flash_all

        wish = self._wish()
        with board_progress.shown([one.spec.node for one in matches if one.seen], self._out) as progress:
            return flash_all(self._desk, matches, wish, progress.step, progress.end)

    def many(self, file: Path, shared: "NodeSpec") -> None:
        """The boards of a file."""
        from fleet.boards import attached, batch, provision, provision_flash, provision_many

        specs = batch.read(file, shared)
        named = [spec.port for spec in specs if spec.port]
        wanted = [*self._ports, *named] if self._ports or len(named) == len(specs) else []
        urls = [port.url for port in attached.chosen(wanted, every=True)]
        look = provision_flash.look if self._flash else provision.look
        with board_progress.awaited("looking who is there", self._out):
            found = provision_many.look_at_all(urls, look)
        matches = provision_many.match(specs, found)
        for stranger in provision_many.strangers(specs, found):
            self._out.note(f"{stranger.url} ({stranger.facts.mac}) is in no line of {file.name}.")
        if self._flash:
            outcomes = self._flash_all(matches)
        elif self._dry_run:
            outcomes = provision_many.preview(self._desk, matches)
        else:
            outcomes = provision_many.provision_all(self._desk, matches, self._yes, self._say)
        self._show(map(_outcome, outcomes))
        _refuse_some({one.spec.node: one.error for one in outcomes}, "node")

    def tickets(self, spec: "NodeSpec", batch: str) -> None:
        """Boards that claim their identity by themselves."""
        import threading

        from fleet.boards import attached, many, ticket

        if self._flash:
            raise UsageError("--flash and --claim are two steps", hint="first: fleet board flash --all")
        if spec.tags or spec.brokers or spec.tz:
            raise UsageError("a ticket holds no tags, brokers or time zone", hint="fleet node set, once it is accepted")
        ports = attached.chosen(self._ports, self._every)
        if spec.node and len(ports) > 1:
            raise UsageError("one node is one board", hint="leave the id to the boards")

        def write(port: "Port") -> "Ticketed":
            return ticket.write(self._desk, port.url, spec, batch, self._dry_run)

        outcomes = list(many.each(ports, write, threading.Event()))
        if len(outcomes) == 1 and outcomes[0].error is not None:
            raise outcomes[0].error
        self._show(_ticketed(one, spec) for one in outcomes)
        _refuse_some({one.port.url: one.error for one in outcomes}, "board")
        self._out.note(f"Next: fleet node list --where 'standing=pending and batch={batch}', then fleet node accept.")

    def _show(self, rows: Iterable[Mapping[str, Any]]) -> None:
        self._out.rows(PROVISIONED, rows)
        self._out.note("Nothing was changed: this was a dry run." if self._dry_run else "")

    def _say(self, node: str, step: str) -> None:
        self._out.note(f"{node}: {step}")

    def _wish(self) -> "Wish":
        from fleet.boards import wish

        return wish.Wish(
            firmware=wish.program(None, os.environ),
            shelf=wish.shelf(self._micropython, "", os.environ),
            yes=self._yes,
            dry_run=self._dry_run,
        )

    @contextlib.contextmanager
    def _told(self, node: str) -> Iterator[None]:
        """Ctrl-C does not leave anybody in the dark about what is half done."""
        try:
            yield
        except KeyboardInterrupt:
            if self._desk.unfinished.get(node):
                self._out.note(f"{node} is not finished: run the same again to complete it.")
            raise


def _refuse_some(errors: "Mapping[str, FleetError | None]", what: str) -> None:
    """PartlyFailedError when there is an error among those of several."""
    failed = {name: error for name, error in errors.items() if error is not None}
    if failed:
        message = f"{len(failed)} of {len(errors)} {what}s {'is' if len(failed) == 1 else 'are'} not done"
        raise PartlyFailedError(message, failed, hint="run the same again: only these are done then")


def read_psk(file: Path | None, environ: Mapping[str, str]) -> str:
    """The key of the network; never from an argument, which others can see."""
    if file is None:
        return environ.get(PSK_VARIABLE, "")
    try:
        with click.open_file(str(file), encoding="utf-8") as lines:  # - is stdin
            return str(lines.readline(_PSK_MAX)).rstrip("\r\n")
    except OSError as error:
        raise NotFoundError(f"cannot read {file}", cause=error.strerror or str(error)) from error
    except UnicodeDecodeError:
        raise UsageError(f"the first line of {file} is no text") from None


def _option(name: str) -> str:
    """What a person typed to give a value of that name."""
    other: Mapping[str, str] = {"brokers": "--broker", "wifi_psk": "the key of the network"}
    plain = name.removeprefix("tag.")
    return plain if plain != name else other.get(name, f"--{name.replace('_', '-')}")


def _planned(planned: "Plan") -> Mapping[str, Any]:
    return {
        **_NOTHING,
        "node": planned.spec.node,
        "port": planned.seen.url,
        "action": planned.action,
        "kind": planned.pin_map.kind.value,
        "board": planned.pin_map.name,
        "firmware": planned.seen.facts.fw,
        "mac": planned.seen.facts.mac,
        "reason": " ".join(planned.doubts),
    }


def _done(done: "Provisioned") -> Mapping[str, Any]:
    report = done.report
    return {
        **_NOTHING,
        "node": done.node.id,
        "port": done.url,
        "action": done.action,
        "kind": done.node.kind.value,
        "board": done.node.board,
        "firmware": report.fw,
        "mac": report.mac,
        "boot": report.boot,
        "certificate_until": moment(done.node.cert_until_s),
    }


def _outcome(outcome: "Outcome") -> Mapping[str, Any]:
    if outcome.result is not None:
        return _done(outcome.result)
    if outcome.plan is not None:
        return _planned(outcome.plan)
    spec, error = outcome.spec, outcome.error
    given = {key: getattr(spec, key) or None for key in ("node", "kind", "board", "mac")}
    why = {"reason": str(error), "hint": error.hint} if error else {}
    return {**_NOTHING, **given, "port": outcome.url or spec.port or None, "action": outcome.action, **why}


def _ticketed(outcome: "many.Outcome[Ticketed]", spec: "NodeSpec") -> Mapping[str, Any]:
    row = {**_NOTHING, "node": spec.node or None, "port": outcome.port.url}
    done, error = outcome.result, outcome.error
    if error is not None:
        return {**row, "action": "failed", "reason": str(error), "hint": error.hint}
    assert done is not None
    same = {"mac": done.mac, "kind": done.pin_map.kind.value, "board": done.pin_map.name}
    firmware = done.report.fw if done.report else None
    return {**row, **same, "action": "ticket", "firmware": firmware, "certificate_until": None}
