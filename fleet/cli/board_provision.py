"""`fleet board provision`."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fleet.cli.base import Command
from fleet.cli.options import confirm, dry_run_option, fleet_option, output_option, yes_option
from fleet.cli.output import Column, Output, View, moment
from fleet.cli.session import Session, opened
from fleet.cli.types import split_words
from fleet.errors import NotFoundError, PartlyFailedError, UsageError

if TYPE_CHECKING:
    from fleet.boards.provision import Desk, Plan, Provisioned
    from fleet.boards.provision_many import Outcome
    from fleet.boards.spec import NodeSpec

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
    ),
)
@click.argument("words", metavar="[NODE] [TAG=VALUE]...", nargs=-1)
@click.option("--from", "file", metavar="FILE", type=click.Path(path_type=Path), help="Many boards: CSV, or TOML.")
@click.option("--port", "ports", metavar="PORT", multiple=True, help="A path, pattern or URL; else what is attached.")
@click.option("--kind", help="air or light; else as the pin map says.")
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
@click.option("--site", help="Where it will hang: the tag site.")
@click.option("--lat", metavar="DEGREES", help="North, as a tag.")
@click.option("--lon", metavar="DEGREES", help="East, as a tag.")
@yes_option
@dry_run_option
@output_option
@fleet_option
def command(
    words: tuple[str, ...],
    file: Path | None,
    ports: tuple[str, ...],
    psk_file: Path | None,
    yes: bool,
    dry_run: bool,
    out: Output,
    directory: Path,
    **values: Any,
) -> None:
    """Make a node of a board that runs our firmware.

    Its key is made here, goes onto the board, and is kept nowhere else; the node is registered as accepted. Only the
    report of the node itself counts as success. A node that exists gets a new certificate, and the old one is revoked:
    that needs --yes. Whatever interrupts this, doing the same again completes it.

    With --from the boards of a file: CSV with a heading, or TOML with [[board]] tables and [defaults]. The columns are
    node, mac or port, kind, board, brokers, ntp, wifi_ssid, wifi_psk, tz, site, lat, lon and tag.NAME. The whole
    file is checked first; boards that are done are left alone; exit code 6 when some are not.
    """
    from fleet.boards import spec

    named, tags = split_words(words)
    texts = {name: values[name] for name in _TEXTS if values[name]}
    texts |= {name: " ".join(values[name]) for name in _LISTS if values[name]}
    texts |= {f"{spec.TAG}{name}": value for name, value in tags.items()}
    psk = read_psk(psk_file, os.environ)
    shared = spec.of({**texts, **({"wifi_psk": psk} if psk else {})}, _option)
    if len(named) != (0 if file else 1):
        raise UsageError("name one node, or a file of many with --from", hint="fleet board provision --help")
    with opened(directory) as session:
        if file:
            _many(session, file, shared, ports, yes, dry_run, out)
        else:
            one = spec.of({"node": named[0]}, "{}".format).over(shared)
            _one(session, one, ports, yes, dry_run, out)


def _one(session: Session, spec: "NodeSpec", ports: Sequence[str], yes: bool, dry_run: bool, out: Output) -> None:
    from fleet.boards import attached, provision

    if len(ports) > 1:
        raise UsageError("one node is one board", hint="name one --port")
    desk = _desk(session)
    seen = provision.look(attached.one(ports[0] if ports else None).url)
    planned = provision.plan(desk, seen, spec)
    if dry_run:
        out.rows(PROVISIONED, [_planned(planned)])
        out.note("Nothing was changed: this was a dry run.")
        return
    for doubt in planned.doubts:
        confirm(doubt, yes)
    try:
        done = provision.carry_out(desk, planned, lambda step: out.note(f"{spec.node}: {step}"))
    except KeyboardInterrupt:
        if desk.unfinished.get(spec.node):
            out.note(f"{spec.node} is not finished: run the same again to complete it.")
        raise
    out.rows(PROVISIONED, [_done(done)])
    out.note(f"Next: fleet node show {spec.node}, or fleet board monitor --port {seen.url}.")


def _many(
    session: Session,
    file: Path,
    shared: "NodeSpec",
    ports: Sequence[str],
    yes: bool,
    dry_run: bool,
    out: Output,
) -> None:
    from fleet.boards import attached, batch, provision_many

    specs = batch.read(file, shared)
    wanted = [*ports, *(spec.port for spec in specs if spec.port)] if ports or all(s.port for s in specs) else []
    urls = [port.url for port in attached.chosen(wanted, every=True)]
    found = provision_many.look_at_all(urls)
    matches = provision_many.match(specs, found)
    for stranger in provision_many.strangers(specs, found):
        out.note(f"{stranger.url} ({stranger.facts.mac}) is in no line of {file.name}.")
    desk = _desk(session)
    if dry_run:
        outcomes = provision_many.preview(desk, matches)
        out.rows(PROVISIONED, map(_outcome, outcomes))
        out.note("Nothing was changed: this was a dry run.")
    else:
        outcomes = provision_many.provision_all(desk, matches, yes, lambda node, step: out.note(f"{node}: {step}"))
        out.rows(PROVISIONED, map(_outcome, outcomes))
    failed = {one.spec.node: str(one.error) for one in outcomes if one.error is not None}
    if failed:
        message = f"{len(failed)} of {len(outcomes)} boards are not done"
        raise PartlyFailedError(message, failed, hint="run the same again: only these are done then")


def _desk(session: Session) -> "Desk":
    from fleet.boards.provision import desk

    return desk(session.config, session.store)


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
