"""`fleet board monitor`."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from fleet.cli.base import Command
from fleet.cli.options import output_option
from fleet.cli.output import Column, Output, View
from fleet.cli.types import Span
from fleet.errors import TimedOutError

if TYPE_CHECKING:
    from fleet.boards.monitor import Line

LINES = View(
    "lines",
    (
        Column("time", "TIME"),
        Column("text", "TEXT"),
        Column("kind"),
        Column("severity"),
        Column("says"),
        Column("hint"),
        Column("fields"),
    ),
    id="text",
)
_COLOURS = {"error": "red", "warning": "yellow", "debug": "bright_black"}


@click.command(
    "monitor",
    cls=Command,
    examples=(
        "fleet board monitor",
        "fleet board monitor --port /dev/ttyUSB0 --reset",
        "fleet board monitor --port /dev/ttyUSB0 --until 'connected to' --timeout 2min --json",
    ),
)
@click.option("--port", metavar="PORT", help="A path, a pattern or a pyserial URL; else the only board attached.")
@click.option("--baud", metavar="RATE", type=click.IntRange(300, 4_000_000), default=115200, help="Default 115200.")
@click.option("--reset", is_flag=True, help="Restart the board first, by its line or over its prompt.")
@click.option("--until", metavar="TEXT", help="Stop at the first line that holds TEXT.")
@click.option("--timeout", type=Span(), help="Stop after this time; default: only with Ctrl-C.")
@output_option
def command(port: str | None, baud: int, reset: bool, until: str | None, timeout: int | None, out: Output) -> None:
    """Follow what a board says on its serial console.

    Every line with the time of its arrival in UTC. Crashes, brown-outs, causes of resets and reports of nodes are
    explained. The board is not disturbed; one that is unplugged is waited for. Exit code 8 when the text of --until
    did not come in the time of --timeout. With --json one object per line.
    """
    from fleet.boards import attached, monitor

    url = attached.one(port).url
    for line in monitor.follow(url, baud, reset, timeout):
        _show(out, line)
        if until and until in line.text and line.kind != monitor.PORT:
            return
    if until:
        hint = "the lines above say what it did instead, if it said anything"
        raise TimedOutError(f"{until!r} did not come from {url} within {timeout} s", hint=hint)


def _show(out: Output, line: "Line") -> None:
    if out.form != "table":
        out.item(LINES, _row(line))
        return
    colour = _COLOURS.get(line.severity, "")
    clock = out.style(_time(line.time_ms)[11:-1], "bright_black")
    out.lines([f"{clock}  {out.style(line.text, colour, bold=line.severity == 'error')}"])
    note = "; ".join(filter(None, (line.says, line.hint)))
    if note:
        out.lines([f"{'':14}{out.style(f'-> {note}', 'cyan')}"])
    out.stdout.flush()


def _row(line: "Line") -> Mapping[str, Any]:
    same = {key: getattr(line, key) for key in ("text", "kind", "severity", "says", "hint", "fields")}
    return {"time": _time(line.time_ms), **same}


def _time(time_ms: int) -> str:
    """RFC 3339 to the millisecond."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{time_ms % 1000:03}Z"
