"""`fleet board erase`."""

import os
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from fleet.cli.base import Command
from fleet.cli.board_options import LOADER, loader_option, ports_option
from fleet.cli.board_outcomes import megabytes, refuse_alone, refuse_some, told
from fleet.cli.options import confirm, dry_run_option, output_option, yes_option
from fleet.cli.output import Column, Output, View

if TYPE_CHECKING:
    from fleet.boards.erase import Erased
    from fleet.boards.many import Outcome
    from fleet.flashing.console import Report

ERASED = View(
    "boards",
    (
        Column("port", "PORT"),
        Column("chip", "CHIP"),
        Column("mac", "MAC"),
        Column("flash_size", "FLASH", megabytes, right=True),
        Column("result", "RESULT"),
        Column("node", "IT WAS"),
        Column("waiting"),
        Column("error"),
    ),
    id="port",
)
_NOTHING = dict.fromkeys((column.key for column in ERASED.columns), None)


@click.command(
    "erase",
    cls=Command,
    examples=("fleet board erase --port /dev/ttyUSB0", "fleet board erase --all --yes --json"),
)
@ports_option
@loader_option
@yes_option
@dry_run_option
@output_option
def command(ports: Sequence[str], every: bool, yes: bool, dry_run: bool, out: Output, **values: Any) -> None:
    """Erase all that boards hold.

    Program, identity, settings and records are gone afterwards. A node that is erased is still in the register: `fleet
    node retire` takes its certificate away.
    """
    from fleet.boards import attached, erase, many, wish

    options = wish.options(**{name: values[name] for name in LOADER})
    stop = threading.Event()
    chosen = attached.chosen(ports, every)
    asked = {one.port.url: one.result for one in many.each(chosen, lambda port: erase.ask(port.url), stop)}
    if dry_run:
        rows = [{**_NOTHING, "port": port.url, "result": "planned", **_lost(asked[port.url])} for port in chosen]
        out.rows(ERASED, rows)
        out.note("Nothing was changed: this was a dry run.")
        return
    confirm(f"Erase {', '.join(_named(port.name, asked[port.url]) for port in chosen)}?", yes)
    stop = threading.Event()
    work = many.each(chosen, lambda port: erase.erase(port.url, options, asked[port.url], os.environ, stop), stop)
    outcomes = {one.port.url: one for one in work}
    ordered = [outcomes[port.url] for port in chosen]
    refuse_alone(ordered)
    out.rows(ERASED, map(_row, ordered))
    refuse_some(ordered)


def _row(outcome: "Outcome[Erased]") -> Mapping[str, Any]:
    row = {**_NOTHING, "port": outcome.port.url}
    done, error = outcome.result, outcome.error
    if done is None:
        assert error is not None
        return {**row, "result": "failed", "error": told(error)}
    found = done.found
    chip = {"chip": found.chip.name, "mac": found.mac, "flash_size": found.flash_size}
    return {**row, **chip, "result": "erased", **_lost(done.report)}


def _lost(report: "Report | None") -> Mapping[str, Any]:
    return {} if report is None else {"node": report.node or None, "waiting": report.waiting}


def _named(name: str, report: "Report | None") -> str:
    """`ttyUSB0 (air-1, with 12 records that are not delivered)`."""
    if report is None or not report.node:
        return name
    waiting = f", with {report.waiting} entries that are not delivered" if report.waiting else ""
    return f"{name} ({report.node}{waiting})"
