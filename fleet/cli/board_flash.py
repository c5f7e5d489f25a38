"""`fleet board flash`."""

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fleet.cli import board_progress, human
from fleet.cli.base import Command
from fleet.cli.board_options import LOADER, loader_option, ports_option
from fleet.cli.board_outcomes import AGAIN, refuse_alone, refuse_some, told
from fleet.cli.board_provision import read_psk
from fleet.cli.options import confirm, dry_run_option, fleet_option, output_option, yes_option
from fleet.cli.output import Column, Output, View
from fleet.cli.session import opened
from fleet.errors import UsageError

if TYPE_CHECKING:
    from fleet.boards.flash import Flashed, Notify
    from fleet.boards.many import Outcome
    from fleet.boards.wish import Wish
    from fleet.flashing.ports import Port

    Work = Callable[[Port, Notify, threading.Event], Flashed]

FAILED = "failed"
_IDENTITY = {"--wifi-ssid": "wifi_ssid", "--wifi-psk-file": "psk_file", "--broker": "brokers", "--ntp": "ntp"}
_COLOURS = {"flashed": "green", "failed": "red", "written": "yellow"}
FLASHED = View(
    "boards",
    (
        Column("port", "PORT"),
        Column("chip", "CHIP"),
        Column("mac", "MAC"),
        Column("node", "NODE"),
        Column("result", "RESULT", colour=lambda result: _COLOURS.get(result, "")),
        Column("seconds", "TIME", lambda seconds: f"{seconds:.0f} s", right=True),
        Column("written", "WRITTEN", human.size, right=True),
        Column("state", "STATE"),
        Column("usb_serial"),
        Column("flash_size"),
        Column("micropython"),
        Column("version"),
        Column("manifest"),
        Column("slot"),
        Column("kept"),
        Column("line"),
        Column("size"),
        Column("error"),
    ),
    id="port",
)
_NOTHING = dict.fromkeys((column.key for column in FLASHED.columns), None)


@click.command(
    "flash",
    cls=Command,
    examples=(
        "fleet board flash",
        "fleet board flash --micropython 1.26.1 --port /dev/ttyUSB0",
        "fleet board flash --all --micropython ESP32_GENERIC-20250911-v1.26.1.bin --json",
        "fleet board flash --node air-7 --kind air --wifi-ssid city --wifi-psk-file psk.txt",
    ),
)
@ports_option
@loader_option
@click.option(
    "--micropython", metavar="FILE|VERSION", default="", help="The base image; else the newest downloaded one."
)
@click.option("--sha256", metavar="HEX", default="", help="What the base image must have.")
@click.option(
    "--firmware", metavar="DIR", type=click.Path(path_type=Path), help="Its sources; else those of fleet itself."
)
@click.option("--kind", metavar="KIND", type=click.Choice(["air", "light"]), help="Refuse boards of another kind.")
@click.option("--board", metavar="NAME", default="", help="Refuse boards that do not fit this pin map.")
@click.option("--node", metavar="ID", help="Make it this node: key and certificate in the same run.")
@click.option("--wifi-ssid", metavar="NAME", envvar="LUMENAIR_WIFI_SSID", default="", help="With --node: its network.")
@click.option(
    "--wifi-psk-file",
    "psk_file",
    metavar="FILE",
    type=click.Path(path_type=Path, allow_dash=True),
    help="With --node: the first line is the network's key; - is stdin; else LUMENAIR_WIFI_PSK.",
)
@click.option("--broker", "brokers", metavar="HOST:PORT", multiple=True, help="With --node; else as fleet.toml says.")
@click.option("--ntp", metavar="HOST", multiple=True, help="With --node; else as fleet.toml says.")
@click.option("--force", is_flag=True, help="Write everything, whether it differs or not.")
@click.option("--erase", is_flag=True, help="Erase the whole chip first: identity, records and all.")
@yes_option
@dry_run_option
@output_option
@fleet_option
def command(ports: Sequence[str], every: bool, out: Output, directory: Path, **values: Any) -> None:
    """Put MicroPython and our firmware on boards.

    Only what differs is written, in one run of esptool, and only the report of the board itself counts as success. A
    board that has it all is left alone: after a failure run the same again. A node keeps its identity, its settings and
    its records; one whose records are not delivered yet is refused without --yes.

    With several boards exit code 6 means that some failed; the others are done.
    """
    from fleet.boards import attached, flash, wish

    _refuse_identity_without_node(values)
    environ = os.environ
    top, kind = values["firmware"], values["kind"] or ""
    chosen = attached.chosen(ports, every)
    wanted = wish.Wish(
        firmware=wish.program(top, environ),
        shelf=wish.shelf(values["micropython"], values["sha256"], environ),
        options=wish.options(**{name: values[name] for name in LOADER}),
        pins=wish.pins(top, values["board"], kind),
        **{name: values[name] for name in ("force", "erase", "yes", "dry_run")},
    )
    if wanted.erase and not wanted.dry_run:
        confirm(f"Erase {_names(chosen)}, with identity and records?", wanted.yes)
    if values["node"]:
        outcomes = _flash_node(chosen, directory, wanted, values, out)
    else:
        outcomes = _flash(chosen, lambda port, notify, stop: flash.flash(port.url, wanted, notify, environ, stop), out)
    refuse_alone(outcomes)
    out.rows(FLASHED, map(_row, outcomes))
    refuse_some(outcomes, AGAIN)
    out.note("Nothing was changed: this was a dry run." if wanted.dry_run else "")


def _refuse_identity_without_node(values: Mapping[str, Any]) -> None:
    """A network, a broker or a time server that nobody would get is a mistake; one from the environment is not."""
    given = click.get_current_context().get_parameter_source
    idle = [
        name
        for name, option in _IDENTITY.items()
        if not values["node"] and given(option) is click.core.ParameterSource.COMMANDLINE
    ]
    if idle:
        raise UsageError(f"{', '.join(idle)} without --node", hint="name the node with --node, or leave them away")


def _flash_node(
    ports: "Sequence[Port]", directory: Path, wanted: "Wish", values: Mapping[str, Any], out: Output
) -> "list[Outcome[Flashed]]":
    from fleet.boards import provision, spec
    from fleet.boards.flash_node import flash_node

    if len(ports) != 1:
        raise UsageError("one node is one board", hint="name one --port, or provision many boards from a file")
    texts = {name: values[name] for name in ("node", "kind", "board", "wifi_ssid") if values[name]}
    texts |= {name: " ".join(values[name]) for name in ("brokers", "ntp") if values[name]}
    key = read_psk(values["psk_file"], os.environ)
    wanted_node = spec.of({**texts, **({"wifi_psk": key} if key else {})})
    with opened(directory) as session:
        desk = provision.desk(session.config, session.store, values["firmware"])

        def work(port: "Port", notify: "Notify", stop: threading.Event) -> "Flashed":
            return flash_node(desk, port.url, wanted_node, wanted, notify, os.environ, stop)

        return _flash(ports, work, out)


def _flash(ports: "Sequence[Port]", work: "Work", out: Output) -> "list[Outcome[Flashed]]":
    """Do the work on each board, and show how far it is."""
    from fleet.boards import many

    stop = threading.Event()
    with board_progress.shown([port.name for port in ports], out) as progress:

        def one(port: "Port") -> "Flashed":
            return work(port, lambda step: progress.step(port.name, step), stop)

        outcomes = {}
        for outcome in many.each(ports, one, stop):
            outcomes[outcome.port.url] = outcome
            progress.end(outcome.port.name, FAILED if outcome.result is None else outcome.result.result)
    return [outcomes[port.url] for port in ports]


def _row(outcome: "Outcome[Flashed]") -> Mapping[str, Any]:
    port, done, error = outcome.port, outcome.result, outcome.error
    row = {**_NOTHING, "port": port.url, "usb_serial": port.usb_serial, "seconds": Decimal(f"{outcome.seconds:.1f}")}
    if error is not None:
        return {**row, "result": FAILED, "error": told(error)}
    assert done is not None
    same = ("result", "chip", "mac", "flash_size", "written", "line", "size", "kept")
    row |= {**{name: getattr(done, name) for name in same}, "micropython": done.base or None}
    report = done.report
    if report is None:
        return row
    said = {"node": report.node or None, "version": report.fw, "manifest": report.manifest}
    return {**row, **said, "slot": report.slot, "state": report.state}


def _names(ports: "Sequence[Port]") -> str:
    return ", ".join(port.name for port in ports)
