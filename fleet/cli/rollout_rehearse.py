"""`fleet rollout rehearse`: a plan on a twin of the fleet that its own heartbeats make, before anybody is ordered."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fleet.cli import board_progress, human
from fleet.cli.base import Command
from fleet.cli.options import fleet_option, output_option
from fleet.cli.output import Column, Output, View
from fleet.cli.rollout_options import draft_of, plan_options
from fleet.cli.session import opened
from fleet.cli.types import Share
from fleet.errors import UsageError

if TYPE_CHECKING:
    from fleet.rollout.rehearse.outcome import Broken, Spread
    from fleet.rollouts.rehearse import Rehearsed

_BAR = 30  # columns of a bar: a line has room for 80
_PROGRESS = "rehearsal"


def _times(spread: Mapping[str, int] | None) -> str:
    return " / ".join(human.span(value) for value in spread.values()) if spread else "not in most runs"


def _counts(spread: Mapping[str, int]) -> str:
    return " / ".join(map(human.number, spread.values()))


REHEARSAL = View(
    "rehearsal",
    (
        Column("plan", "Plan"),
        Column("nodes", "Nodes"),
        Column("never"),
        Column("hash"),
        Column("record_s", "Record", lambda seconds: f"{human.span(seconds)} of heartbeats"),
        Column("loss", "Loss", lambda permille: f"{permille / 10:.1f} % of heartbeats while there"),
        Column("away", "Away", lambda permille: f"{permille / 10:.1f} % of the time"),
        Column("runs", "Runs of each"),
        Column("seed", "Seed"),
        Column("tick_s"),
        Column("half_s", "Half proved", _times),
        Column("most_s", "90 % proved", _times),
        Column("last_s", "Last proof", _times),
        Column("proved", "Proved", _counts),
        Column("bytes", "Fetched", lambda spread: " / ".join(map(human.size, spread.values()))),
        Column("halted_runs", "False halts"),
        Column("course"),
        Column("course_s"),
    ),
    id="plan",
)
BROKEN = View(
    "broken",
    (
        Column("share", "BREAKS", lambda permille: f"{permille / 10:g} %", right=True),
        Column("caught", "CAUGHT", lambda permille: f"{permille / 10:.0f} %", right=True),
        Column("bar", ""),
        Column("exposed", "EXPOSED", _counts, right=True),
        Column("halted_s", "HALTED AFTER", _times, right=True),
        Column("waves", "IN WAVE", wrap=True),
        Column("runs"),
    ),
    id="share",
)


@click.command(
    "rehearse",
    cls=Command,
    examples=(
        "fleet rollout rehearse air-1.5.0.toml",
        "fleet rollout rehearse --release air-1.5.0 --where 'site=mitte' --breaks 1,5,20 --runs 50",
    ),
)
@plan_options
@click.option("--breaks", metavar="LIST", default="5,10,50", help="Percents of nodes that a bad release breaks.")
@click.option("--flaky", type=Share(), default="1%", help="Attempts that fail by chance; default 1%.")
@click.option("--runs", type=click.IntRange(1, 10_000), help="Runs of each release; default what takes a minute.")
@click.option("--seed", type=click.IntRange(0, 1_000_000), default=1, help="The same seed gives the same figures.")
@click.option("--days", type=click.IntRange(1, 90), default=7, help="How much of the past; default 7 at most.")
@output_option
@fleet_option
def rehearse(
    words: tuple[str, ...],
    where: str,
    breaks: str,
    flaky: int,
    runs: int | None,
    seed: int,
    days: int,
    out: Output,
    directory: Path,
    **options: Any,
) -> None:
    """Try a plan on a simulated twin of the fleet.

    The twin is made of the heartbeats that nodes sent: simulated nodes are there when the real ones were, and the
    engine that decides is the real one. Shown is what a tenth, half and nine tenths of the runs stay below: how long
    it takes, how much is fetched; and for bad releases, how often a gate catches one, in which wave, and after how
    many nodes. Nothing is changed, and no node hears of it.
    """
    from fleet.rollouts import rehearse as use_case

    wish = use_case.Wish(_shares(breaks), flaky, runs or 0, seed, days)
    draft = draft_of(words, where, options)
    with opened(directory) as session, board_progress.shown([_PROGRESS], out) as bars:

        def tell(done: int, total: int) -> None:
            if not out.plain:
                bars.step(_PROGRESS, _Runs(done, total))

        found = use_case.rehearse(session.store, session.config, draft, wish, out.now_s, tell)
    out.record(REHEARSAL, _card(found), [("A release that breaks nodes", BROKEN, _rows(found.result.broken))])
    if out.form == "table":
        out.lines(_plot(found, out))
        for line in _remarks(found):
            out.note(line)


class _Runs:
    """What the bar shows."""

    phase = "running"

    def __init__(self, done: int, total: int) -> None:
        self.done = done
        self.total = total


def _shares(text: str) -> tuple[int, ...]:
    """Percents of a list as permille; UsageError."""
    if not text.strip():
        return ()
    try:
        found = tuple(Share().convert(part, None, None) for part in text.split(","))
    except click.BadParameter as error:
        raise UsageError(f"--breaks: {error.message}", hint="for example --breaks 5,10,50") from error
    if not all(found):
        raise UsageError("--breaks: a release that breaks nobody is rehearsed anyway")
    return found


def _card(found: "Rehearsed") -> dict[str, Any]:
    good, result, record = found.result.good, found.result, found.record
    twins = [record.twins[node] for node in found.planned.members]
    there = sum(end - begin for twin in twins for begin, end in twin.spans)
    return {
        "plan": found.planned.plan.name,
        "nodes": result.nodes,
        "never": result.never,
        "hash": found.planned.hash,
        "record_s": record.length_s,
        "loss": sum(twin.loss for twin in twins) // len(twins),
        "away": 1000 - 1000 * there // (len(twins) * record.length_s),
        "runs": good.runs,
        "seed": found.wish.seed,
        "tick_s": result.tick_s,
        "half_s": _spread(good.half),
        "most_s": _spread(good.most),
        "last_s": _spread(good.last),
        "proved": _spread(good.proved),
        "bytes": _spread(good.bytes),
        "halted_runs": good.halted,
        "course": list(good.course),
        "course_s": good.span_s,
    }


def _spread(spread: "Spread | None") -> dict[str, int] | None:
    return {"p10": spread.low, "p50": spread.middle, "p90": spread.high} if spread else None


def _rows(broken: "Sequence[Broken]") -> Iterable[dict[str, Any]]:
    for one in broken:
        caught = 1000 * one.caught // one.runs
        yield {
            "share": one.share,
            "caught": caught,
            "bar": "█" * (caught * 10 // 1000) + "·" * (10 - caught * 10 // 1000),
            "exposed": _spread(one.exposed),
            "halted_s": _spread(one.halted_s),
            "waves": dict(one.waves),
            "runs": one.runs,
        }


def _plot(found: "Rehearsed", out: Output) -> list[str]:
    """Who is proved by when, in the middle run: ten lines."""
    good = found.result.good
    lines = ["", out.style("Proved over time, in the middle run", bold=True)]
    step = len(good.course) // 10
    for number in range(step - 1, len(good.course), step):
        permille = good.course[number]
        bar = "█" * (permille * _BAR // 1000)
        after = human.span(good.span_s * (number + 1) // len(good.course))
        lines.append(f"{after:>8}  {bar:<{_BAR}} {permille / 10:5.1f} %")
    return lines


def _remarks(found: "Rehearsed") -> Iterable[str]:
    yield "Three figures: a tenth, half and nine tenths of the runs stay below."
    if found.result.never:
        yield f"{found.result.never} nodes were never there in the record: they stay dark."
    if found.record.length_s < 86400:
        yield "The record is shorter than a day: it does not know the nights."
    if any(wave.judged for wave in found.planned.plan.waves):
        yield "Telemetry is not simulated: it speaks for every release; what it would catch comes on top."
