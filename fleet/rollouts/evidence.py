"""The telemetry of a rollout's nodes, gathered for `fleet.rollout.canary` to judge.

`judge_wave` reads at most MOST nodes with the new program and MOST without, of each product, over a bounded time.
"""

from collections.abc import Collection, Mapping, Sequence
from hashlib import sha256
from typing import Any

from fleet.errors import NotFoundError
from fleet.model import Kind, Standing
from fleet.rollout.canary import Judgement, Samples, Subject, Track, judge
from fleet.rollout.canary.windows import GUARD, PAST, PRESENT, WINDOW_S
from fleet.rollout.model import Execution, Phase, Rollout, Stage, State
from fleet.rollout.plan import Goal, Member, Plan
from fleet.store import Store

MOST = 19  # nodes of one product on either side: one alike is beyond 19 others once in 20 times (`score.OUTLIERS`)
ANEW_S = 60  # after which the same is judged again: what is compared may have changed in a way that is not looked at
_NEW = frozenset({Stage.TRIAL, Stage.PROVED})
_FOREVER_S = 1 << 40
_REACH_S = (PAST + PRESENT + 4 * GUARD) * WINDOW_S


def judge_wave(store: Store, plan: Plan, members: Mapping[str, Member], state: State, now_s: int) -> Judgement:
    """What the telemetry says of the nodes that have the new program, those of the present wave first.

    It only reads. Whoever calls keeps the packet when the verdict is another than before.
    """
    head = state.rollout
    subjects: list[Subject] = []
    for kind in Kind:
        chosen = _treated(members, state, kind)
        switched = _switched(store, plan, members, chosen, kind)
        if switched:
            begin_s = min(one.switch_s or 0 for one in switched) - (PAST + 2 * GUARD) * WINDOW_S
            subjects += switched
            subjects += _controls(store, plan, members, state, kind, begin_s)
    return judge(Samples(tuple(subjects), _looks(plan), _about(plan, head, now_s)), plan.judging)


class Watch:
    """`judge_wave` for whoever asks every second: it reads again when some node has told of another window, at most."""

    def __init__(self) -> None:
        self._last: dict[int, tuple[object, Judgement]] = {}  # by rollout: a cache, and nothing that must be kept

    def __call__(self, store: Store, plan: Plan, members: Mapping[str, Member], state: State, now_s: int) -> Judgement:
        """What `judge_wave` says, or said of the same windows."""
        head = state.rollout
        key = head.wave, now_s // ANEW_S, _told(store, members, state)
        last = self._last.get(head.id)
        if last is None or last[0] != key:
            last = self._last[head.id] = key, judge_wave(store, plan, members, state, now_s)
        return last[1]


def _told(store: Store, members: Mapping[str, Member], state: State) -> object:
    """Who has the new program, and the newest window of which they and those that wait have told."""
    new = [(one.node, one.stage) for kind in Kind for one in _treated(members, state, kind)]
    waiting = [node for node, one in state.executions.items() if one.stage is Stage.QUEUED][:MOST]
    newest = store.telemetry.newest([*(node for node, _ in new), *waiting])
    return tuple(new), max((ts // WINDOW_S for ts, _ in newest.values()), default=0)


def _treated(members: Mapping[str, Member], state: State, kind: Kind) -> list[Execution]:
    """Nodes with the new program; the present wave's before those of earlier ones."""
    found = [
        one for node, one in state.executions.items() if one.stage in _NEW and members[node].kind is kind and one.tries
    ]
    return sorted(found, key=lambda one: (one.wave != state.rollout.wave, *_turn(state.rollout, one.node)))[:MOST]


def _switched(
    store: Store, plan: Plan, members: Mapping[str, Member], chosen: Sequence[Execution], kind: Kind
) -> list[Subject]:
    """Those of which it is known, by their own clock, when the new program began, and not too long ago."""
    if not chosen:
        return []
    newest = store.telemetry.newest([one.node for one in chosen])
    until_s = max((ts for ts, _ in newest.values()), default=0)
    boots = _boots(store, plan, members, chosen)
    tracks = {one.node: one for one in store.telemetry.tracks(list(boots), until_s - _REACH_S, _FOREVER_S)}
    found = []
    for one in chosen:
        if one.node in boots:
            switch_s = _switch_s(tracks[one.node], boots[one.node], one.since_s)
            if switch_s is not None and switch_s >= until_s - (PRESENT + 2 * GUARD) * WINDOW_S:
                found.append(Subject(tracks[one.node], kind, switch_s))
    return found


def _boots(
    store: Store, plan: Plan, members: Mapping[str, Member], chosen: Sequence[Execution]
) -> dict[str, int | None]:
    """{node: first boot of the new program}; None where a restart does not tell, but the node has proved it."""
    if plan.goal is Goal.CONFIG:
        return {one.node: None for one in chosen if one.stage is Stage.PROVED}
    starts = store.telemetry.starts([one.node for one in chosen], min(one.ordered_s for one in chosen) * 1000)
    found: dict[str, int | None] = {}
    for one in chosen:
        wanted = plan.manifest_of(members[one.node])
        boots = [start.boot for start in starts[one.node] if start.manifest == wanted]
        if boots or one.stage is Stage.PROVED:
            found[one.node] = boots[0] if boots else None
    return found


def _switch_s(track: Track, boot: int | None, since_s: int) -> int | None:
    """The end of what the program before told: silence after it is the new one's. None: it never told anything."""
    for one in reversed(track.intervals):
        if (one.received_s <= since_s) if boot is None else (one.boot < boot):
            return one.end_s
    return track.intervals[0].t_s if track.intervals else None


def _controls(
    store: Store, plan: Plan, members: Mapping[str, Member], state: State, kind: Kind, begin_s: int
) -> list[Subject]:
    """Nodes of the product that are held back: first those that wait in the rollout, then those outside it."""
    most = min(plan.judging.controls or MOST, MOST)
    waiting = [node for node, one in state.executions.items() if one.stage is Stage.QUEUED and not one.tries]
    heard = _heard(store, state.rollout, [node for node in waiting if members[node].kind is kind], begin_s, most)
    if len(heard) < most:
        targets = {target.manifest for target in plan.targets}
        outside = [
            view.node.id
            for view in store.nodes.views()
            if view.node.kind is kind and view.node.standing is Standing.ACCEPTED and view.node.id not in members
            if not (view.state and view.state.manifest in targets)
        ]
        heard += _heard(store, state.rollout, outside, begin_s, most - len(heard))
    return [Subject(track, kind) for track in store.telemetry.tracks(heard, begin_s, _FOREVER_S)]


def _heard(store: Store, head: Rollout, nodes: Collection[str], begin_s: int, most: int) -> list[str]:
    """Some of these nodes, always the same, of those that told something since then."""
    turns = sorted(nodes, key=lambda node: _turn(head, node))[: 4 * most]
    newest = store.telemetry.newest(turns) if turns else {}
    return [node for node in turns if node in newest and newest[node][0] >= begin_s][:most]


def _turn(head: Rollout, node: str) -> tuple[bytes, str]:
    return sha256(f"{head.id} {node}".encode()).digest(), node


def _looks(plan: Plan) -> int:
    return max(1, sum(wave.judged for wave in plan.waves))


def _about(plan: Plan, head: Rollout, now_s: int) -> dict[str, str | int]:
    name = plan.waves[head.wave].name if head.wave < len(plan.waves) else ""
    return {"rollout": head.id, "plan": plan.name, "wave": head.wave, "wave_name": name, "at_s": now_s}


def latest(store: Store, rollout: str | int, wave: int | None, now_s: int) -> Mapping[str, Any]:
    """The evidence on a wave, counted from 0, or on the present one, as a packet.

    While the wave is under way it is judged now; later the last packet that was kept for it counts. NotFoundError:
    there is none.
    """
    view = store.rollouts.get(rollout)
    index = view.head.wave if wave is None else wave
    if view.head.phase in (Phase.RUNNING, Phase.PAUSED) and index == view.head.wave:
        state = store.rollouts.state(view.id)
        return judge_wave(store, view.plan, store.rollouts.members(view.id), state, now_s).packet
    keys = [key for key, of, _at_s in store.rollouts.evidence_of(view.id) if of == index]
    if not keys:
        raise NotFoundError(
            f"no evidence on wave {index + 1} of rollout {view.id}",
            hint="its telemetry was not judged: the plan does not say so, or it never came that far",
        )
    return store.rollouts.evidence(keys[-1])
