"""A step while it is being made: the state so far, and what was decided. Lives no longer than one call of `step`."""

from collections.abc import Mapping
from dataclasses import replace

from fleet.rollout.model import (
    IN_FLIGHT,
    Action,
    Execution,
    Halt,
    Phase,
    Seen,
    Stage,
    State,
    Step,
    Stop,
    Undo,
)
from fleet.rollout.plan import Member, OnFailure, Plan
from fleet.rollout.report import end_of
from fleet.rollout.situation import Situation
from fleet.rollout.transitions import Cause, moved


class Work:
    """One step."""

    def __init__(self, plan: Plan, members: Mapping[str, Member], state: State, seen: Seen, now_s: int) -> None:
        self.plan = plan
        self.members = members
        self.seen = seen
        self.now_s = now_s
        self.head = state.rollout
        self.executions = dict(state.executions)
        self._before = state
        self._touched: set[str] = set()
        self._actions: list[Action] = []
        self._notes: list[str] = []

    @property
    def state(self) -> State:
        """What has become of the rollout so far."""
        return State(self.head, self.executions)

    def situation(self) -> Situation:
        """What is to be known of it now."""
        return Situation(self.plan, self.members, self.head, self.executions, self.seen, self.now_s)

    def put(self, one: Execution) -> None:
        """A node has changed."""
        self.executions[one.node] = one
        self._touched.add(one.node)

    def act(self, action: Action) -> None:
        """Something is to be done."""
        self._actions.append(action)

    def note(self, text: str) -> None:
        """Something that people want to know."""
        self._notes.append(text)

    def reopen(self, why: str) -> None:
        """A finished rollout goes on."""
        if self.head.phase is Phase.FINISHED:
            self.head = replace(self.head, phase=Phase.RUNNING, soak_s=0, ended_s=0, reason="")
            self.note(f"it is open again: {why}")

    # -- the end of it, for now or for good --

    def fail(self, why: str) -> None:
        """A gate failed, or the telemetry speaks against it."""
        self.halt(why)
        if self.plan.on_failure is not OnFailure.PAUSE:
            self.abort(why)
        if self.plan.on_failure is OnFailure.UNDO:
            self.undo()

    def halt(self, why: str) -> None:
        """Everybody who is under way stops; the epoch tells all at once, an order each of them."""
        if self.head.group:
            self.act(Halt(self.head.group))
        for one in self.executions.values():
            if one.stage in IN_FLIGHT and one.stop <= one.counter:
                self.act(Stop(one.node))
        self.head = replace(self.head, phase=Phase.HALTED, promoted=False, reason=why)
        self.note(f"halted: {why}")

    def abort(self, why: str) -> None:
        """Nobody else is ordered, for good. The rollout is halted, or has not begun."""
        for one in list(self.executions.values()):
            if one.stage is Stage.QUEUED:
                self.put(moved(one, end_of(one), Cause.CLOCK, self.now_s))
        self.head = replace(self.head, phase=Phase.ABORTED, ended_s=self.now_s, reason=why)
        self.note(f"aborted: {why}")

    def undo(self) -> None:
        """The program before shall run again wherever the new one does."""
        self.head = replace(self.head, undo=True)
        nodes = tuple(sorted(node for node, one in self.executions.items() if runs_new(one)))
        if nodes:
            self.act(Undo(nodes))

    # -- what comes of it --

    def step(self) -> Step:
        """What was decided."""
        before = self._before
        if before.rollout.undo:  # who turns out to run the new program only now
            later = (node for node in self._touched if runs_new(self.executions[node]))
            nodes = tuple(sorted(node for node in later if not runs_new(before.executions.get(node))))
            if nodes:
                self.act(Undo(nodes))
        head = before.rollout if self.head == before.rollout else self.head
        changed = [self.executions[node] for node in sorted(self._touched)]
        kept = tuple(one for one in changed if before.executions.get(one.node) != one)
        return Step(head, kept, tuple(self._actions), tuple(self._notes))


def runs_new(one: Execution | None) -> bool:
    """Whether a node proved that it runs what it shall, in time or not."""
    return one is not None and (one.stage is Stage.PROVED or one.late)
