"""`fleet data`: look at measured values, and hand them on."""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from fleet.cli import human
from fleet.cli.base import Group, is_plain
from fleet.cli.options import fleet_option, output_option, where_option
from fleet.cli.output import Column, Output, View, moment
from fleet.cli.session import opened
from fleet.cli.types import Instant, Span
from fleet.errors import UsageError

if TYPE_CHECKING:
    from fleet.readings import Newest


def _symbol(ucum: str) -> str:
    from fleet.export import symbol

    return symbol(ucum)


_FLAG_COLOURS = {"suspect": "yellow", "fail": "red", "missing": "red"}
VALUES = View(
    "values",
    (
        Column("node", "NODE"),
        Column("channel", "CHANNEL"),
        Column("value", "VALUE", right=True),
        Column("unit", "UNIT", _symbol),
        Column("flag", "FLAG", colour=lambda flag: _FLAG_COLOURS.get(flag, "")),
        Column("time", "AGE", right=True),
        Column("trend", "TREND", human.sparkline),
        Column("time_quality"),
    ),
    id="channel",
)
SPAN_S = 3600
FOREVER_S = 1 << 40
_PATIENCE_S = 2.0  # a job that takes longer shows that it is alive
_REFRESH_S = 0.2


@click.group("data", cls=Group)
def command() -> None:
    """Look at measured values, and export them."""


_channel_option = click.option(
    "--channel", "channels", metavar="NAME", multiple=True, help="Only this channel; may be given several times."
)


@command.command(
    "show",
    examples=(
        "fleet data show air-1",
        "fleet data show --where kind=air --channel pm25",
        "fleet data show air-1 --last 1d",
    ),
)
@click.argument("ids", metavar="[NODE]...", nargs=-1)
@where_option
@_channel_option
@click.option("--last", type=Span(), default=SPAN_S, help="How much time the trend covers; default 1h.")
@output_option
@fleet_option
def show(ids: tuple[str, ...], where: str, channels: tuple[str, ...], last: int, out: Output, directory: Path) -> None:
    """Show the newest value of every channel, and its trend."""
    from fleet import nodes, readings

    wanted = readings.channels_named(channels)
    with opened(directory) as session:
        chosen = [view.node.id for view in nodes.select(session.store, ids, where, out.now_s)]
        found = readings.newest(session.store, chosen, wanted, out.now_s, max(1, last))
    out.rows(VALUES, map(_value, found), empty="No values yet." if chosen else "No node fits.")


@command.command(
    "export",
    examples=(
        "fleet data export > all.csv",
        "fleet data export --since 2026-11-01 --until 2026-12-01 --channel pm25 --where site=mitte --to november.csv",
        "fleet data export air-1 --since 7d -o jsonl",
        "fleet data export --hourly --since 365d --to year.csv",
    ),
)
@click.argument("ids", metavar="[NODE]...", nargs=-1)
@where_option
@_channel_option
@click.option(
    "--since", type=Instant(), default=0, help="From this moment (UTC) or so long ago; default: all there is."
)
@click.option("--until", type=Instant(), help="Up to this moment, itself not included; default: all there is.")
@click.option("--hourly", is_flag=True, help="Hourly statistics; they are kept for years, minutes for a month.")
@click.option("--dated", is_flag=True, help="Leave out records whose time is not known exactly yet.")
@click.option(
    "-o",
    "--output",
    "form",
    metavar="FORMAT",
    type=click.Choice(["csv", "jsonl"]),
    default="csv",
    help="csv or jsonl (JSON Lines); default csv.",
)
@click.option("--to", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="A file instead of stdout.")
@fleet_option
def export_values(
    ids: tuple[str, ...],
    where: str,
    channels: tuple[str, ...],
    since: int,
    until: int | None,
    hourly: bool,
    dated: bool,
    form: str,
    to: Path | None,
    directory: Path,
) -> None:
    """Write measured values as CSV or JSON Lines, by node and time.

    Times are UTC and the begin of the interval. Values are exact decimals in the unit of their channel (UCUM).
    flag: 1 pass, 2 not evaluated, 3 suspect, 4 fail, 9 missing (QARTOD). n, sd, min, max stand where they are
    configured. time_quality says how well the node knew the time.
    """
    from fleet import export, nodes, readings

    wanted = readings.channels_named(channels)
    ends = since, FOREVER_S if until is None else until
    if ends[0] >= ends[1]:
        raise UsageError("--until is not later than --since: nothing lies between", hint="exchange them")
    with opened(directory) as session:
        chosen = [view.node.id for view in nodes.select(session.store, ids, where, int(time.time()), nodes.EVERY)]
        with _target(to) as file, _progress(file) as progress:
            if hourly:
                hours = session.store.readings.hourly(chosen, *ends, wanted)
                count = export.write(form, map(export.hour_row, hours), export.HOUR_COLUMNS, file, progress)
            else:
                found = session.store.readings.range(chosen, *ends, wanted, dated)
                count = export.write(form, map(export.reading_row, found), export.COLUMNS, file, progress)
    if to is not None:
        click.echo(f"{human.number(count)} values of {len(chosen)} nodes in {to}", err=True)


@contextlib.contextmanager
def _target(path: Path | None) -> Iterator[TextIO]:
    """Where the rows go: stdout, or a file that appears only when it is complete."""
    if path is None:
        yield sys.stdout
        return
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("w", encoding="utf-8", newline="") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def _progress(target: TextIO) -> Iterator[Callable[[int], None]]:
    """A line on stderr that counts rows when it takes long and somebody watches."""
    started = time.monotonic()
    shown = 0.0
    watched = not is_plain(sys.stderr) and not target.isatty()

    def progress(count: int) -> None:
        nonlocal shown
        now = time.monotonic()
        if watched and now - started > _PATIENCE_S and now - shown > _REFRESH_S:
            shown = now
            click.echo(f"\r{human.number(count)} values, {int(now - started)} s ", err=True, nl=False)

    try:
        yield progress
    finally:
        if shown:
            click.echo("\r\033[K", err=True, nl=False)


def _value(found: "Newest") -> dict[str, Any]:
    from fleet import export, readings

    one = found.reading
    return {
        "node": one.node,
        "channel": export.quantity(one.channel).name,
        "value": export.decimal(one.mean, one.channel),
        "unit": export.quantity(one.channel).unit,
        "flag": readings.FLAGS[one.flag],
        "time": moment(one.t_s),
        "trend": [export.decimal(point, one.channel) for point in found.trend],
        "time_quality": export.TIME_QUALITY[one.tq],
    }
