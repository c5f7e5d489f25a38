"""One rehearsal: the engine's own step over simulated nodes and simulated time, from the start to the end."""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from fleet.rollout.logged import settled
from fleet.rollout.model import ENDED, IN_FLIGHT, Command, Order, Phase, Seen, Stage, Step, Verb, Verdict
from fleet.rollout.plan import Member, Plan
from fleet.rollout.rehearse.nodes import Field, Traits
from fleet.rollout.rehearse.twin import Record
from fleet.rollout.step import create, due, step

ACTOR = "rehearsal"
_IDLE_S = 300  # between two looks while nobody is under way, at most
_TICKS = 300  # looks of a rollout that is as fast as its limits allow, about
_TICK_S = (5, 60)  # the shortest and the longest time between two looks while nodes are under way
_ATTEMPT_S = 240  # of one node, for that estimate


@dataclass(frozen=True, slots=True)
class Run:
    """How one rehearsal went. Times are seconds since the start."""

    seed: int
    phase: Phase
    reason: str
    ended_s: int
    proved_s: tuple[int, ...]  # when each node that was proved was so, ascending
    bytes: int
    exposed: int  # nodes that ever ran the new program
    ordered: int
    wave: int  # the one under way at the end
    halted_s: int = 0  # 0 = it was never halted
    steps: int = 0

    @property
    def is_caught(self) -> bool:
        """Whether a gate stopped it."""
        return self.phase in (Phase.HALTED, Phase.ABORTED)


@dataclass(frozen=True, slots=True)
class Setting:
    """What is the same in every run."""

    plan: Plan
    members: Mapping[str, Member]
    record: Record
    start_s: int
    tick_s: int

    @property
    def horizon_s(self) -> int:
        """When the last order has expired."""
        longest = max(wave.gate.deadline_s for wave in self.plan.waves)
        return self.start_s + self.plan.expires_s + longest


def setting(plan: Plan, members: Mapping[str, Member], record: Record, start_s: int) -> Setting:
    """A plan and its twin, looked at as often as its size allows: each few seconds, or each minute for a city."""
    rounds = -(-len(members) // plan.limits.in_flight) * _ATTEMPT_S
    fastest = max(rounds, len(members) * 60 // plan.limits.per_minute)
    return Setting(plan, members, record, start_s, min(max(fastest // _TICKS, _TICK_S[0]), _TICK_S[1]))


def rehearse(given: Setting, traits: Traits, seed: int) -> Run:
    """Run it once. The same seed gives the same run."""
    random = Random(seed)
    day = random.randrange(given.record.days)
    field = Field(given.record, traits, random, given.start_s, given.record.offset(given.start_s, day))
    field.add(given.members.values())
    return _Rehearsal(given, field, seed).run()


class _Rehearsal:
    """The service, the operator and the clock of one run."""

    def __init__(self, given: Setting, field: Field, seed: int) -> None:
        self.given = given
        self.field = field
        self.seed = seed
        self.state = create(1, given.plan, given.members)
        self.proved: list[int] = []
        self.ordered: set[str] = set()
        self.counters: dict[str, int] = {}
        self.halted_s = 0
        self.steps = 0

    def run(self) -> Run:
        """Until it ends, a gate stops it, or nobody is left who could come."""
        now = self.given.start_s
        reports = [node.report for node in self.field.nodes.values()]
        self._step(Seen(reports=tuple(reports), command=Command(Verb.START, ACTOR)), now)
        while self.state.rollout.phase is Phase.RUNNING and now < self.given.horizon_s:
            now = self._look(now)
        return self._ended(now)

    def _look(self, now_s: int) -> int:
        """One step at `now_s`, and when the next one is worth it."""
        reports = {one.node: one for one in self.field.until(now_s)}
        for node in due(self.given.plan, self.state, now_s) - reports.keys():
            reports[node] = self.field.nodes[node].report
        told = self._step(Seen(reports=tuple(reports.values()), verdict=self._verdict(now_s)), now_s)
        if told.changed or told.actions:
            return now_s + self.given.tick_s
        return min(max(self.field.next_s, now_s + self.given.tick_s), now_s + self._pause(now_s))

    def _pause(self, now_s: int) -> int:
        """How long nothing can happen by itself: until the rollout expires, when whoever is not through is away."""
        waits = (one for one in self.state.executions.values() if one.stage not in ENDED)
        moves = any(one.online or one.stage in IN_FLIGHT for one in waits)
        over_s = self.given.start_s + self.given.plan.expires_s
        return _IDLE_S if moves or self._soaks(now_s) or now_s >= over_s else over_s - now_s

    def _soaks(self, now_s: int) -> bool:
        head = self.state.rollout
        return head.soak_s > 0 and now_s <= head.soak_s + self.given.plan.waves[head.wave].gate.soak_s + _IDLE_S

    def _verdict(self, now_s: int) -> Verdict | None:
        """Telemetry is not simulated: it speaks for the release once the soak is over."""
        head = self.state.rollout
        soaked = head.soak_s and now_s >= head.soak_s + self.given.plan.waves[head.wave].gate.soak_s
        return Verdict.PROMOTE if soaked and head.verdict is Verdict.HOLD else None

    def _step(self, seen: Seen, now_s: int) -> Step:
        self.steps += 1
        told = step(self.given.plan, self.given.members, self.state, seen, now_s)
        orders = [action for action in told.actions if isinstance(action, Order)]
        for order in orders:
            self.counters[order.node] = self.counters.get(order.node, 0) + 1
            self.ordered.add(order.node)
        before = self.state
        self.state = settled(told, {order.node: self.counters[order.node] for order in orders}, before)
        for one in told.changed:
            if one.stage is Stage.PROVED and before.executions[one.node].stage is not Stage.PROVED:
                self.proved.append(now_s - self.given.start_s)
            if one.stage in ENDED:
                self.field.forget(one.node)
        if told.rollout.phase in (Phase.HALTED, Phase.ABORTED) and not self.halted_s:
            self.halted_s = now_s - self.given.start_s
        self.field.take(told.actions, self.counters, now_s)
        return told

    def _ended(self, now_s: int) -> Run:
        head, field = self.state.rollout, self.field
        return Run(
            self.seed, head.phase, head.reason, now_s - self.given.start_s, tuple(self.proved), field.bytes,
            len(field.exposed), len(self.ordered), head.wave, self.halted_s, self.steps,
        )  # fmt: skip
