"""What other gates would have done with the same rollout: what nodes reported then, under a changed plan.

What a node did with an order is taken for what it would have done, had it got that order earlier or later: its reports
move with the order. A node that the log never saw ordered, or not so often, is not ordered here either, for nobody
knows what it would have done. What people did is done again at the same time.
"""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from fleet.rollout.logged import Logged, settled
from fleet.rollout.model import Command, Order, Phase, Report, Seen, Stage, Stop, Verdict
from fleet.rollout.plan import Member, Plan
from fleet.rollout.replay import RAN, Decision
from fleet.rollout.step import create, due, step

_TICK_S = 15  # between two looks while something happens
_IDLE_S = 300  # else, at most
_BEYOND_S = 86400  # behind the end of the log, for what comes later under a slower plan


@dataclass(frozen=True, slots=True)
class Course:
    """How a rollout went, or would have gone. Times are seconds since 1970 UTC, 0 = it did not come to that."""

    phase: Phase
    reason: str
    wave: int  # under way at the end
    halted_s: int
    ended_s: int
    ordered: frozenset[str]
    exposed: frozenset[str]  # ever ran the new program


@dataclass(frozen=True, slots=True)
class Answer:
    """What was, and what would have been."""

    was: Course
    would: Course
    unknown: frozenset[str]  # would have been ordered, and the log does not tell what they do then
    ignored: int  # reports of the log about orders that would not have been made


@dataclass(slots=True)
class _Attempt:
    """What followed one order of the log."""

    at_s: int
    reports: list[tuple[int, Report]] = field(default_factory=list)  # seconds after the order
    used: bool = False


def changed(plan: Plan, gate: Mapping[str, Any], limits: Mapping[str, Any], judging: Mapping[str, Any]) -> Plan:
    """The plan with other values in every gate, in its limits and in how telemetry is judged: by names of fields."""
    waves = tuple(replace(wave, gate=replace(wave.gate, **gate)) for wave in plan.waves)
    return replace(plan, waves=waves, limits=replace(plan.limits, **limits), judging=replace(plan.judging, **judging))


def was(decisions: Sequence[Decision]) -> Course:
    """How it went, as the log tells."""
    steps = [(one.logged.now_s, one.logged.step) for one in decisions]
    halted = next((at for at, told in steps if told.rollout.phase in (Phase.HALTED, Phase.ABORTED)), 0)
    head = decisions[-1].after.rollout
    ordered = {one.node for _, told in steps for one in told.actions if isinstance(one, Order)}
    ran = {one.node for _, told in steps for one in told.changed if one.stage in RAN}
    return Course(head.phase, head.reason, head.wave, halted, head.ended_s, frozenset(ordered), frozenset(ran))


def whatif(
    plan: Plan,
    members: Mapping[str, Member],
    decisions: Sequence[Decision],
    verdicts: Mapping[int, Verdict] | None = None,
) -> Answer:
    """What `plan`, the changed one, makes of the same reports, up to its first halt.

    `verdicts`: {key of an evidence packet: what it says under the changed plan}; others say what they said.
    """
    world = _World(plan, members, decisions, verdicts or {})
    return Answer(was(decisions), world.run(), frozenset(world.unknown), world.ignored())


class _World:
    """The log, taken apart and dealt out anew."""

    def __init__(
        self, plan: Plan, members: Mapping[str, Member], decisions: Sequence[Decision], verdicts: Mapping[int, Verdict]
    ) -> None:
        self.plan = plan
        joined = {one.node for decision in decisions for one in decision.logged.seen.joined}
        self.members = {node: member for node, member in members.items() if node not in joined}
        self.state = create(decisions[0].before.rollout.id, plan, self.members)
        self.attempts = _attempts(decisions)
        self.known = {node: Report(node) for node in members}
        self.unknown: set[str] = set()
        self.ordered: set[str] = set()
        self.exposed: set[str] = set()
        self.context = Seen()
        self.spoken: dict[int, Seen] = {}  # what telemetry said of each wave, once it had
        self.verdicts = verdicts
        self.number = 0
        self.queue: list[tuple[int, int, Report | Logged]] = []
        for decision in decisions:
            self._put(decision.at_s, decision.logged)
        self.wave_at = {id(decision.logged): decision.before.rollout.wave for decision in decisions}
        self.start_s, self.end_s = decisions[0].at_s, decisions[-1].at_s + _BEYOND_S

    def run(self) -> Course:
        """Until it is halted, ended, or nothing more is known."""
        now, halted = self.start_s, 0
        while now <= self.end_s:
            told = self._look(now)
            head = self.state.rollout
            if head.phase in (Phase.HALTED, Phase.ABORTED):
                halted = now
                break
            if head.phase is Phase.FINISHED:
                break
            pause = _TICK_S if told else _IDLE_S
            now = min(max(self.queue[0][0], now + 1), now + pause) if self.queue else now + pause
        head = self.state.rollout
        self.unknown = {
            node
            for node in self._without_a_past()
            if self.state.executions[node].stage is Stage.QUEUED and self.members[node].wave <= head.wave
        }
        sets = frozenset(self.ordered), frozenset(self.exposed)
        return Course(head.phase, head.reason, head.wave, halted, head.ended_s, *sets)

    def ignored(self) -> int:
        """How many reports nobody asked for here."""
        return sum(len(one.reports) for several in self.attempts.values() for one in several if not one.used)

    def _look(self, now_s: int) -> bool:
        """One step; whether it did anything."""
        fresh: dict[str, Report] = {}
        command: Command | None = None
        joined: tuple[Member, ...] = ()
        while self.queue and self.queue[0][0] <= now_s and command is None:
            _, _, one = heapq.heappop(self.queue)
            if isinstance(one, Report):
                self.known[one.node] = fresh[one.node] = one
                continue
            self._remember(one)
            command, joined = one.seen.command, (*joined, *one.seen.joined)
            for report in one.seen.reports:
                fresh[report.node] = self._present(report)
        for node in due(self.plan, self.state, now_s):
            fresh[node] = self.known[node]
        taken = self.context.taken | self._without_a_past()
        seen = replace(
            self.context,
            reports=tuple(fresh.values()),
            command=command,
            joined=joined,
            taken=taken,
            **self._verdict(),
        )
        return self._step(seen, now_s)

    def _step(self, seen: Seen, now_s: int) -> bool:
        told = step(self.plan, self.members, self.state, seen, now_s)
        counters = {}
        for one in told.actions:
            if isinstance(one, Order):
                counters[one.node] = self._deal(one.node, now_s)
        self.state = settled(told, counters, self.state)
        self.members |= {one.node: one for one in seen.joined}
        self.exposed |= {one.node for one in told.changed if one.stage in RAN}
        return bool(told.changed or told.actions or seen.command)

    def _deal(self, node: str, now_s: int) -> int:
        """The number of an order; what followed it in the log follows it here."""
        several = self.attempts[node]
        attempt = next(one for one in several if not one.used)
        attempt.used = True
        self.ordered.add(node)
        number = several.index(attempt) + 1
        for after_s, report in attempt.reports:
            self._put(now_s + after_s, replace(report, counter=number, seen_s=now_s + after_s))
        return number

    def _without_a_past(self) -> frozenset[str]:
        """Nodes that must not be ordered, for nobody knows what they would do."""
        return frozenset(node for node in self.members if all(one.used for one in self.attempts.get(node, ())))

    def _put(self, at_s: int, one: "Report | Logged") -> None:
        self.number += 1
        heapq.heappush(self.queue, (at_s, self.number, one))

    def _present(self, report: Report) -> Report:
        """What the log says of a node's presence, without what it said of an order that was another one here."""
        here = self.known.get(report.node, Report(report.node))
        found = replace(here, online=report.online, seen_s=max(here.seen_s, report.seen_s), retired=report.retired)
        self.known[report.node] = found
        return found

    def _remember(self, one: Logged) -> None:
        """What was true around the rollout from then on."""
        seen = one.seen
        names = ("busy", "taken", "superseded", "quarantined", "measuring")
        self.context = replace(Seen(), **{name: getattr(seen, name) for name in names})
        if seen.verdict is not None:
            said = self.verdicts.get(seen.evidence, seen.verdict)
            self.spoken[self.wave_at[id(one)]] = Seen(verdict=said, evidence=seen.evidence, why=seen.why)

    def _verdict(self) -> Mapping[str, Any]:
        """What telemetry said of the present wave, as soon as the log has it."""
        said = self.spoken.get(self.state.rollout.wave)
        if said is None or said.verdict is self.state.rollout.verdict:
            return {}
        return {"verdict": said.verdict, "evidence": said.evidence, "why": said.why}


def _attempts(decisions: Iterable[Decision]) -> dict[str, list[_Attempt]]:
    """{node: its orders in the log, and what it said of each}."""
    found: dict[str, list[_Attempt]] = {}
    by_counter: dict[tuple[str, int], _Attempt] = {}
    for decision in decisions:
        logged = decision.logged
        for report in logged.seen.reports:
            attempt = by_counter.get((report.node, report.counter))
            if attempt is not None:
                attempt.reports.append((decision.at_s - attempt.at_s, report))
        for one in logged.step.actions:
            if isinstance(one, Order):
                found.setdefault(one.node, []).append(_Attempt(decision.at_s))
            if isinstance(one, Order | Stop):  # what it says of a stop is about the order before, too
                by_counter[one.node, logged.counters.get(one.node, 0)] = found[one.node][-1]
    return found
