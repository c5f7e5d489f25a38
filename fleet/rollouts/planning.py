"""Use case: what a rollout would do, node by node, before anything is done. It reads a whole table at a time.

What a node would refuse is found here and not in the field: it is skipped, with the reason.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fleet import campaigns, nodes, signing
from fleet.config import Config
from fleet.errors import NotAllowedError, UsageError
from fleet.model import Kind, Standing
from fleet.rollout import sun, waves, windows
from fleet.rollout.draft import Draft, PlanError, plan_hash
from fleet.rollout.plan import DAY_S, Goal, Member, Overlap, Plan, Skipped, Target
from fleet.rollouts import cost, eligibility, places
from fleet.rollouts.cost import Passage, Payload
from fleet.rollouts.eligibility import Facts
from fleet.store import Store
from fleet.store.nodes import NodeView
from protocol.trust import Release

SILENT_S = 86400  # a node that was not heard for so long comes last within a wave of limited size
_SEVERAL = 3  # nodes that an error names
_AHEAD_S = 31 * DAY_S  # how far ahead daylight is looked for


@dataclass(frozen=True)
class Planned:
    """A rollout that has not begun."""

    plan: Plan
    members: Mapping[str, Member]  # by id, sorted
    skipped: tuple[Skipped, ...]
    hash: str
    sizes: Mapping[str, int]  # {node: bytes that it fetches}; empty unless a release is installed
    estimated: frozenset[str]  # the nodes whose size nobody has measured
    passages: tuple[Passage, ...]  # of each wave
    conflicts: Mapping[int, tuple[str, ...]]  # {open rollout: nodes of this one that it has not done with}
    notes: tuple[str, ...] = ()
    runs: Mapping[bytes, int] | None = None  # {manifest: nodes of the rollout that run it}


def plan(store: Store, config: Config, draft: Draft, now_s: int) -> Planned:
    """What the draft means now; nothing is changed.

    PlanError when nobody is left to roll out to; NotFoundError for a release or node that does not exist;
    NotAllowedError for a release that was yanked, SignatureError for one that no node would take.
    """
    views = store.nodes.views()
    chosen, facts = _facts(store, config, draft, views, now_s)
    site = _site(views, facts.plan)
    members, skipped = _sorted_out(chosen, facts, site)
    if not members:
        raise _empty(draft, chosen, skipped)
    assigned = waves.assign(facts.plan, members, _silent(chosen, now_s), _attributes(chosen, facts.plan, now_s))
    skipped += [Skipped(node, "no wave takes it") for node in assigned.left]
    _require_light(assigned.plan, assigned.members, now_s)
    sizes, estimated = _sizes(config, assigned.members, facts)
    return Planned(
        plan=assigned.plan,
        members=assigned.members,
        skipped=tuple(sorted(skipped, key=lambda one: one.node)),
        hash=hash_of(assigned.plan, assigned.members),
        sizes=sizes,
        estimated=estimated,
        passages=tuple(cost.passages(assigned.plan, assigned.members, sizes, now_s)),
        conflicts=_conflicts(store, assigned.members),
        notes=_notes(assigned, facts, site),
        runs=Counter(one.before for one in assigned.members.values()),
    )


def hash_of(plan: Plan, members: Mapping[str, Member]) -> str:
    """The plan hash. What a rollout is called changes nothing that happens, and so not its hash."""
    return plan_hash(replace(plan, name=""), members)


def again(store: Store, config: Config, plan_: Plan, now_s: int) -> Planned:
    """The same plan, made once more of what the fleet is now: its hash tells whether anything has changed."""
    releases = tuple(target.release for target in plan_.targets)
    return plan(store, config, Draft(plan_, releases, source=plan_.name), now_s)


def joiners(store: Store, config: Config, plan_: Plan, known: Collection[str], now_s: int) -> list[Member]:
    """CONTINUOUS: nodes that match now, can take part and are not `known`, as members of the last wave."""
    views = store.nodes.views()
    draft = Draft(plan_, tuple(target.release for target in plan_.targets))
    try:
        chosen, facts = _facts(store, config, draft, views, now_s)
    except UsageError:  # no node has an attribute any more that the selection names
        return []
    new = [view for view in chosen if view.node.id not in known]
    members, _ = _sorted_out(new, facts, _site(views, plan_)) if new else ([], [])
    return [replace(one, wave=len(plan_.waves) - 1) for one in members]


def require_free(planned: Planned) -> None:
    """NotAllowedError when nodes are in another open rollout and the plan wants to be refused then."""
    if planned.plan.overlap is not Overlap.REFUSE or not planned.conflicts:
        return
    rollout, shared = next(iter(planned.conflicts.items()))
    raise NotAllowedError(
        f"rollout {rollout} is not done with {len(shared)} of these nodes",
        cause=_some(shared),
        hint='wait for it, or plan with overlap = "after" or "supersede"',
    )


def _facts(
    store: Store, config: Config, draft: Draft, views: Sequence[NodeView], now_s: int
) -> tuple[list[NodeView], Facts]:
    plan_, releases = draft.plan, {}
    if plan_.goal is not Goal.CONFIG:
        campaigns.check_root(config, signing.roots(config), now_s)
    if plan_.goal is Goal.RELEASE:
        releases = _targets(store, config, draft.releases, now_s)
        plan_ = replace(plan_, targets=tuple(releases[kind][0] for kind in sorted(releases)))
    chosen = _chosen(store, plan_, views, now_s)
    if plan_.goal is Goal.RELEASE and not (plan_.nodes or plan_.where):
        chosen = [view for view in chosen if view.node.kind in releases]  # who wants air-1.5.0 means stations
    return chosen, Facts(
        plan=plan_,
        releases=releases,
        said={} if plan_.goal is Goal.CONFIG else store.campaigns.updates(),
        published={(row.product, row.manifest): row for row in store.releases.all()} if releases else {},
        desired=_desired(store, chosen) if plan_.goal is Goal.CONFIG else {},
    )


def _desired(store: Store, chosen: Sequence[NodeView]) -> dict[str, Mapping[int, Any]]:
    return {node: one.values for node, one in store.configs.next([view.node.id for view in chosen]).items()}


def _targets(store: Store, config: Config, names: Sequence[str], now_s: int) -> dict[Kind, tuple[Target, Release]]:
    found: dict[Kind, tuple[Target, Release]] = {}
    roots = signing.roots(config)
    for name in names:
        published = store.releases.get(name)
        release = campaigns.opened(published, roots, now_s)
        kind = Kind(release.product)
        if kind in found:
            raise PlanError(f"{found[kind][0].release} and {published.id} are both for {kind}", hint="one per product")
        about = published.digest, published.manifest, published.sequence, published.base
        found[kind] = Target(kind, published.id, *about), release
    return found


def _chosen(store: Store, plan_: Plan, views: Sequence[NodeView], now_s: int) -> list[NodeView]:
    if plan_.nodes:
        known = {view.node.id: view for view in views}
        for missing in plan_.nodes:
            if missing not in known:
                store.nodes.view(missing)  # raises NotFoundError, with the ids that look like it
        return [known[node] for node in sorted(plan_.nodes)]
    fits = nodes.fitting(plan_.where, views, now_s) if plan_.where else lambda view: True
    return [view for view in views if view.node.standing is Standing.ACCEPTED and fits(view)]


@dataclass(frozen=True)
class _Site:
    """Where nodes hang, whether they take part or not."""

    places: Mapping[str, places.Place]
    neighbours: Mapping[str, tuple[str, ...]]  # of lamps
    nowhere: tuple[str, ...]  # nodes whose tags say no place on earth


def _site(views: Sequence[NodeView], plan_: Plan) -> _Site:
    found: dict[str, places.Place] = {}
    lamps: dict[str, places.Place] = {}
    nowhere: list[str] = []
    for view in views:
        try:
            place = places.place_of(view.node.tags)
        except UsageError:
            nowhere.append(view.node.id)
            continue
        if place is not None and view.node.standing is Standing.ACCEPTED:
            found[view.node.id] = place
            if view.node.kind is Kind.LIGHT:
                lamps[view.node.id] = place
    return _Site(found, places.neighbours(lamps, plan_.places.neighbour_m), tuple(nowhere))


def _sorted_out(chosen: Sequence[NodeView], facts: Facts, site: _Site) -> tuple[list[Member], list[Skipped]]:
    members, skipped = [], []
    for view in chosen:
        reason = eligibility.skipped(view, facts)
        if reason is None:
            members.append(_member(view, facts, site))
        else:
            skipped.append(reason)
    return members, skipped


def _member(view: NodeView, facts: Facts, site: _Site) -> Member:
    node = view.node
    lat, lon = site.places.get(node.id, (None, None))
    said = facts.said.get(node.id)
    previous = said.spare if said and facts.plan.goal is Goal.PREVIOUS else b""
    before = previous or (view.state.manifest if view.state else b"")
    district = node.tags.get(facts.plan.places.district, "")
    return Member(node.id, node.kind, 0, node.board, lat, lon, district, site.neighbours.get(node.id, ()), before)


def _silent(chosen: Sequence[NodeView], now_s: int) -> frozenset[str]:
    since_ms = (now_s - SILENT_S) * 1000
    return frozenset(view.node.id for view in chosen if (view.last_seen_ms or 0) < since_ms)


def _attributes(chosen: Sequence[NodeView], plan_: Plan, now_s: int) -> waves.Attributes:
    views = {view.node.id: view for view in chosen} if any(wave.where for wave in plan_.waves) else {}
    return lambda node: nodes.attributes(views[node], now_s)


def _sizes(config: Config, members: Mapping[str, Member], facts: Facts) -> tuple[dict[str, int], frozenset[str]]:
    if facts.plan.goal is not Goal.RELEASE:
        return {}, frozenset()
    releases = {target.digest: release for target, release in facts.releases.values()}
    targets = {kind: target for kind, (target, _) in facts.releases.items()}
    known = {manifest for _, manifest in facts.published}
    pairs = {
        node: (targets[one.kind], one.before if one.before in known else cost.FULL) for node, one in members.items()
    }
    prices: dict[tuple[bytes, bytes], Payload] = cost.payloads(config, pairs.values(), releases)
    found = {node: prices[target.digest, runs] for node, (target, runs) in pairs.items()}
    estimated = frozenset(node for node, one in found.items() if not one.exact)
    return {node: one.size for node, one in found.items()}, estimated


def _conflicts(store: Store, members: Mapping[str, Member]) -> dict[int, tuple[str, ...]]:
    found: dict[int, list[str]] = {}
    for node, rollouts in store.rollouts.unfinished().items():
        if node in members:
            for rollout in rollouts:
                found.setdefault(rollout, []).append(node)
    return {rollout: tuple(shared) for rollout, shared in sorted(found.items())}


def _empty(draft: Draft, chosen: Sequence[NodeView], skipped: Sequence[Skipped]) -> PlanError:
    if not chosen:
        return PlanError(f"{draft.source}: no node matches", hint="`fleet node list --where ...` shows who would")
    reasons = Counter(one.reason for one in skipped).most_common(_SEVERAL)
    return PlanError(
        f"{draft.source}: none of {len(chosen)} nodes would take part",
        cause="; ".join(f"{count} {'node' if count == 1 else 'nodes'}: {reason}" for reason, count in reasons),
    )


def _require_light(plan_: Plan, members: Mapping[str, Member], now_s: int) -> None:
    """PlanError when lamps could never restart: the window has no hour of daylight."""
    lamp = next((one for one in members.values() if one.kind is Kind.LIGHT and one.lat_udeg is not None), None)
    if lamp is None or not plan_.switch.cron or not plan_.places.dark_hours or plan_.now or plan_.goal is Goal.CONFIG:
        return
    until_s = now_s + min(plan_.expires_s, _AHEAD_S)
    light = sun.daylight(lamp.lat_udeg or 0, lamp.lon_udeg or 0, now_s, until_s)
    if not sun.intersect(windows.spans(plan_.switch, now_s, until_s), light):
        raise PlanError(
            "lamps restart by daylight only, and the switch window has none",
            cause=f"{lamp.node} would wait until the rollout expires",
            hint="move the window, give lamps a rollout of their own, or say places.dark_hours = false",
        )


def _notes(assigned: waves.Assigned, facts: Facts, site: _Site) -> tuple[str, ...]:
    found = [f"Wave {name} has no nodes and is left out." for name in assigned.dropped]
    plan_, members = assigned.plan, assigned.members.values()
    lamps = [one for one in members if one.kind is Kind.LIGHT]
    lost = sum(one.lat_udeg is None for one in lamps)
    if lost and (plan_.places.dark_hours or plan_.places.neighbour_m) and not plan_.now:
        found.append(f"{lost} of {len(lamps)} lamps have no place (tags lat, lon): no rule about places holds there.")
    if site.nowhere:
        found.append(f"The tags lat and lon of {_some(site.nowhere)} are no place on earth.")
    for target in plan_.targets:
        if target.product not in {one.kind for one in members}:
            found.append(f"No node takes {target.release}.")
    return tuple(found)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SEVERAL]) + (" ..." if len(names) > _SEVERAL else "")
