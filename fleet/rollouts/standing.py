"""How a rollout stands, for people: its waves with outcomes counted apart, what needs attention, what it waits for."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from fleet.config import Config
from fleet.configure import row_of
from fleet.rollout.explain import said
from fleet.rollout.model import ENDED, FAILURES, IN_FLIGHT, Execution, Phase, Rollout, Stage, State, Verdict
from fleet.rollout.plan import Goal, Plan
from fleet.store import Store
from fleet.store.rollouts import RolloutView

BAD = (Stage.REVERTED, Stage.FAILED, Stage.TIMED_OUT, Stage.DARK, Stage.REJECTED)  # the worst first
OVER = (Phase.FINISHED, Phase.ABORTED)
_FIRST_S = 5  # after its start, until the service has looked at who is online


@dataclass(frozen=True)
class WaveStanding:
    """One wave."""

    name: str
    state: str  # "done", "now", "soaks", "waits"
    nodes: int  # without those that were retired meanwhile
    counts: Mapping[Stage, int]  # of each stage; 0 where there is none

    @property
    def in_flight(self) -> int:
        """Nodes that are ordered and have not ended."""
        return sum(self.counts[stage] for stage in IN_FLIGHT)


@dataclass(frozen=True)
class Attention:
    """A node that somebody should look at."""

    node: str
    wave: str
    stage: Stage
    reason: str
    since_s: int


@dataclass(frozen=True)
class Wait:
    """What a rollout waits for, and until when at the latest; 0 = nobody can say."""

    text: str
    until_s: int = 0


@dataclass(frozen=True)
class Standing:
    """A whole rollout at one moment."""

    view: RolloutView
    waves: tuple[WaveStanding, ...]
    attention: tuple[Attention, ...]
    waits: tuple[Wait, ...]
    confirmed: tuple[str, ...]  # nodes that had proved the new program when the rollout was aborted
    untouched: int  # nodes to which no order was ever made

    @property
    def head(self) -> Rollout:
        """Its head."""
        return self.view.head

    @property
    def counts(self) -> Counter[Stage]:
        """How many nodes of all waves are in each stage."""
        return sum((Counter(wave.counts) for wave in self.waves), Counter())

    @property
    def is_over(self) -> bool:
        """Whether nothing more happens, but a node that reverts."""
        in_flight = any(wave.in_flight for wave in self.waves)
        return self.head.phase is Phase.FINISHED or (self.head.phase is Phase.ABORTED and not in_flight)


def standing(store: Store, config: Config, name: "int | str", now_s: int) -> Standing:
    """How the rollout of that number or name stands; NotFoundError."""
    view = store.rollouts.get(name)
    return of(view, store.rollouts.state(view.id), config.rollouts.approvals, now_s)


def of(view: RolloutView, state: State, approvals: int, now_s: int) -> Standing:
    """The same of what was read before. `approvals` is how many the fleet demands."""
    head, plan = state.rollout, view.plan
    view = replace(view, head=head)
    by_wave: list[list[Execution]] = [[] for _ in plan.waves]
    for one in state.executions.values():
        by_wave[one.wave].append(one)
    waves = tuple(_wave(plan, head, index, found) for index, found in enumerate(by_wave))
    everyone = state.executions.values()
    return Standing(
        view=view,
        waves=waves,
        attention=_attention(plan, everyone),
        waits=tuple(_waits(plan, head, waves, by_wave, view.missing_approvals(approvals), now_s)),
        confirmed=_confirmed(head, everyone),
        untouched=sum(not one.tries for one in everyone),
    )


def goal_text(plan: Plan) -> str:
    """What nodes shall do: `install air-1.5.0 and light-2.0.0`."""
    if plan.goal is Goal.RELEASE:
        return "install " + " and ".join(target.release for target in plan.targets)
    if plan.goal is Goal.PREVIOUS:
        return "boot the program before" + (f" that of rollout {plan.parent}" if plan.parent else "")
    pairs = (
        f"{row_of(key)[1]}={'default' if value is None else value}" for key, value in sorted(plan.settings.items())
    )
    return "set " + ", ".join(pairs)


def _wave(plan: Plan, head: Rollout, index: int, found: Sequence[Execution]) -> WaveStanding:
    counts = Counter(one.stage for one in found)
    everywhere = {stage: counts[stage] for stage in Stage}
    there = len(found) - counts[Stage.REMOVED] - counts[Stage.SUPERSEDED]
    return WaveStanding(plan.waves[index].name, _state(head, index), there, everywhere)


def _state(head: Rollout, index: int) -> str:
    if head.phase is Phase.FINISHED or (head.phase is not Phase.DRAFT and index < head.wave):
        return "done"
    if head.phase is Phase.DRAFT or index > head.wave:
        return "waits"
    if head.phase is not Phase.RUNNING:
        return head.phase.value
    return "soaks" if head.soak_s else "now"


def _attention(plan: Plan, everyone: Iterable[Execution]) -> tuple[Attention, ...]:
    rank = {stage: place for place, stage in enumerate(BAD)}
    bad = [one for one in everyone if one.stage in rank or one.failed]
    bad.sort(key=lambda one: (rank.get(one.stage, len(BAD)), one.node))
    return tuple(
        Attention(one.node, plan.waves[one.wave].name, one.stage, reason_of(plan, one), one.since_s) for one in bad
    )


def reason_of(plan: Plan, one: Execution) -> str:
    """Why a node is not through, in words."""
    words = said(plan.goal, one.code, one.text).text if one.code else one.text
    if one.late:
        words = f"{words}; it proved the program later" if words else "it proved the program later"
    if one.stage is Stage.QUEUED and one.failed:
        words = f"try {one.tries} failed{': ' if words else ''}{words}"
    if one.stage is Stage.DARK and not words:
        words = "not heard since its order" if one.tries else "it was never reached"
    return words or ("it speaks, and did not get there in time" if one.stage is Stage.TIMED_OUT else "")


def _confirmed(head: Rollout, everyone: Iterable[Execution]) -> tuple[str, ...]:
    if head.phase not in (Phase.ABORTED, Phase.HALTED):
        return ()
    return tuple(sorted(one.node for one in everyone if one.stage is Stage.PROVED or one.late))


def _waits(
    plan: Plan,
    head: Rollout,
    waves: Sequence[WaveStanding],
    by_wave: Sequence[Sequence[Execution]],
    missing: int,
    now_s: int,
) -> list[Wait]:
    """What has to happen before it goes on, the first thing first."""
    if head.phase is Phase.DRAFT:
        word = "approval" if missing == 1 else "approvals"
        return [Wait(f"{missing} {word}" if missing else "its start")]
    if head.phase in (Phase.PAUSED, Phase.HALTED):
        return [*_in_flight(waves, by_wave), Wait("an operator: resume, abort or undo")]
    if head.phase is Phase.FINISHED:
        return []
    if head.phase is Phase.ABORTED:
        return _in_flight(waves, by_wave)
    return [*_in_flight(waves, by_wave), *_queued(plan, head, by_wave, now_s), *_gate(plan, head, waves, now_s)]


def _in_flight(waves: Sequence[WaveStanding], by_wave: Sequence[Sequence[Execution]]) -> list[Wait]:
    count = sum(wave.in_flight for wave in waves)
    if not count:
        return []
    last = max(one.deadline_s for found in by_wave for one in found if one.stage in IN_FLIGHT)
    return [Wait(f"{_many(count)} under way", last)]


def _queued(plan: Plan, head: Rollout, by_wave: Sequence[Sequence[Execution]], now_s: int) -> list[Wait]:
    queued = [one for found in by_wave[: head.wave + 1] for one in found if one.stage is Stage.QUEUED]
    is_fresh = now_s < head.started_s + _FIRST_S
    away = 0 if is_fresh else sum(not one.online for one in queued)
    there = len(queued) - away
    found = [Wait(f"{_many(there)} to be ordered")] if there else []
    return [*found, Wait(f"{_many(away)} offline", head.started_s + plan.expires_s)] if away else found


def _many(count: int) -> str:
    return f"{count} node{'' if count == 1 else 's'}"


def _gate(plan: Plan, head: Rollout, waves: Sequence[WaveStanding], now_s: int) -> list[Wait]:
    wave = plan.waves[head.wave]
    soaked = head.soak_s + wave.gate.soak_s
    if head.soak_s and now_s < soaked:
        return [Wait(f"the soak of wave {wave.name}", soaked)]
    if (
        head.soak_s
        and wave.judged
        and plan.judging.enabled
        and head.verdict is Verdict.HOLD
        and head.wave + 1 < len(waves)
    ):
        return [Wait(f"the verdict on wave {wave.name} by its telemetry", soaked + plan.judging.patience_s)]
    return []


def outcome(found: Standing) -> tuple[int, int]:
    """(nodes that proved it, all that take part); what was superseded or retired counts nowhere."""
    counts = found.counts
    everybody = sum(counts.values()) - counts[Stage.REMOVED] - counts[Stage.SUPERSEDED]
    return counts[Stage.PROVED], everybody


def failed(store: Store, rollout: int) -> dict[str, str]:
    """{node: how it ended} of the nodes that did not prove it, for exit code 6."""
    view, state = store.rollouts.get(rollout), store.rollouts.state(rollout)
    left_out = (Stage.PROVED, Stage.REMOVED, Stage.SUPERSEDED)
    return {
        node: f"{one.stage}: {reason_of(view.plan, one)}".removesuffix(": ")
        for node, one in state.executions.items()
        if one.stage not in left_out and (one.stage in ENDED or one.failed)
    }


def summary(view: RolloutView, counts: Mapping[Stage, int]) -> dict[str, object]:
    """What a list of rollouts says of one; `counts` are its nodes by stage."""
    left_out = counts.get(Stage.REMOVED, 0) + counts.get(Stage.SUPERSEDED, 0)
    is_running = view.head.phase not in (Phase.DRAFT, *OVER)
    return {
        "id": view.id,
        "name": view.name,
        "phase": view.head.phase.value,
        "wave": view.plan.waves[view.head.wave].name if is_running else "-",
        "proved": counts.get(Stage.PROVED, 0),
        "failed": sum(counts.get(stage, 0) for stage in FAILURES),
        "nodes": sum(counts.values()) - left_out,
        "goal": goal_text(view.plan),
        "reason": view.head.reason,
        "created_by": view.created_by,
        "hash": view.hash,
    }
