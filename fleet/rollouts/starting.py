"""Use case: keep a plan as a rollout, have it approved, start it. An approval is for one plan hash and no other."""

from dataclasses import replace

from fleet.config import Config
from fleet.errors import NotAllowedError
from fleet.rollout.model import Command, Phase, Step, Verb
from fleet.rollouts import operate, planning
from fleet.rollouts.planning import Planned
from fleet.store import Store
from fleet.store.rollouts import RolloutView

LEAST = 8  # hexadecimal digits that may stand for a plan hash


def keep(store: Store, planned: Planned, actor: str, now_s: int) -> RolloutView:
    """The plan as a rollout that has not started: one of the same hash that waits already, else a new one.

    NotAllowedError when its nodes are in another open rollout and the plan wants to be refused then.
    """
    planning.require_free(planned)
    for view in store.rollouts.all([Phase.DRAFT]):
        if view.hash == planned.hash:
            return view
    plan = replace(planned.plan, name=store.rollouts.free_name(planned.plan.name))
    made = store.rollouts.add(plan, list(planned.members.values()), planned.skipped, actor, now_s, planned.hash)
    return store.rollouts.get(made)


def approve(store: Store, config: Config, view: RolloutView, command: Command, now_s: int) -> Step:
    """Approve the plan of a rollout, as it is; errors of `require_approvable`."""
    require_approvable(store, config, view, command.actor, now_s)
    return operate.operate(store, config, view.id, command, now_s)


def require_approvable(store: Store, config: Config, view: RolloutView, actor: str, now_s: int) -> None:
    """NotAllowedError for whoever made the plan or approved it before, and when its nodes have changed since."""
    if view.head.phase is not Phase.DRAFT:
        raise NotAllowedError(f"rollout {view.id} has started", hint=f"`fleet rollout status {view.id}`")
    if actor == view.created_by:
        raise NotAllowedError(
            f"{actor} made this plan", hint="somebody else has to approve it", cause="an author does not approve"
        )
    if actor in view.head.approvals:
        raise NotAllowedError(f"{actor} has approved rollout {view.id} before")
    require_same(store, config, view, now_s)


def start(
    store: Store, config: Config, view: RolloutView, actor: str, why: str, now_s: int, planned: Planned | None = None
) -> Step:
    """Start it; errors of `require_startable`."""
    require_startable(store, config, view, now_s, planned)
    return operate.operate(store, config, view.id, Command(Verb.START, actor, why), now_s)


def require_startable(
    store: Store, config: Config, view: RolloutView, now_s: int, planned: Planned | None = None
) -> None:
    """NotAllowedError unless it may start. `planned` is what was planned just now, if it was.

    It may not while approvals are missing, when its nodes have changed since it was planned, and when they are in
    another open rollout that it shall not touch.
    """
    missing = view.missing_approvals(config.rollouts.approvals)
    if missing:
        people = "one approval" if missing == 1 else f"{missing} approvals"
        raise NotAllowedError(
            f"rollout {view.id} waits for {people}",
            hint=f"somebody else: `fleet rollout approve {view.id} --plan-hash {view.hash[:12]}`",
            cause="[rollouts] approvals in fleet.toml demands it",
        )
    if view.head.phase is Phase.DRAFT:
        planning.require_free(planned or require_same(store, config, view, now_s))


def require_hash(found: str, wanted: str) -> None:
    """NotAllowedError unless `wanted` is that plan hash, or its begin."""
    if len(wanted) < LEAST or not found.startswith(wanted.lower()):
        raise NotAllowedError(
            "the plan is not the one of that hash",
            hint="look at it again: `fleet rollout plan`",
            cause=f"plan hash {found}, not {wanted}",
        )


def require_same(store: Store, config: Config, view: RolloutView, now_s: int) -> Planned:
    """The plan made anew; NotAllowedError when it is not what it was: a node came, went, or runs something else."""
    planned = planning.again(store, config, view.plan, now_s)
    if planned.hash == view.hash:
        return planned
    before = store.rollouts.members(view.id)
    changed = sorted(node for node in {*before, *planned.members} if before.get(node) != planned.members.get(node))
    some = ", ".join(changed[:3]) + (" ..." if len(changed) > 3 else "")
    raise NotAllowedError(
        f"the nodes of rollout {view.id} have changed since it was planned",
        hint=f"`fleet rollout abort {view.id}`, then plan it anew",
        cause=f"{len(changed)} of them: {some}" if changed else "the plan means something else now",
    )
