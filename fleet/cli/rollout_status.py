"""`fleet rollout status` and `list`: how rollouts stand, what needs attention first."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fleet.cli import human
from fleet.cli.base import Command
from fleet.cli.options import fleet_option, output_option
from fleet.cli.output import Column, Output, View, moment
from fleet.cli.rollout_plan import SKIPPED, clock, named, skipped_rows, without
from fleet.cli.session import Session, opened

if TYPE_CHECKING:
    from fleet.rollouts.standing import Attention, Standing, WaveStanding

_COLOURS = {
    "finished": "green",
    "running": "cyan",
    "draft": "yellow",
    "paused": "yellow",
    "halted": "red",
    "aborted": "red",
    "promote": "green",
    "halt": "red",
    "done": "green",
    "soaks": "cyan",
    "now": "cyan",
    "reverted": "red",
    "failed": "red",
    "timed out": "red",
    "dark": "red",
    "rejected": "yellow",
}
_SPARSE = (
    *("reason", "needs_attention", "waits", "telemetry", "confirmed_count", "skipped_nodes"),
    *("started", "ended", "approvals", "hash", "untouched", "undone_by"),
)
SHOWN = 20  # nodes that need attention in a table; JSON has all


def _many(count: int) -> str:
    return f"{human.number(count)} node{'' if count == 1 else 's'}"


def colour(value: Any) -> str:
    """The colour of a phase, a verdict, a wave's state or a stage."""
    return _COLOURS.get(value, "")


ROLLOUTS = View(
    "rollouts",
    (
        Column("id", "ID", right=True),
        Column("name", "NAME", wrap=True),
        Column("phase", "STATE", colour=colour),
        Column("wave", "WAVE"),
        Column("proved", "PROVED", human.number, right=True),
        Column("failed", "FAILED", human.number, right=True),
        Column("nodes", "NODES", human.number, right=True),
        Column("created", "AGE", right=True),
        Column("goal"),
        Column("reason"),
        Column("created_by"),
        Column("hash"),
    ),
    id="id",
)
STATUS = View(
    "rollout",
    (
        Column("id", "Rollout", str),
        Column("name", "Name"),
        Column("goal", "Goal"),
        Column("phase", "State", colour=colour),
        Column("reason", "  because"),
        Column("needs_attention", "Attention", lambda count: f"{_many(count)} below", colour=lambda _: "red"),
        Column("waits", "Waits for", lambda found: "; ".join(wait_text(one) for one in found) or "-"),
        Column("telemetry", "Telemetry", colour=colour),
        Column("evidence"),
        Column("proved", "Proved", human.number),
        Column("nodes", "  of nodes", human.number),
        Column("untouched", "Never touched", human.number),
        Column("confirmed_count", "Proved before", lambda count: f"{human.number(count)} before it was halted"),
        Column("confirmed", "", named),
        Column("skipped_nodes", "Skipped", human.number),
        Column("started", "Started", clock),
        Column("ended", "Ended", clock),
        Column("created_by", "Planned by"),
        Column("approvals", "Approved by", lambda people: ", ".join(people) or "-"),
        Column("parent"),
        Column("undone_by", "Undone by", lambda one: f"rollout {one}"),
        Column("hash", "Plan hash"),
        Column("outcomes"),
    ),
    id="id",
)
OUTCOMES = ("proved", "failed", "rejected", "reverted", "timed out", "dark", "superseded", "stopped", "removed")
_TITLES = {"timed out": "LATE", "superseded": "OTHER", "rejected": "REFUSED", "removed": "RETIRED"}
ATTENTION = View(
    "attention",
    (
        Column("node", "NODE"),
        Column("wave", "WAVE"),
        Column("stage", "OUTCOME", colour=colour),
        Column("since", "AGE", right=True),
        Column("reason", "WHY", wrap=True),
    ),
    id="node",
)


def waves_view(found: "Sequence[WaveStanding]") -> View:
    """The table of waves; an outcome that no node has takes no room in it."""
    there = {stage.value for wave in found for stage, count in wave.counts.items() if count}
    outcomes = (
        Column(key.replace(" ", "_"), _TITLES.get(key, key.upper()) if key in there else "", right=True)
        for key in OUTCOMES
    )
    columns = (
        Column("wave", "WAVE"),
        Column("state", "STATE", colour=colour),
        Column("nodes", "NODES", human.number, right=True),
        Column("queued", "QUEUED", human.number, right=True),
        Column("in_flight", "ON WAY", human.number, right=True),
        *outcomes,
    )
    return View("waves", columns, id="wave")


@click.command("status", cls=Command, examples=("fleet rollout status 7", "fleet rollout status air-1.5.0 --json"))
@click.argument("rollout", metavar="ID|NAME")
@output_option
@fleet_option
def status(rollout: str, out: Output, directory: Path) -> None:
    """Show how a rollout stands.

    What needs attention first: nodes that failed, were reverted, came too late or went dark. Then the waves, with
    outcomes counted apart, what the telemetry says, and what it waits for.
    """
    from fleet.rollouts import standing

    with opened(directory) as session:
        found = standing.standing(session.store, session.config, rollout, out.now_s)
        warn(session, found, out)
        show(session, found, out)


def show(session: Session, found: "Standing", out: Output) -> None:
    """A rollout in full."""
    skipped, undo = session.store.rollouts.skipped(found.view.id), _undo(session, found)
    attention = [attention_row(one) for one in found.attention]
    if out.form == "table":
        more = len(attention) - SHOWN
        attention = attention[:SHOWN]
        if more > 0:
            out.note(f"{more} more nodes need attention; --json has all.")
    sections = (
        ("Needs attention", ATTENTION, attention),
        ("Waves", waves_view(found.waves), [wave_row(one) for one in found.waves]),
        ("Skipped", SKIPPED, skipped_rows(skipped)),
    )
    row = row_of(found, len(skipped), undo)
    out.record(without(STATUS, row, *_SPARSE), row, sections)
    say_confirmed(found, out)


def say_confirmed(found: "Standing", out: Output) -> None:
    """Who runs the new program of a rollout that was stopped, as long as nobody undoes it."""
    if found.confirmed and not found.head.undo:
        out.note(
            f"These run the new program: {named(found.confirmed)}. `fleet rollout undo {found.view.id}` undoes it."
        )


def _undo(session: Session, found: "Standing") -> int:
    """The newest rollout that undoes this one; 0 = none."""
    return max((one.id for one in session.store.rollouts.all() if one.plan.parent == found.view.id), default=0)


def row_of(found: "Standing", skipped: int, undo: int = 0) -> dict[str, Any]:
    """A row of STATUS. `undo` is the rollout that undoes it; 0 = none."""
    from fleet.rollouts.standing import goal_text, outcome

    head, view = found.head, found.view
    proved, everybody = outcome(found)
    return {
        "id": view.id,
        "name": view.name,
        "goal": goal_text(view.plan),
        "phase": head.phase.value,
        "reason": head.reason,
        "needs_attention": len(found.attention),
        "waits": [{"for": one.text, "until": moment(one.until_s)} for one in found.waits],
        "telemetry": head.verdict.value if _is_judged(found) else "",
        "evidence": head.evidence or None,
        "proved": proved,
        "nodes": everybody,
        "untouched": found.untouched,
        "confirmed_count": len(found.confirmed),
        "confirmed": list(found.confirmed),
        "skipped_nodes": skipped,
        "started": moment(head.started_s),
        "ended": moment(head.ended_s),
        "created_by": view.created_by,
        "approvals": list(head.approvals),
        "parent": view.plan.parent or None,
        "undone_by": undo or None,
        "hash": view.hash,
        "outcomes": {stage.value.replace(" ", "_"): count for stage, count in found.counts.items() if count},
    }


def _is_judged(found: "Standing") -> bool:
    plan, head = found.view.plan, found.head
    return plan.judging.enabled and bool(head.started_s) and (plan.waves[head.wave].judged or bool(head.evidence))


def wait_text(one: Mapping[str, Any]) -> str:
    """`the soak of wave canary, until 22 Nov 16:30 UTC`."""
    return f"{one['for']}, until {clock(one['until'])}" if one["until"] else str(one["for"])


def wave_row(one: "WaveStanding") -> dict[str, Any]:
    """A row of `waves_view`."""
    counts = {stage.value: count for stage, count in one.counts.items()}
    return {
        "wave": one.name,
        "state": one.state,
        "nodes": one.nodes,
        "queued": counts["queued"],
        "in_flight": one.in_flight,
        **{key.replace(" ", "_"): counts[key] for key in OUTCOMES},
    }


def attention_row(one: "Attention") -> dict[str, Any]:
    """A row of ATTENTION."""
    return {
        "node": one.node,
        "wave": one.wave,
        "stage": one.stage.value,
        "since": moment(one.since_s),
        "reason": one.reason,
    }


def warn(session: Session, found: "Standing", out: Output) -> None:
    """That the service does not run, where it has to."""
    from fleet import status

    if not found.is_over and found.head.started_s and not status.service_runs(session.store, out.now_s):
        out.note("The service does not run, so nothing moves: `fleet serve` starts it.")


@click.command("list", cls=Command, examples=("fleet rollout list", "fleet rollout list --all --json"))
@click.option("--all", "ended", is_flag=True, help="Those that ended, too.")
@output_option
@fleet_option
def show_all(ended: bool, out: Output, directory: Path) -> None:
    """List rollouts: how each stands, the newest first.

    Those that ended more than a week ago are left out, unless all are asked for.
    """
    from fleet.rollouts import standing

    with opened(directory) as session:
        views = session.store.rollouts.all()
        recent = [one for one in views if ended or not one.head.ended_s or one.head.ended_s > out.now_s - _WEEK_S]
        counts = session.store.rollouts.counts()
        rows = [
            {**standing.summary(view, counts.get(view.id, {})), "created": moment(view.created_s)} for view in recent
        ]
    out.rows(ROLLOUTS, rows, empty="No rollout yet. `fleet rollout plan` shows what one would do.")
    if len(recent) < len(views):
        out.note(f"{len(views) - len(recent)} that ended are not shown; --all shows them.")


_WEEK_S = 7 * 86400
