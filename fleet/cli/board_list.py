"""`fleet board list`."""

import os
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from fleet.cli import board_progress
from fleet.cli.base import Command
from fleet.cli.board_outcomes import megabytes, told
from fleet.cli.options import output_option
from fleet.cli.output import Column, Output, View

if TYPE_CHECKING:
    from fleet.boards.listing import Seen
    from fleet.boards.many import Outcome

LISTED = View(
    "boards",
    (
        Column("port", "PORT"),
        Column("usb_serial", "USB SERIAL"),
        Column("chip", "CHIP"),
        Column("mac", "MAC"),
        Column("flash_size", "FLASH", megabytes, right=True),
        Column("node", "NODE"),
        Column("runs", "RUNS", wrap=True),
        Column("state", "STATE"),
        Column("description"),
        Column("location"),
        Column("condition"),
        Column("micropython"),
        Column("version"),
        Column("manifest"),
        Column("board"),
        Column("kind"),
        Column("boot"),
        Column("waiting"),
        Column("error"),
    ),
    id="port",
)
_NOTHING = dict.fromkeys((column.key for column in LISTED.columns), None)


@click.command("list", cls=Command, examples=("fleet board list", "fleet board list --probe --json"))
@click.option("--port", "ports", metavar="PORT", multiple=True, help="Only these; else all that are attached.")
@click.option("--probe", is_flag=True, help="Ask the loader for chip and flash, too: that resets the boards.")
@output_option
def command(ports: Sequence[str], probe: bool, out: Output) -> None:
    """List boards that are attached, and what runs on them.

    They are asked over their console: a node answers and goes on as if nothing had been. What is no USB device counts
    as attached when FLEET_PORTS names it: paths, patterns and URLs with blanks between.
    """
    from fleet.boards import attached, listing, many, wish

    found = attached.chosen(ports, every=True) if ports else attached.all_of(os.environ)
    options = wish.options() if probe else None
    stop = threading.Event()
    work = many.each(found, lambda port: listing.look(port.url, options, os.environ, stop), stop)
    with board_progress.awaited("asking them", out):
        outcomes = {one.port.url: one for one in work}
    hint = "No board is attached. Is the USB cable one for data? FLEET_PORTS names further ports."
    rows = [_row(outcomes[port.url]) for port in found]
    out.rows(LISTED, rows, empty=hint)
    if not probe and any(not row["chip"] and not row["error"] for row in rows):
        out.note("Boards without a program do not know their chip: --probe asks the loader, and resets them.")


def _row(outcome: "Outcome[Seen]") -> Mapping[str, Any]:
    port, seen, error = outcome.port, outcome.result, outcome.error
    same = {name: getattr(port, name) for name in ("usb_serial", "description", "location")}
    row = {**_NOTHING, "port": port.url, **{name: value or None for name, value in same.items()}}
    if error is not None:
        return {**row, "runs": error.message.removeprefix(port.url).lstrip(": "), "error": told(error)}
    assert seen is not None
    said = {
        name: getattr(seen, name) or None for name in ("chip", "mac", "flash_size", "runs", "condition", "micropython")
    }
    report = seen.report
    if report is None:
        return {**row, **said}
    known = {name: getattr(report, name) for name in ("state", "manifest", "board", "kind", "boot", "waiting")}
    return {**row, **said, **known, "node": report.node or None, "version": report.fw}
