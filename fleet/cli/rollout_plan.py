"""`fleet rollout plan`: what a rollout would do, node by node, before anything is done."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fleet.cli import board_progress, human
from fleet.cli.base import Command
from fleet.cli.options import fleet_option, output_option
from fleet.cli.output import Column, Output, View, moment
from fleet.cli.rollout_options import draft_of, plan_options
from fleet.cli.session import opened
from fleet.errors import FleetError

if TYPE_CHECKING:
    from fleet.config import Config
    from fleet.rollout.draft import Draft
    from fleet.rollout.plan import Gate, Plan, Window
    from fleet.rollouts.planning import Planned

NAMED = 3  # nodes that a cell names


def clock(then: Any) -> str:
    """A moment as a person reads it: `22 Nov 16:30 UTC`."""
    return f"{then.day} {then:%b %H:%M} UTC"


def named(nodes: Sequence[str]) -> str:
    """The first nodes of a list, and how many more there are."""
    more = f" +{len(nodes) - NAMED}" if len(nodes) > NAMED else ""
    return ", ".join(nodes[:NAMED]) + more


def without(view: View, row: Mapping[str, Any], *keys: str) -> View:
    """The view without the lines of these keys that say nothing; machines get them all the same."""
    idle = {key for key in keys if not row[key]}
    return View(view.name, tuple(Column(one.key) if one.key in idle else one for one in view.columns), view.id)


def _size(size: Any) -> str:
    return human.size(size) if size else "-"


PLAN = View(
    "plan",
    (
        Column("name", "Name"),
        Column("goal", "Goal"),
        Column("nodes", "Nodes", human.number),
        Column("skipped_nodes", "Skipped", human.number),
        Column("bytes", "To send", _size),
        Column("bytes_estimated", "  estimated", _size),
        Column("begins", "Would begin", clock),
        Column("ends", "Would end", clock),
        Column("seconds", "  takes about", human.span),
        Column("download", "Fetch"),
        Column("switch", "Restart"),
        Column("in_flight", "At a time", lambda count: f"{human.number(count)} nodes"),
        Column("gates", "Gates"),
        Column("on_failure", "On failure"),
        Column("overlap", "Other rollouts"),
        Column("conflicts"),
        Column("approvals", "Approvals", lambda count: f"{count} needed"),
        Column("hash", "Plan hash"),
    ),
    id="hash",
)
WAVES = View(
    "waves",
    (
        Column("wave", "WAVE"),
        Column("count", "NODES", human.number, right=True),
        Column("bytes", "TO SEND", _size, right=True),
        Column("begins", "BEGINS", clock),
        Column("soak_s", "SOAK", human.span, right=True),
        Column("judged", "JUDGED"),
        Column("nodes", "WHO", named, wrap=True),
        Column("kinds"),
        Column("ends"),
        Column("success"),
        Column("failures"),
        Column("sample"),
        Column("deadline_s"),
    ),
    id="wave",
)
SKIPPED = View(
    "skipped",
    (
        Column("count", "NODES", human.number, right=True),
        Column("reason", "SKIPPED BECAUSE", wrap=True),
        Column("nodes", "WHO", named, wrap=True),
        Column("code"),
    ),
    id="reason",
)


@click.command(
    "plan",
    cls=Command,
    examples=(
        "fleet rollout plan --release air-1.5.0 --release light-2.0.0",
        "fleet rollout plan --release air-1.5.0 --where 'site=mitte' --save mitte.toml",
        "fleet rollout plan mitte.toml --soak 1h --json",
        "fleet rollout plan --set interval_s=30 --wave one=1 --wave tenth=10% --wave rest",
    ),
)
@plan_options
@click.option("--save", metavar="FILE", type=click.Path(path_type=Path), help="Write the plan there, for `start`.")
@output_option
@fleet_option
def command(
    words: tuple[str, ...], where: str, save: Path | None, out: Output, directory: Path, **options: Any
) -> None:
    """Show what a rollout would do: waves, nodes, bytes, time.

    Nothing is changed. The plan comes from a file (docs/reference/rollout-plan.md), from options, or from both;
    without nodes and --where it is for every node of the products. Nodes that would refuse, or run it already, are
    skipped, with the reason.

    The plan hash stands for the whole plan and every node of it: `start --plan-hash` refuses to start another.
    """
    from fleet.rollouts import planning

    draft = draft_of(words, where, options)
    with opened(directory) as session, board_progress.awaited("Planning", out):
        planned = planning.plan(session.store, session.config, draft, out.now_s)
        approvals = session.config.rollouts.approvals
    show(planned, approvals, out)
    if save is not None:
        _save(save, draft, planned, session.config)
        out.note(f"Saved: `fleet rollout start {save}` starts this plan and no other.")


def show(planned: "Planned", approvals: int, out: Output) -> None:
    """What is planned, as `plan` prints it."""
    sections = (
        ("Waves", WAVES, wave_rows(planned)),
        ("Skipped", SKIPPED, skipped_rows(planned.skipped)),
    )
    row = _row(planned, approvals)
    out.record(without(PLAN, row, "skipped_nodes", "bytes", "bytes_estimated", "approvals"), row, sections)
    for note in planned.notes:
        out.note(note)
    out.note("The times are an estimate: every node is online, and none fails.")
    if planned.estimated:
        out.note("Sizes are one where no payload was built yet: small changes send far less.")


def _row(planned: "Planned", approvals: int) -> dict[str, Any]:
    from fleet.rollouts.standing import goal_text

    plan = planned.plan
    first, last = planned.passages[0], planned.passages[-1]
    return {
        "name": plan.name,
        "goal": goal_text(plan),
        "nodes": len(planned.members),
        "skipped_nodes": len(planned.skipped),
        "bytes": sum(planned.sizes.values()),
        "bytes_estimated": sum(size for node, size in planned.sizes.items() if node in planned.estimated),
        "begins": moment(first.begin_s),
        "ends": moment(last.end_s),
        "seconds": last.end_s - first.begin_s,
        "download": window_text(plan.download),
        "switch": window_text(plan.switch) + _light(plan),
        "in_flight": plan.limits.in_flight,
        "gates": gates_text(plan),
        "on_failure": plan.on_failure,
        "overlap": _overlap(planned),
        "conflicts": {str(rollout): len(shared) for rollout, shared in planned.conflicts.items()},
        "approvals": approvals,
        "hash": planned.hash,
    }


def window_text(window: "Window") -> str:
    """`0 1 * * * for 4h in Europe/Berlin`, or `at any time`."""
    from fleet.rollout.draft import span_text

    return f"{window.cron} for {span_text(window.duration_s)} in {window.zone}" if window.cron else "at any time"


def gates_text(plan: "Plan") -> str:
    """When a wave is good and when it is bad, in a phrase for all waves or one for each."""
    found = {wave.name: _gate_text(wave.gate) for wave in plan.waves}
    if len(set(found.values())) == 1:
        return next(iter(found.values()))
    return "; ".join(f"{name}: {text}" for name, text in found.items())


def _gate_text(gate: "Gate") -> str:
    from fleet.rollout.draft import share_text

    most = f", or more than {gate.failures_max} in all" if gate.failures_max else ""
    return (
        f"goes on at {share_text(gate.success)} proved; halts above {share_text(gate.failures)} failed"
        f" (of {gate.sample} or more){most}; silent for {human.span(gate.deadline_s)} has failed"
    )


def _light(plan: "Plan") -> str:
    targets = {target.product.value for target in plan.targets}
    lamps = plan.places.dark_hours and not plan.now and (not targets or "light" in targets)
    return "; lamps by daylight only" if lamps and plan.goal != "config" else ""


def _overlap(planned: "Planned") -> str:
    if not planned.conflicts:
        return "none has these nodes"
    found = ", ".join(f"rollout {one} has {len(nodes)} of them" for one, nodes in planned.conflicts.items())
    return f"{found}: {planned.plan.overlap}"


def wave_rows(planned: "Planned") -> list[dict[str, Any]]:
    """Rows of WAVES."""
    nodes: list[list[str]] = [[] for _ in planned.plan.waves]
    for node, one in planned.members.items():
        nodes[one.wave].append(node)
    rows = []
    for wave, passage, there in zip(planned.plan.waves, planned.passages, nodes, strict=True):
        kinds = Counter(planned.members[node].kind.value for node in there)
        rows.append(
            {
                "wave": wave.name,
                "count": len(there),
                "bytes": sum(planned.sizes.get(node, 0) for node in there),
                "begins": moment(passage.begin_s),
                "ends": moment(passage.end_s),
                "soak_s": wave.gate.soak_s,
                "judged": wave.judged and planned.plan.judging.enabled,
                "nodes": there,
                "kinds": dict(sorted(kinds.items())),
                "success": wave.gate.success,
                "failures": wave.gate.failures,
                "sample": wave.gate.sample,
                "deadline_s": wave.gate.deadline_s,
            }
        )
    return rows


def skipped_rows(skipped: Iterable[Any]) -> list[Mapping[str, Any]]:
    """Rows of SKIPPED: one for each reason, the most frequent first."""
    found: dict[tuple[str, int], list[str]] = {}
    for one in skipped:
        found.setdefault((one.reason, one.code), []).append(one.node)
    rows: list[Mapping[str, Any]] = [
        {"reason": key[0], "code": key[1], "count": len(nodes), "nodes": nodes} for key, nodes in found.items()
    ]
    return sorted(rows, key=lambda row: -len(row["nodes"]))


def _save(path: Path, draft: "Draft", planned: "Planned", config: "Config") -> None:
    from dataclasses import replace

    from fleet.rollout.draft import text

    remark = f"A plan for {config.directory.name}, by `fleet rollout plan`: {len(planned.members)} nodes."
    found = text(replace(draft, hash=planned.hash), remark)
    try:
        path.write_text(found)
    except OSError as error:
        raise FleetError(f"cannot write {path}", cause=error.strerror or str(error)) from error
