"""`fleet board doctor`."""

import os
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fleet.cli import board_progress
from fleet.cli.base import Command
from fleet.cli.options import fleet_option, output_option
from fleet.cli.output import Column, Output, View
from fleet.cli.visible import visible
from fleet.errors import NotFoundError, UnreachableError

if TYPE_CHECKING:
    from fleet.boards.finding import Finding
    from fleet.model import Standing

    _Found = tuple[Finding, str, bool]

_MARKS = {"ok": ("ok", "green"), "warn": ("warn", "yellow"), "fail": ("FAIL", "red")}
FINDINGS = View(
    "findings",
    (
        Column("status", "STATUS", lambda status: _MARKS[status][0], colour=lambda status: _MARKS[status][1]),
        Column("check", "CHECK", lambda check: f"{check:<11}"),
        Column("text", "FOUND", wrap=True),
        Column("cause"),
        Column("hint"),
        Column("port"),
    ),
    id="check",
)
HEALTHY = 0
ILL = 1
UNREACHABLE = 5


@click.command(
    "doctor",
    cls=Command,
    examples=("fleet board doctor", "fleet board doctor --port /dev/ttyUSB0", "fleet board doctor --json"),
)
@click.option("--port", metavar="PORT", help="A path, a pattern or a pyserial URL; else the only board attached.")
@output_option
@fleet_option
@click.pass_context
def command(ctx: click.Context, port: str | None, out: Output, directory: Path) -> None:
    """Find out what is wrong with a board.

    From cable, driver and permission over loader, flash and file system to identity and program: what was found, why,
    and what to try. A node that answers is not disturbed; a board that does not is reset and asked through its loader.
    Exit code 0 when nothing is wrong, 1 when something is, 5 when the board cannot be reached at all.
    """
    rows = []
    ill, reached = False, False
    findings = _findings(port, directory)
    while found := _next(findings, out):
        finding, url, answers = found
        row = {key: getattr(finding, key) for key in ("status", "check", "text", "cause", "hint")}
        rows.append({**row, "port": url})
        ill, reached = ill or finding.status == "fail", answers
        if out.form == "table":
            _show(out, finding)
    if out.form != "table":
        out.rows(FINDINGS, rows)
    ctx.exit(HEALTHY if not ill else ILL if reached else UNREACHABLE)


def _next(findings: "Iterator[_Found]", out: Output) -> "_Found | None":
    with board_progress.awaited("examining it", out):
        return next(findings, None)


def _findings(wanted: str | None, directory: Path) -> "Iterator[_Found]":
    """Each finding, the port, and whether the board has said anything so far."""
    from fleet.boards import attached, doctor

    try:
        port = attached.one(wanted)
    except UnreachableError:
        yield from ((finding, "", False) for finding in doctor.no_port())
        return
    patient = doctor.Patient(port, os.environ, lambda node: _standing(directory, node))
    for finding in doctor.examine(patient):
        yield finding, port.url, patient.reachable


def _standing(directory: Path, node: str) -> "Standing | None":
    """What the fleet says about a node; None without a fleet, or when it does not know the node."""
    from fleet.cli.session import opened

    try:
        with opened(directory) as session:
            return session.store.nodes.get(node).standing
    except NotFoundError:
        return None


def _show(out: Output, finding: "Finding") -> None:
    mark, colour = _MARKS[finding.status]
    wide = max(40, out.width - 19)
    lines = textwrap.wrap(visible(finding.text + (f": {finding.cause}" if finding.cause else "")), wide)
    lines += textwrap.wrap(visible(finding.hint), wide, initial_indent="-> ", subsequent_indent="   ")
    out.lines([f"{out.style(f'{mark:<4}', colour, bold=True)}  {finding.check:<12} {lines[0]}"])
    out.lines(f"{'':19}{line}" for line in lines[1:])
    out.stdout.flush()
