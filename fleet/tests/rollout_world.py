"""A fleet in miniature that the decision engine drives, and that checks each of its decisions.

`World` keeps what the service would keep, numbers the orders as it would, and after every step compares what was
decided with rules that are written here a second time, in fractions and whole sets instead of counters. Its nodes know
the stages of an update; whoever drives it chooses what they do, and in which order their words arrive.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction

from fleet.model import Kind
from fleet.rollout import holds, wire
from fleet.rollout.logged import Logged, settled
from fleet.rollout.model import (
    ENDED,
    FAILURES,
    IN_FLIGHT,
    Command,
    Execution,
    Halt,
    Order,
    Phase,
    Report,
    Seen,
    Stage,
    State,
    Step,
    Stop,
    Verb,
)
from fleet.rollout.plan import Gate, Goal, Judging, Limits, Member, Places, Plan, Wave
from fleet.rollout.situation import Situation
from fleet.rollout.step import create, due, step
from protocol import update

NOW = 1_800_000_000  # a Friday, 08:00 UTC
OLD, NEW, OTHER = b"\x01" * 32, b"\x02" * 32, b"\x03" * 32
BERLIN = (52_520_000, 13_405_000)


def member(node: str, wave: int = 0, kind: Kind = Kind.AIR, **more: object) -> Member:
    return Member(node, kind, wave, before=OLD, **more)  # type: ignore[arg-type]


def members_of(*waves: int, kind: Kind = Kind.AIR) -> dict[str, Member]:
    """So many nodes in each wave: n-1, n-2 ..."""
    names = [(f"n-{at}", wave) for at, wave in enumerate((w for w, count in enumerate(waves) for _ in range(count)), 1)]
    return {name: member(name, wave, kind) for name, wave in names}


def calm(**more: object) -> Plan:
    """A plan without soak, judging or places: what a test wants of them it says."""
    values: dict[str, object] = {
        "name": "calm",
        "waves": (Wave("first", judged=False, gate=QUICK), Wave("rest", judged=False, gate=QUICK)),
        "places": Places(neighbour_m=0, dark_hours=False),
        "judging": Judging(enabled=False),
        "limits": Limits(in_flight=1000, per_minute=60_000),
        **more,
    }
    return Plan(**values)  # type: ignore[arg-type]


QUICK = Gate(soak_s=0)


def report(one: Execution, stage: int, now_s: int, **more: object) -> Report:
    """What the node of `one` says of its newest order."""
    proved = stage == update.CONFIRMED
    new = stage in (update.TRIAL, update.CONFIRMED)
    values: dict[str, object] = {
        "online": True,
        "seen_s": now_s,
        "counter": one.counter,
        "stage": stage,
        "manifest": NEW if new else OLD,
        "runs": new,
        "proved": proved,
        **more,
    }
    return Report(one.node, **values)  # type: ignore[arg-type]


@dataclass
class World:
    """A rollout, its log, and the rules."""

    plan: Plan
    members: dict[str, Member]
    now_s: int = NOW
    counter: int = 0
    log: list[Logged] = field(default_factory=list)
    checked: bool = True

    def __post_init__(self) -> None:
        self.first_members = dict(self.members)
        self.state: State = create(7, self.plan, self.members)
        self.numbers: set[tuple[str, int]] = set()
        self.asked = False

    # -- to be driven --

    def tell(self, seen: Seen = Seen()) -> Step:  # noqa: B008  (frozen)
        """One step, checked and logged."""
        before = self.state
        told = step(self.plan, self.members, before, seen, self.now_s)
        if told.rollout is before.rollout and not told.changed and not told.actions:
            assert not told.notes
            return told
        self.counter = max(self.counter, *(one.counter for one in seen.reports), 0)  # above all that was ever heard
        counters = {}
        for action in told.actions:
            if isinstance(action, Order | Stop):
                self.counter += 1
                counters[action.node] = self.counter
        self.members.update((one.node, one) for one in seen.joined if one.node in told.after(before).executions)
        self.state = settled(told, counters, before)
        self.log.append(Logged(self.now_s, seen, told, counters))
        if self.checked:
            Check(self, before, seen, told).all()
        return told

    def say(self, *reports: Report) -> Step:
        return self.tell(Seen(reports=reports))

    def command(self, verb: Verb, *nodes: str) -> Step:
        return self.tell(Seen(command=Command(verb, "me", "a test", nodes)))

    def online(self, *nodes: str) -> Step:
        """These nodes, or all, are there and run the program before."""
        names = nodes or tuple(self.members)
        return self.say(*(Report(node, online=True, seen_s=self.now_s, manifest=OLD) for node in names))

    def start(self) -> Step:
        self.online()
        return self.command(Verb.START)

    def says(self, stage: int, *nodes: str, **more: object) -> Step:
        """These nodes say of their newest order that it is in this stage."""
        return self.say(*(report(self.state.executions[node], stage, self.now_s, **more) for node in nodes))

    def prove(self, *nodes: str) -> Step:
        return self.says(update.CONFIRMED, *nodes)

    def wait(self, seconds: int, silent: bool = False) -> Step:
        """Time passes; then a step, which is told how the nodes are that are due."""
        self.now_s += seconds
        reports = []
        for node in sorted(due(self.plan, self.state, self.now_s)):
            one = self.state.executions[node]
            reports.append(Report(node, online=one.online and not silent, seen_s=0 if silent else self.now_s))
        return self.tell(Seen(reports=tuple(reports)))

    # -- to be looked at --

    @property
    def phase(self) -> Phase:
        return self.state.rollout.phase

    def stage(self, node: str) -> Stage:
        return self.state.executions[node].stage

    def in_stage(self, *stages: Stage) -> list[str]:
        return [node for node, one in self.state.executions.items() if one.stage in stages]

    def replay(self) -> None:
        """Every decision once more, from bytes to the same bytes."""
        members, state = dict(self.first_members), create(7, self.plan, self.first_members)
        plan = wire.decode(Plan, wire.encode(self.plan))
        assert plan == self.plan
        for logged in self.log:
            seen = wire.decode(Seen, wire.encode(logged.seen))
            assert seen == logged.seen
            told = step(plan, members, state, seen, logged.now_s)
            assert wire.encode(told) == wire.encode(logged.step)
            assert wire.decode(Step, wire.encode(told)) == told
            members.update((one.node, one) for one in seen.joined if one.node in told.after(state).executions)
            state = settled(told, logged.counters, state)
        assert state == self.state


@dataclass
class Check:
    """The rules, over one step."""

    world: World
    before: State
    seen: Seen
    told: Step

    def all(self) -> None:
        self.after = self.world.state
        self.orders = [one.node for one in self.told.actions if isinstance(one, Order)]
        self.ends_stay()
        self.proofs_are_proofs()
        self.finished_means_proved()
        self.orders_are_allowed()
        self.places_hold()
        self.ceilings_hold()
        self.waves_advance_by_rule()
        self.halts_reach_everybody()
        self.who_waits_knows_why()
        self.twice_changes_nothing()

    @property
    def is_retry(self) -> bool:
        return self.seen.command is not None and self.seen.command.verb is Verb.RETRY

    def ends_stay(self) -> None:
        for node, one in self.before.executions.items():
            after = self.after.executions[node]
            if one.stage in ENDED and after.stage is not one.stage:
                reverted = one.stage is Stage.PROVED and after.stage is Stage.REVERTED
                assert reverted or self.is_retry, (one, after)

    def proofs_are_proofs(self) -> None:
        proofs = {r.node for r in self.seen.reports if r.proved and r.stage in (update.CONFIRMED, update.STOPPED)}
        for one in self.told.changed:
            before = self.before.executions.get(one.node)
            if one.stage is Stage.PROVED and (before is None or before.stage is not Stage.PROVED):
                assert one.node in proofs
                assert before is not None
                assert before.counter > 0
            if one.late and before is not None and not before.late:
                assert one.node in proofs

    def finished_means_proved(self) -> None:
        if self.after.rollout.phase is Phase.FINISHED:
            stages = [one.stage for one in self.after.executions.values()]
            assert all(stage in ENDED for stage in stages)
            gone = all(stage in (Stage.REMOVED, Stage.SUPERSEDED) for stage in stages)
            assert gone or any(one.stage is Stage.PROVED or one.late for one in self.after.executions.values())

    def orders_are_allowed(self) -> None:
        plan, head = self.world.plan, self.after.rollout
        executions = self.after.executions
        assert len(self.orders) == len(set(self.orders))
        assert sum(one.stage in IN_FLIGHT for one in executions.values()) <= plan.limits.in_flight
        assert len(self.orders) * 1000 <= max(1000, plan.limits.per_minute * 2 * 1000 // 60)
        for node in self.orders:
            one = executions[node]
            assert head.phase is Phase.RUNNING
            assert one.wave <= head.wave
            assert one.online
            assert one.stage is Stage.ORDERED
            assert one.tries - one.excused <= plan.retries.tries
            assert node not in self.seen.busy | self.seen.taken
            assert self.seen.quarantined.get(node, 0) <= self.world.now_s
            assert one.deadline_s > self.world.now_s
            assert (node, one.counter) not in self.world.numbers
            self.world.numbers.add((node, one.counter))

    def places_hold(self) -> None:
        plan, executions, members = self.world.plan, self.after.executions, self.world.members
        if plan.goal is Goal.CONFIG:
            return
        if plan.places.neighbour_m:
            down = {node for node, one in executions.items() if one.stage in IN_FLIGHT}
            for node in down:
                assert not down & set(members[node].neighbours), (node, down)
            for node in self.orders:
                assert not self.seen.busy & set(members[node].neighbours)
        if plan.places.measuring:
            for district in {members[node].district for node in self.orders if members[node].kind is Kind.AIR} - {""}:
                away = [
                    node
                    for node, one in executions.items()
                    if one.stage in IN_FLIGHT and one.online and members[node].district == district
                ]
                assert self.seen.measuring.get(district, 0) - len(away) >= plan.places.measuring

    def shares(self, nodes: Iterable[Execution]) -> tuple[int, int, int]:
        """(executed, failures, proved), counted anew."""
        executed = failures = proved = 0
        for one in nodes:
            silent = one.stage is Stage.DARK and one.tries == 0
            bad = (one.stage in FAILURES and not silent) or one.failed
            failures += bad
            proved += one.stage is Stage.PROVED
            executed += bad or one.stage in (Stage.PROVED, Stage.REJECTED)
        return executed, failures, proved

    def ceilings_hold(self) -> None:
        """Nobody is ordered past a ceiling, apart from what an operator has accepted."""
        if not self.orders:
            return
        plan, head, executions = self.world.plan, self.after.rollout, list(self.after.executions.values())
        bad = sum(
            (one.stage in FAILURES and one.tries > 0) or one.failed or one.stage is Stage.REJECTED for one in executions
        )
        if bad <= head.accepted:
            return
        for index in range(head.wave + 1):
            gate = plan.waves[index].gate
            executed, failures, _ = self.shares(one for one in executions if one.wave == index)
            if executed >= gate.sample and executed:
                assert Fraction(failures, executed) <= Fraction(gate.failures, 1000)
        gate = plan.waves[head.wave].gate
        executed, failures, _ = self.shares(executions)
        if executed >= gate.sample and executed:
            assert Fraction(failures, executed) <= Fraction(gate.failures, 1000)
        assert not gate.failures_max or failures <= gate.failures_max

    def waves_advance_by_rule(self) -> None:
        plan, before, after = self.world.plan, self.before.rollout, self.after.rollout
        assert after.wave >= before.wave
        for index in range(before.wave, after.wave):
            gate = plan.waves[index].gate
            nodes = [one for one in self.after.executions.values() if one.wave == index]
            nodes = [one for one in nodes if one.stage not in (Stage.REMOVED, Stage.SUPERSEDED)]
            promoted = before.promoted or (self.seen.command is not None and self.seen.command.verb is Verb.PROMOTE)
            if not nodes:
                assert promoted or all(one.wave != index for one in self.after.executions.values())
                continue
            # an order for a straggler may have followed in the same step
            executed, _, proved = self.shares(nodes)
            assert Fraction(proved, executed) >= Fraction(gate.success, 1000)
            assert promoted or Fraction(executed, len(nodes)) >= Fraction(gate.presence, 1000)
            if index == before.wave and gate.soak_s:
                assert before.soak_s
                assert self.world.now_s >= before.soak_s + gate.soak_s

    def halts_reach_everybody(self) -> None:
        stopped = {one.node for one in self.told.actions if isinstance(one, Stop)}
        if any(isinstance(one, Halt) for one in self.told.actions):
            flying = {node for node, one in self.after.executions.items() if one.stage in IN_FLIGHT}
            assert flying == {node for node in flying if node in stopped or self.before.executions[node].stop}
            assert self.after.rollout.phase in (Phase.HALTED, Phase.ABORTED)
            assert not self.orders
        assert all(self.after.executions[node].stop for node in stopped)

    def who_waits_knows_why(self) -> None:
        world = self.world
        here = Situation(world.plan, world.members, self.after.rollout, self.after.executions, self.seen, world.now_s)
        for one in self.after.executions.values():
            if one.stage is Stage.QUEUED:
                assert next(holds.reasons(here, one), None) is not None, one

    def twice_changes_nothing(self) -> None:
        again = step(self.world.plan, self.world.members, self.after, self.seen, self.world.now_s)
        assert again == Step(self.after.rollout), again
        assert again.rollout is self.after.rollout


def world(*waves: int, gate: Gate = QUICK, **more: object) -> World:
    """A started rollout with so many nodes in each wave."""
    named = tuple(Wave(f"w{at}", judged=False, gate=gate) for at in range(len(waves)))
    found = World(calm(**{"waves": named, **more}), members_of(*waves))
    found.start()
    return found


def names(first: int, last: int) -> list[str]:
    return [f"n-{at}" for at in range(first, last + 1)]
