"""`fleet rollout replay` and `whatif`: every decision once more from the log, and under other gates."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fleet.cli import human
from fleet.cli.base import Command
from fleet.cli.options import fleet_option, output_option
from fleet.cli.output import Column, Output, View, moment
from fleet.cli.session import opened
from fleet.cli.types import Share, Span

if TYPE_CHECKING:
    from fleet.rollout.replay import Decision
    from fleet.rollout.whatif import Answer, Course
    from fleet.rollouts.history import Replayed
    from fleet.store.rollouts import RolloutView

HISTORY = View(
    "decisions",
    (
        Column("time", "TIME", lambda then: f"{then:%m-%d %H:%M:%S}"),
        Column("entry", "ENTRY", right=True),
        Column("what", "DECISION", wrap=True),
        Column("same", "SAME", colour=lambda same: "" if same else "red"),
        Column("differs"),
    ),
    id="entry",
)
COURSES = View(
    "courses",
    (
        Column("gates", "GATES"),
        Column("phase", "ENDS"),
        Column("halted", "HALTED AFTER", lambda seconds: human.span(seconds)),
        Column("wave", "IN WAVE"),
        Column("ordered", "ORDERED", right=True),
        Column("exposed", "EXPOSED", right=True),
        Column("halted_time"),
        Column("reason"),
    ),
    id="gates",
)


@click.command("replay", cls=Command, examples=("fleet rollout replay 7", "fleet rollout replay air-1.5.0 -o json"))
@click.argument("rollout", metavar="ROLLOUT")
@click.option("--quiet", is_flag=True, help="Only whether all is as the log says.")
@output_option
@fleet_option
def replay(rollout: str, quiet: bool, out: Output, directory: Path) -> None:
    """Take every decision of a rollout again from the log.

    Each has to come out with the same bytes, and each verdict of the telemetry has to follow from its evidence. The
    exit code is 7 when one does not, or when the chain of the log is broken; the first that differs is named.
    """
    from fleet.rollouts import history

    with opened(directory) as session:
        found = history.replay(session.store, rollout)
    if not quiet or out.form != "table":
        out.rows(HISTORY, _history(found), empty="It has decided nothing yet.")
    history.require_same(found)
    out.note(f"{len(found.decisions)} decisions come out as they were logged, byte for byte.")


def _history(found: "Replayed") -> Iterable[Mapping[str, Any]]:
    for one in found.decisions:
        yield {
            "time": moment(one.at_s),
            "entry": one.seq,
            "what": _words(one),
            "same": one.seq not in found.faults,
            "differs": found.faults.get(one.seq, ""),
        }


def _words(one: "Decision") -> str:
    from fleet.rollout.replay import history

    return "; ".join(history(one))


@click.command(
    "whatif",
    cls=Command,
    examples=(
        "fleet rollout whatif 7 --failure-ceiling 2%",
        "fleet rollout whatif 7 --success 99% --soak 1h --alpha 0.5%",
    ),
)
@click.argument("rollout", metavar="ROLLOUT")
@click.option(
    "--failure-ceiling", "--failures", "failures", type=Share(), help="Failed nodes that halt, of those executed."
)
@click.option("--failures-max", type=click.IntRange(0), help="Failed nodes that halt, however few were executed.")
@click.option("--sample", type=click.IntRange(1), help="Executed nodes from which the ceiling counts.")
@click.option("--success", type=Share(), help="Executed nodes that have to be proved.")
@click.option("--presence", type=Share(), help="Nodes of a wave that have to be executed.")
@click.option("--soak", "soak_s", type=Span(), help="Between two waves.")
@click.option("--deadline", "deadline_s", type=Span(), help="From an order to its proof.")
@click.option("--in-flight", type=click.IntRange(1), help="Nodes under way at a time.")
@click.option("--per-minute", type=click.IntRange(1), help="Orders.")
@click.option("--alpha", type=Share(), help="Chance that telemetry halts a release that is as good.")
@click.option("--beta", type=Share(), help="Chance that it promotes one that is worse.")
@output_option
@fleet_option
def whatif(rollout: str, out: Output, directory: Path, **options: int | None) -> None:
    """Say when other gates would have halted a rollout.

    And how many nodes would have run the release by then. What nodes reported is taken from the log, and moves with
    their orders. Reports about orders that would not have been made are ignored; nodes that the log never saw ordered
    stay out, for nobody knows what they would have done.
    """
    from fleet.rollouts import history

    given = {name: value for name, value in options.items() if value is not None}
    parts = [{key: given[key] for key in keys if key in given} for keys in (_GATE, _LIMITS, _JUDGING)]
    with opened(directory) as session:
        view, _, answer = history.whatif(session.store, rollout, *parts)
    rows = [_row("as it was", answer.was, view), _row("instead", answer.would, view)]
    out.rows(COURSES, rows)
    for line in _remarks(answer):
        out.note(line)


_GATE = ("failures", "failures_max", "sample", "success", "presence", "soak_s", "deadline_s")
_LIMITS = ("in_flight", "per_minute")
_JUDGING = ("alpha", "beta")


def _row(gates: str, course: "Course", view: "RolloutView") -> dict[str, Any]:
    then: datetime | None = moment(course.halted_s)
    return {
        "gates": gates,
        "phase": course.phase,
        "halted": course.halted_s - view.head.started_s if course.halted_s else None,
        "wave": view.plan.waves[course.wave].name,
        "ordered": len(course.ordered),
        "exposed": len(course.exposed),
        "halted_time": then,
        "reason": course.reason,
    }


def _remarks(answer: "Answer") -> Iterable[str]:
    was, would = answer.was, answer.would
    if would.halted_s:
        yield f"It would have halted: {would.reason}"
        spared = len(was.exposed - would.exposed)
        yield f"{spared} nodes that ran the release would not have." if spared else "The same nodes would have run it."
    else:
        yield f"It would not have halted; where the log ends it is {would.phase}."
    if answer.ignored:
        yield f"{answer.ignored} reports were ignored: the orders that they speak of would not have been made."
    if answer.unknown:
        yield f"{len(answer.unknown)} nodes stay out: the log does not tell what they would do with an order."
