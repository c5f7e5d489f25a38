"""`fleet rollout watch`, and what `--wait` shows: how a rollout goes on, live or in a line for each change."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fleet.cli import human
from fleet.cli.base import Command, is_plain
from fleet.cli.options import fleet_option, output_option
from fleet.cli.output import Column, Output, View, moment
from fleet.cli.rollout_status import OUTCOMES, colour, row_of, show, wait_text, warn
from fleet.cli.session import Session, opened
from fleet.cli.types import Span

if TYPE_CHECKING:
    from fleet.rollouts.standing import Standing

WAIT_S = 86400
BAR = 24  # characters of a wave's bar
WORST = 6  # nodes that need attention on the live page


CHANGES = View(
    "change",
    (
        Column("time", "TIME", lambda then: f"{then:%H:%M:%S}"),
        Column("phase", "STATE", colour=colour),
        Column("summary", "WHAT"),
        Column("id"),
        Column("wave"),
        Column("outcomes"),
        Column("waits"),
        Column("telemetry"),
        Column("reason"),
    ),
    id="id",
)


@click.command("watch", cls=Command, examples=("fleet rollout watch 7", "fleet rollout watch 7 --json --timeout 1h"))
@click.argument("rollout", metavar="ID|NAME")
@click.option("--timeout", type=Span(), default=WAIT_S, help="How long at most; default 24h.")
@output_option
@fleet_option
def watch(rollout: str, timeout: int, out: Output, directory: Path) -> None:
    """Show how a rollout goes on, until it has ended.

    On a terminal a page that changes: waves, outcomes, telemetry, what it waits for, what needs attention. Elsewhere
    a line for each change; with --json an object per line. Ctrl-C leaves the rollout as it is. The exit code is 0 when
    it has ended, however that was, and 8 when time was up first.
    """
    from fleet.errors import TimedOutError
    from fleet.rollouts import standing, waiting

    with opened(directory) as session:
        found = session.store.rollouts.get(rollout)
        warn(session, standing.standing(session.store, session.config, found.id, out.now_s), out)
        with _told(out, out) as tell:
            seen = waiting.watch(session.store, session.config, found.id, timeout, _now, tell, lambda now: now.is_over)
        if not seen.is_over:
            raise TimedOutError(f"rollout {found.id} goes on", hint="watch it again, or for longer: --timeout")


def waited(session: Session, rollout: int, timeout_s: int, out: Output) -> None:
    """Show how it goes on until it ended or an operator has to decide; then how it stands. Errors as `start` says."""
    from fleet.rollouts import waiting

    found = _waited(session, rollout, timeout_s, out, waiting.is_settled)
    show(session, found, out)
    waiting.require_done(session.store, found)


def waited_end(session: Session, rollout: int, timeout_s: int, out: Output) -> None:
    """The same until no node is on its way any more; TimedOutError when one still is."""
    from fleet.errors import TimedOutError

    found = _waited(session, rollout, timeout_s, out, lambda now: now.is_over)
    show(session, found, out)
    if not found.is_over:
        count = sum(wave.in_flight for wave in found.waves)
        raise TimedOutError(
            f"{count} nodes of rollout {rollout} have not answered the stop",
            hint="they stop as soon as they hear of it, or at the end of their order",
        )


def _waited(
    session: Session, rollout: int, timeout_s: int, out: Output, enough: "Callable[[Standing], bool]"
) -> "Standing":
    from fleet.rollouts import waiting

    notes = Output("table", stdout=sys.stderr, now_s=out.now_s)
    with _told(out, notes) as tell:
        return waiting.watch(session.store, session.config, rollout, timeout_s, _now, tell, enough)


def _now() -> int:
    return int(time.time())


@contextlib.contextmanager
def _told(out: Output, where: Output) -> "Iterator[Callable[[Standing], None]]":
    """What shows a person or a script each change; where a script reads the result only, nothing does."""
    if out is not where and out.form != "table":
        yield lambda now: None
    elif where.form == "table" and not is_plain(where.stdout):
        with _live(where) as tell:
            yield tell
    else:
        last: list[str] = []

        def line(now: "Standing") -> None:
            row = _change(now)
            if [row["summary"]] != last or where.form != "table":
                where.item(CHANGES, row)
                last[:] = [row["summary"]]

        yield line


def _change(now: "Standing") -> dict[str, Any]:
    row = row_of(now, 0)
    return {
        "time": moment(_now()),
        "phase": row["phase"],
        "summary": summary(now),
        "id": row["id"],
        "wave": now.waves[min(now.head.wave, len(now.waves) - 1)].name,
        "outcomes": row["outcomes"],
        "waits": row["waits"],
        "telemetry": row["telemetry"],
        "reason": row["reason"],
    }


def summary(now: "Standing") -> str:
    """`wave canary: 3 of 10 proved, 1 reverted, 2 on the way; waits for the soak of wave canary`."""
    if now.head.phase == "finished":
        return now.head.reason
    wave = now.waves[min(now.head.wave, len(now.waves) - 1)]
    parts = [f"{wave.counts[_stage('proved')]} of {wave.nodes} proved"]
    parts += [f"{wave.counts[_stage(key)]} {key}" for key in OUTCOMES[1:] if wave.counts[_stage(key)]]
    parts += [f"{wave.in_flight} on the way"] if wave.in_flight else []
    words = f"wave {wave.name}: {', '.join(parts)}"
    if now.head.reason:
        words += f"; {now.head.reason}"
    return words + (f"; waits for {now.waits[0].text}" if now.waits else "")


def _stage(key: str) -> Any:
    from fleet.rollout.model import Stage

    return Stage(key)


@contextlib.contextmanager
def _live(out: Output) -> "Iterator[Callable[[Standing], None]]":
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    newest: list[Standing] = []

    def drawn() -> Text:  # every second: what it waits for comes nearer while nothing changes
        return Text("\n").join(map(Text.from_ansi, page(newest[-1], _now()))) if newest else Text("")

    console = Console(file=out.stdout, highlight=False, emoji=False)
    with Live(console=console, get_renderable=drawn, refresh_per_second=1, vertical_overflow="crop"):
        yield lambda now: newest.__setitem__(slice(None), [now])


def page(now: "Standing", now_s: int) -> list[str]:
    """The lines of the live page, at most 80 columns wide."""
    head, row = now.head, row_of(now, 0)
    state = click.style(head.phase.value, fg=colour(head.phase.value) or None, bold=True)
    lines = [f"Rollout {now.view.id}  {_cut(now.view.name, 40)}  {state}"]
    lines += [_cut(f"  {head.reason}")] if head.reason else []
    lines.append(_cut(f"  {row['goal']}; {row['proved']} of {row['nodes']} nodes proved"))
    if row["telemetry"]:
        lines.append(f"  telemetry: {click.style(row['telemetry'], fg=colour(row['telemetry']) or None)}")
    lines += [_cut(f"  waits for {wait_text(one)}{_left(one, now_s)}") for one in row["waits"]]
    wide = min(16, max(len(wave.name) for wave in now.waves))
    lines.append("")
    lines += [_wave(wave, wide) for wave in now.waves]
    if now.attention:
        lines += ["", f"  {len(now.attention)} need attention:"]
        lines += [_cut(f"  {one.node}  {one.stage}  {one.reason}") for one in now.attention[:WORST]]
    return lines


def _left(one: "dict[str, Any]", now_s: int) -> str:
    until = one["until"]
    seconds = int(until.timestamp()) - now_s if until else 0
    return f" ({human.span(seconds)})" if seconds > 0 else ""


def _wave(wave: Any, wide: int) -> str:
    """`canary  ━━━━━━━━━━━━  soaks  98 proved  2 reverted`."""
    from fleet.rollout.model import ENDED, Stage

    proved = wave.counts[Stage.PROVED]
    others = sum(wave.counts[stage] for stage in ENDED - {Stage.PROVED, Stage.REMOVED, Stage.SUPERSEDED})
    parts = [(proved, "green"), (others, "red"), (wave.in_flight, "cyan")]
    bar = "".join(click.style("━" * _share(count, wave.nodes), fg=tone) for count, tone in parts)
    used = sum(_share(count, wave.nodes) for count, _ in parts)
    bar += click.style("─" * max(0, BAR - used), fg="bright_black")
    words = [f"{human.number(proved)}/{human.number(wave.nodes)}"]
    words += [f"{wave.counts[Stage(key)]} {key}" for key in OUTCOMES[1:] if wave.counts[Stage(key)]]
    words += [f"{wave.in_flight} on way"] if wave.in_flight else []
    return f"  {_cut(wave.name, wide):<{wide}} {bar} {wave.state:<7} {_cut('  '.join(words), 78 - wide - BAR - 10)}"


def _share(count: int, nodes: int) -> int:
    """Characters of a bar; one at least for what there is."""
    return min(BAR, max(1, count * BAR // nodes)) if count and nodes else 0


def _cut(text: str, most: int = 80) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."
