"""Which node is in which wave: by the hash of its id, so that the same plan always gives the same waves.

The hash is salted with what the rollout installs: it is not the same nodes that try every release first.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from fleet import selection
from fleet.model import Kind
from fleet.rollout.draft import PlanError
from fleet.rollout.plan import Member, Plan, Wave

Attributes = Callable[[str], selection.Attributes]  # of a node


@dataclass(frozen=True, slots=True)
class Assigned:
    """A plan without the waves that nobody is in, its nodes with their waves, and those that no wave takes."""

    plan: Plan
    members: Mapping[str, Member]
    left: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()  # names of waves


def assign(
    plan: Plan,
    members: Sequence[Member],
    silent: Collection[str] = (),
    attributes: Attributes = lambda node: {},
) -> Assigned:
    """Give every node its wave.

    Nodes that were `silent` come last within a wave of limited size: a canary that is away proves nothing.
    `attributes` are those of a node, for `Wave.where`. PlanError when there are no nodes, or a `where` fits none.
    """
    if not members:
        raise PlanError("no node is left to roll out to")
    total = _counted(members)
    salt = _salt(plan)
    waiting = sorted(members, key=lambda one: (one.node in silent, sha256(salt + one.node.encode()).digest()))
    waves: list[Wave] = []
    found: dict[str, Member] = {}
    dropped = []
    for wave in plan.waves:
        chosen = _chosen(wave, waiting, total, _matching(wave, attributes))
        if not chosen:
            if wave.where and not any(map(_matching(wave, attributes), members)):
                raise PlanError(f"no node of the rollout is in wave {wave.name}", cause=f"none matches {wave.where}")
            dropped.append(wave.name)
            continue
        found.update((one.node, replace(one, wave=len(waves))) for one in chosen)
        waves.append(wave)
        waiting = [one for one in waiting if one.node not in found]
    left = tuple(sorted(one.node for one in waiting))
    if not found:
        raise PlanError("no wave takes a node", hint="leave `count`, `share` and `where` out of the last wave")
    return Assigned(replace(plan, waves=tuple(waves)), dict(sorted(found.items())), left, tuple(dropped))


def _salt(plan: Plan) -> bytes:
    settings = repr(sorted(plan.settings.items())).encode()  # not the name: a rollout is renamed when another has its
    parts = [settings, *(target.digest for target in plan.targets)]
    return sha256(b"".join(sha256(part).digest() for part in parts)).digest()


def _counted(members: Sequence[Member]) -> dict[Kind | None, int]:
    found: dict[Kind | None, int] = {None: len(members)}
    for one in members:
        found[one.kind] = found.get(one.kind, 0) + 1
    return found


def _matching(wave: Wave, attributes: Attributes) -> Callable[[Member], bool]:
    if not wave.where:
        return lambda one: True
    chosen = selection.parse(wave.where)
    return lambda one: selection.matches(chosen, attributes(one.node))


def _chosen(
    wave: Wave, waiting: Sequence[Member], total: Mapping[Kind | None, int], fits: Callable[[Member], bool]
) -> list[Member]:
    if not (wave.count or wave.share):
        return [one for one in waiting if fits(one)]
    room = {kind: max(wave.count, -(-wave.share * count // 1000)) for kind, count in total.items()}
    open_ = {kind for kind in room if (kind is None) is not wave.per_kind}
    found: list[Member] = []
    for one in waiting:
        key = one.kind if wave.per_kind else None
        if key in open_ and fits(one):
            found.append(one)
            room[key] -= 1
            open_ -= {key} if not room[key] else set()
        if not open_:
            break
    return found
