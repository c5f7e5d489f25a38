"""`fleet doctor`."""

import os
import textwrap
from pathlib import Path
from typing import Any

import click

from fleet.cli.base import Command
from fleet.cli.options import fleet_option, output_option
from fleet.cli.output import Column, Output, View

_MARKS = {"ok": ("ok", "green"), "warn": ("warn", "yellow"), "fail": ("FAIL", "red")}
CHECKS = View(
    "checks",
    (
        Column("status", "STATUS", lambda status: _MARKS[status][0], colour=lambda status: _MARKS[status][1]),
        Column("check", "CHECK"),
        Column("text", "FOUND"),
        Column("hint"),
    ),
    id="check",
)


@click.command("doctor", cls=Command, examples=("fleet doctor", "fleet doctor --quick --json"))
@click.option("--quick", is_flag=True, help="Leave out what reads the whole database.")
@output_option
@fleet_option
@click.pass_context
def command(ctx: click.Context, quick: bool, out: Output, directory: Path) -> None:
    """Find out whether a fleet is well.

    Looks at files, certificates, disk, database, broker, service, clock, refused messages and nodes. Each check says
    ok, warn or fail, why, and what to do next. Exit code 1 when one fails.
    """
    from fleet import doctor

    findings = list(doctor.examine(directory, os.environ.get("FLEET_NATS_SERVER"), out.now_s, quick))
    rows: list[dict[str, Any]] = [
        {"status": found.status, "check": found.check, "text": found.text, "hint": found.hint} for found in findings
    ]
    if out.form == "table":
        wide = max(len(found.check) for found in findings)
        for found in findings:
            mark, colour = _MARKS[found.status]
            lines = textwrap.wrap(found.text, max(40, out.width - wide - 8))
            lines += textwrap.wrap(
                found.hint, max(40, out.width - wide - 8), initial_indent="-> ", subsequent_indent="   "
            )
            out.lines([f"{out.style(f'{mark:<4}', colour, bold=True)}  {found.check:<{wide}}  {lines[0]}"])
            out.lines(f"{'':<{wide + 8}}{line}" for line in lines[1:])
    else:
        out.rows(CHECKS, rows)
    ctx.exit(1 if any(found.status == doctor.FAIL for found in findings) else 0)
