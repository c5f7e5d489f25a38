"""What the nodes of a wave came to, in numbers, and what the gates make of them.

Shares are of the *executed* nodes: those that were ordered and came to an end, and those of which an attempt failed.
Nodes that are retired or that somebody else took are in no number but their own. The ceiling is looked at over each
wave that has begun and over all of them, so that what is spread thinly is seen too.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from fleet.rollout.model import IN_FLIGHT, Execution, Rollout, Stage
from fleet.rollout.plan import Gate, Plan


@dataclass(slots=True)
class Counts:
    """Nodes by what became of them."""

    members: int = 0  # those that count: not removed, not superseded
    queued: int = 0  # `retrying` ones too
    in_flight: int = 0
    retrying: int = 0  # queued or in flight, after an attempt that failed
    proved: int = 0
    failed: int = 0
    rejected: int = 0
    reverted: int = 0
    timed_out: int = 0
    dark: int = 0  # after an order
    unreached: int = 0  # dark, and never ordered
    stopped: int = 0
    superseded: int = 0
    removed: int = 0
    late: int = 0  # timed out or dark, and proved afterwards

    @property
    def gone(self) -> int:
        """Nodes that do not count any more."""
        return self.superseded + self.removed

    @property
    def lost(self) -> int:
        """Nodes that were ordered and ended without success."""
        return self.failed + self.rejected + self.reverted + self.timed_out + self.dark

    @property
    def bad(self) -> int:
        """Nodes without success so far; the next attempt of some may be one."""
        return self.lost + self.retrying

    @property
    def failures(self) -> int:
        """What counts against the release; a refusal does not."""
        return self.bad - self.rejected

    @property
    def executed(self) -> int:
        """What shares are of."""
        return self.bad + self.proved

    @property
    def ended(self) -> int:
        """Nodes with which the rollout is done."""
        return self.lost + self.proved + self.unreached + self.stopped + self.gone

    def add(self, one: Execution) -> None:
        """Count a node."""
        stage = one.stage
        if stage is _QUEUED and not (one.failed or one.late):  # this and the next are nearly all, in each step anew
            self.members += 1
            self.queued += 1
            return
        if stage is _PROVED:
            self.members += 1
            self.proved += 1
            return
        if stage not in (Stage.REMOVED, Stage.SUPERSEDED):
            self.members += 1
        if stage in IN_FLIGHT:
            self.in_flight += 1
        elif stage is Stage.DARK and one.tries == 0:
            self.unreached += 1
        else:
            name = _NAMES[stage]
            setattr(self, name, getattr(self, name) + 1)
        self.retrying += one.failed
        self.late += one.late


_QUEUED, _PROVED = Stage.QUEUED, Stage.PROVED
_NAMES = {stage: stage.value.replace(" ", "_") for stage in Stage}


def counted(executions: Iterable[Execution], waves: int) -> tuple[list[Counts], Counts]:
    """The counts of each wave, and those of all."""
    found = [Counts() for _ in range(waves)]
    for one in executions:
        found[one.wave].add(one)
    total = Counts()
    for name in Counts.__dataclass_fields__:
        setattr(total, name, sum(getattr(one, name) for one in found))
    return found, total


def is_present(gate: Gate, wave: Counts) -> bool:
    """Enough of its nodes were executed to judge it, and one of them is proved, if there are any."""
    return wave.members == 0 or (wave.proved > 0 and wave.executed * 1000 >= gate.presence * wave.members)


def is_good(gate: Gate, wave: Counts) -> bool:
    """Enough of its executed nodes are proved."""
    return wave.proved * 1000 >= gate.success * wave.executed


def fault(plan: Plan, head: Rollout, waves: list[Counts], total: Counts, quiet: bool) -> str:
    """Why the rollout has to halt, in a sentence; "" when no gate fails.

    `quiet`: the present wave has nothing under way, nor any node whose turn will come by itself. What an operator has
    seen and accepted by resuming does not halt it again; the next node without success may.
    """
    if total.bad <= head.accepted:
        return ""
    gate = plan.waves[head.wave].gate
    if gate.failures_max and total.failures > gate.failures_max:
        return f"{total.failures} nodes failed, at most {gate.failures_max} may"
    for index in range(head.wave + 1):
        if _is_above(plan.waves[index].gate, waves[index]):
            return _above(f"of wave {plan.waves[index].name}", plan.waves[index].gate, waves[index])
    if _is_above(gate, total):
        return _above("of all", gate, total)
    return _hopeless(plan.waves[head.wave].name, gate, waves[head.wave], quiet)


def _is_above(gate: Gate, counts: Counts) -> bool:
    return counts.executed >= gate.sample and counts.failures * 1000 > gate.failures * counts.executed


def _above(which: str, gate: Gate, counts: Counts) -> str:
    return f"{counts.failures} of {counts.executed} executed nodes {which} failed, at most {percent(gate.failures)} may"


def _hopeless(name: str, gate: Gate, wave: Counts, quiet: bool) -> str:
    """A wave that is below its threshold, and cannot or does not get above it any more."""
    best = wave.proved + wave.in_flight + wave.queued
    executed = best + wave.lost
    if best * 1000 < gate.success * executed:
        return f"wave {name}: {wave.lost} of {executed} nodes are lost, {percent(gate.success)} have to succeed"
    enough = wave.executed * 1000 >= gate.presence * wave.members
    if quiet and enough and not is_good(gate, wave):
        return f"wave {name}: {wave.proved} of {wave.executed} executed nodes are proved, not {percent(gate.success)}"
    return ""


def percent(permille: int) -> str:
    """`5 %`, `2.5 %`."""
    whole, part = divmod(permille, 10)
    return f"{whole}.{part} %" if part else f"{whole} %"
