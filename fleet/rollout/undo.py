"""The rollout that takes another one back: it boots the program that ran before, or gives settings back."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from fleet.rollout.model import Execution
from fleet.rollout.plan import Goal, Judging, Member, Mode, OnFailure, Overlap, Plan, Skipped, Wave


@dataclass(frozen=True, slots=True)
class Undone:
    """A plan with its nodes, and those of which nobody knows what ran there before."""

    plan: Plan
    members: tuple[Member, ...]
    skipped: tuple[Skipped, ...]


def undone(
    rollout: int,
    plan: Plan,
    members: Mapping[str, Member],
    executions: Mapping[str, Execution],
    nodes: Collection[str],
    *,
    staged: bool,
    settings: bool,
) -> Undone:
    """What takes `rollout` back on `nodes`, members of it; the name is to be made a free one.

    `staged` keeps its waves and gates, else one wave without soak and judging takes all at once. With `settings` no
    program is booted: what the nodes are given back is in the database.
    """
    taking, skipped = [], []
    for node in nodes:
        before = executions[node].before or members[node].before
        if before or settings:
            taking.append(replace(members[node], before=before, wave=members[node].wave if staged else 0))
        else:
            skipped.append(Skipped(node, "nobody knows what ran there before"))
    at_once = (Wave("undo", judged=False, gate=replace(plan.waves[-1].gate, soak_s=0)),)
    undoing = replace(
        plan,
        name=f"undo-{plan.name}",
        goal=Goal.PREVIOUS,
        targets=(),
        settings={},
        where="",
        nodes=tuple(one.node for one in taking),
        mode=Mode.SNAPSHOT,
        waves=plan.waves if staged else at_once,
        judging=plan.judging if staged else Judging(enabled=False),
        on_failure=OnFailure.PAUSE,  # an undo of an undo would bring back what is undone
        overlap=Overlap.SUPERSEDE,
        force=True,
        parent=rollout,
    )
    return Undone(undoing, tuple(taking), tuple(skipped))
