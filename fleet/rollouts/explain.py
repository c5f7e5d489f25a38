"""Use case: every reason, in order, why a node is not on the target, and when it is expected to move.

What a rollout does with it is said by the engine itself (`fleet.rollout.explain`); the rest is what the database knows:
orders that people gave, configurations, releases, and what the node last said.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from fleet import campaigns, nodes, status
from fleet.campaigns import Verdict
from fleet.model import NodeUpdate, Ordered, Standing
from fleet.rollout import explain
from fleet.rollout.advice import CODES, HOLDS, STAGES, WAIT
from fleet.rollout.explain import Reason, moment, said
from fleet.rollout.model import ENDED, Execution, Hold, Phase, Seen, Stage, State
from fleet.rollout.plan import Goal, Mode, Plan
from fleet.rollout.unselected import failing
from fleet.rollouts.deciding import Watched
from fleet.rollouts.facts import Mirror
from fleet.rollouts.surroundings import Surroundings
from fleet.selection import parse
from fleet.store import Store
from fleet.store.nodes import NodeView
from fleet.store.rollouts import OPEN, RolloutView
from protocol.trust import STOP

_WAITING = (Phase.DRAFT, *OPEN)


@dataclass(frozen=True)
class Part:
    """What one thing has to do with it."""

    about: str  # "node", "target", "rollout 7 (air-1.5.0)", "order 12", "configuration"
    reasons: Sequence[Reason]  # never empty
    is_open: bool = False  # it may still move the node


@dataclass(frozen=True)
class Explanation:
    """All that is to be said of a node; `parts` are never empty."""

    node: str
    runs: bytes  # manifest; empty = unknown
    wanted: bytes  # manifest; empty = nothing was ordered that is known
    on_target: bool  # it runs what it shall, proved or not
    parts: Sequence[Part]

    @property
    def reasons(self) -> list[Reason]:
        """Every reason, in order."""
        return [reason for part in self.parts for reason in part.reasons]

    def expected_s(self, now_s: int) -> int:
        """When it moves, as the newest open rollout or order says; 0 = nobody can say, or nothing will move it."""
        for part in self.parts:
            if part.is_open:
                return explain.expected_s(part.reasons, now_s)
        return 0


def explanation(store: Store, node: str, now_s: int, approvals: int = 0) -> Explanation:
    """Why this node is where it is; NotFoundError. `approvals` is how many the fleet demands of a rollout."""
    return Explainer(store, now_s, approvals).explain(node)


class Explainer:
    """Explains nodes at one moment: what is to be known of the whole fleet is read once for all of them."""

    def __init__(self, store: Store, now_s: int, approvals: int = 0) -> None:
        self._store = store
        self._now_s = now_s
        self._approvals = approvals
        self._over: dict[int, Watched] = {}

    def explain(self, node: str) -> Explanation:
        """Why this node is where it is; NotFoundError."""
        store, now_s = self._store, self._now_s
        view = store.nodes.view(node)
        mine = store.rollouts.of_node(node)
        ordered, told = store.campaigns.orders([node]).get(node), store.campaigns.updates([node]).get(node)
        own = ordered if ordered is not None and not ordered.group else None
        runs = view.state.manifest if view.state else b""
        wanted = _wanted(store, view, mine, own)
        parts = [
            Part("node", _node(store, view, now_s)),
            Part("target", _target(runs, wanted, told)),
            *self._rollouts(view, mine),
            *_strangers(store, view, {one.id for one, _ in mine}, now_s),
            *_orders(own, told, now_s),
            Part("configuration", _configuration(view)),
        ]
        there = [part for part in parts if part.reasons]
        return Explanation(node, runs, wanted, bool(wanted) and runs == wanted, there)

    def _rollouts(self, view: NodeView, mine: Sequence[tuple[RolloutView, Execution]]) -> Iterable[Part]:
        """Each that may still move it, the newest first; when there is none, the last one that is over."""
        waiting = [rollout for rollout, _ in mine if rollout.head.phase in _WAITING]
        for rollout in waiting or [one for one, _ in mine[:1]]:
            own = self._watched(rollout.id)
            state = _now(own.state, view)
            reasons = explain.explain(own.plan, own.members, state, view.node.id, self._seen(own), self._now_s)
            if own.phase is Phase.DRAFT:
                reasons[1:1] = _approval(rollout, self._approvals)
            moves = own.phase in _WAITING and own.state.executions[view.node.id].stage not in ENDED
            yield Part(_name(rollout), reasons, moves)

    def _seen(self, own: Watched) -> Seen:
        return Surroundings(self._store, self._mirror, list(self._waiting.values()), self._now_s).seen(own)

    def _watched(self, rollout: int) -> Watched:
        if rollout not in self._waiting and rollout not in self._over:
            self._over[rollout] = Watched.load(self._store, rollout)
        return self._waiting.get(rollout) or self._over[rollout]

    @cached_property
    def _waiting(self) -> dict[int, Watched]:
        return {one.id: Watched.load(self._store, one.id) for one in self._store.rollouts.all(_WAITING)}

    @cached_property
    def _mirror(self) -> Mirror:
        made = Mirror(self._store)
        made.refresh(self._now_s * 1000)
        return made


def _node(store: Store, view: NodeView, now_s: int) -> list[Reason]:
    """What keeps it from anything at all."""
    if view.node.standing is Standing.RETIRED:
        when = f" since {moment(view.node.retired_s)}" if view.node.retired_s else ""
        return [Reason("node.retired", f"it is retired{when}", 0, STAGES[Stage.REMOVED])]
    if view.node.standing is Standing.PENDING:
        return [Reason("node.pending", "it asks to be accepted", 0, f"`fleet node accept {view.node.id}`")]
    found = []
    if not status.service_runs(store, now_s):
        found.append(Reason("service.stopped", "the service does not run: nothing is ordered", 0, "`fleet serve`"))
    if view.state is None or view.last_seen_ms is None:
        found.append(Reason("node.never", "it was never heard of", 0, "look at its power and network"))
    elif not view.state.online:
        since = moment(view.last_seen_ms // 1000)
        found.append(Reason("node.offline", f"it is offline; last heard {since}", 0, "look at its power and network"))
    if view.state is not None and view.state.safe_mode:
        found.append(Reason("node.safe-mode", "it is in safe mode; it can be updated", 0, "`fleet node logs` says why"))
    return found


def _target(runs: bytes, wanted: bytes, told: NodeUpdate | None) -> list[Reason]:
    if not wanted:
        return [Reason("target.none", "no rollout and no order wants another program", 0, "`fleet rollout plan`")]
    if runs != wanted:
        return []
    if told is not None and told.proved is not None and told.proved.manifest == wanted:
        return [Reason("target.proved", f"it runs the target, proved {moment(told.proved.at_ms // 1000)}")]
    words = "it says that it runs the target, and has not proved it"
    return [Reason("target.claimed", words, 0, "a new order asks for a proof: `fleet node update`")]


def _wanted(store: Store, view: NodeView, mine: Sequence[tuple[RolloutView, Execution]], own: Ordered | None) -> bytes:
    """The manifest that the newest rollout or order wants it to run."""
    for rollout, execution in mine:
        if own is not None and own.issued_s >= rollout.created_s:
            break
        dropped = execution.stage in (Stage.SUPERSEDED, Stage.STOPPED)
        if rollout.plan.goal is not Goal.CONFIG and rollout.head.phase is not Phase.DRAFT and not dropped:
            return _manifest(store, view, rollout)
    return own.manifest if own is not None else b""


def _manifest(store: Store, view: NodeView, rollout: RolloutView) -> bytes:
    if rollout.plan.goal is Goal.PREVIOUS:
        return store.rollouts.members(rollout.id)[view.node.id].before
    target = rollout.plan.target_of(view.node.kind)
    return target.manifest if target else b""


def _now(state: State, view: NodeView) -> State:
    """The state with the node's presence of now: a draft has heard of nobody yet."""
    online = view.state is not None and view.state.online
    one = replace(state.executions[view.node.id], online=online)
    return State(state.rollout, {**state.executions, one.node: one})


def _approval(rollout: RolloutView, wanted: int) -> list[Reason]:
    missing = rollout.missing_approvals(wanted)
    if not missing:
        return []
    words = f"{wanted - missing} of {wanted} people have approved it"
    return [Reason(explain.hold_code(Hold.APPROVAL), words, 0, HOLDS[Hold.APPROVAL])]


def _strangers(store: Store, view: NodeView, known: set[int], now_s: int) -> Iterable[Part]:
    """Open rollouts that do not have it: the reason of each."""
    for rollout in store.rollouts.all(_WAITING):
        if rollout.id not in known and view.node.standing is Standing.ACCEPTED:
            skipped = {one.node: one for one in store.rollouts.skipped(rollout.id)}
            one = skipped.get(view.node.id)
            if one is not None:
                code = f"skipped.{explain.code_name(one.code)}" if one.code else "skipped"
                yield Part(_name(rollout), [Reason(code, f"left out: {one.reason}", 0, CODES.get(one.code, ""))])
            else:
                yield Part(_name(rollout), _unselected(rollout.plan, nodes.attributes(view, now_s)))


def _unselected(plan: Plan, attributes: Mapping[str, str | int | bool | None]) -> list[Reason]:
    products = {target.product.value for target in plan.targets}
    if plan.nodes:
        return [Reason("selection.nodes", "the rollout names other nodes", 0, "plan another one for it")]
    if products and attributes["kind"] not in products:
        words = f"the rollout is for {' and '.join(sorted(products))}; it is {attributes['kind']}"
        return [Reason("selection.kind", words, 0, "plan another one for it")]
    fails = failing(parse(plan.where), attributes) if plan.where else []
    if fails:
        return [Reason("selection.where", f"not selected: {words}", 0, "`fleet node set` for tags") for words in fails]
    if plan.mode is Mode.CONTINUOUS:
        return [Reason("selection.joining", "it matches by now and joins the last wave", 0, WAIT)]
    return [Reason("selection.later", "it matches by now, and did not when this was planned", 0, "plan another one")]


def _orders(own: Ordered | None, told: NodeUpdate | None, now_s: int) -> Iterable[Part]:
    """The newest order of a person, outside rollouts."""
    if own is None:
        return
    found = campaigns.progress(own, told, now_s)
    name = f"order {own.counter}"
    words = f"{campaigns.ACTIONS.get(own.action, 'order')} by {own.actor}: {campaigns.describe(found)}"
    if found.verdict is Verdict.DONE:
        yield Part(name, [Reason("order.done", words)])
        return
    is_open = found.verdict is Verdict.OPEN and own.action != STOP
    expires = own.expires_s if is_open else 0
    reasons = [Reason(f"order.{found.verdict}", words, expires, WAIT if is_open else "`fleet node update` again")]
    if told is not None and told.counter == own.counter and told.code:
        reasons.append(said(Goal.RELEASE, told.code, told.text, expires))
    yield Part(name, reasons, is_open)


def _configuration(view: NodeView) -> list[Reason]:
    standing = nodes.config_status(view)
    if standing == "pending" and view.node.standing is Standing.ACCEPTED:
        return [Reason("config.pending", f"revision {view.config_rev} is on its way", 0, WAIT)]
    if standing == "refused" and view.state is not None:
        return [said(Goal.CONFIG, view.state.config_error, view.state.config_path)]
    return []


def _name(rollout: RolloutView) -> str:
    return f"rollout {rollout.id} ({rollout.name})"
