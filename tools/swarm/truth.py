"""What the store says of a rollout, held against what each node really is."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fleet.rollout.model import ENDED, FAILURES, Execution, Stage, Step
from protocol.update import FAILED, REVERTED
from tools.swarm.crew import Facts

_UNCHANGED = frozenset({Stage.FAILED, Stage.REJECTED, Stage.REVERTED, Stage.TIMED_OUT, Stage.STOPPED})
_BAD = (FAILED, REVERTED)
_DELAY_MS = 15_000


@dataclass(frozen=True)
class Account:
    """A fleet after a rollout."""

    outcomes: Mapping[str, int]  # {stage: nodes}
    by_flaw: Mapping[str, Mapping[str, int]]  # {what is wrong with the nodes: {stage: nodes}}
    bricks: tuple[str, ...]  # nodes whose next boot finds no whole program
    untrue: Mapping[str, str]  # {node: what the store says of it that is not so}
    cuts: int  # power cuts that happened within a write of the flash


def take(executions: Mapping[str, Execution], facts: Mapping[str, Facts], targets: Mapping[str, str]) -> Account:
    """Compare; `targets` are {node: manifest that it was to run, hex}."""
    by_flaw: dict[str, Counter[str]] = {}
    for node, one in executions.items():
        by_flaw.setdefault(facts[node].flaws, Counter())[one.stage.value] += 1
    faults = {node: fault(one, facts[node], targets[node]) for node, one in executions.items()}
    return Account(
        outcomes=dict(Counter(one.stage.value for one in executions.values())),
        by_flaw={flaw: dict(count) for flaw, count in sorted(by_flaw.items())},
        bricks=tuple(sorted(node for node, one in facts.items() if one.is_brick)),
        untrue={node: text for node, text in faults.items() if text},
        cuts=sum(one.cuts for one in facts.values()),
    )


def fault(said: Execution, real: Facts, target: str) -> str:
    """What the store says of a node that is not so, or nothing."""
    has_target = real.manifest == target and real.is_kept
    if said.stage not in ENDED:
        return f"{said.stage} is no end"
    if (said.stage is Stage.PROVED or said.late) and not has_target:
        return "proved, and it does not run that"
    if said.stage in _UNCHANGED and has_target and not said.late:
        return f"{said.stage}, and it runs the target"
    if said.stage is Stage.DARK and _was_there(real, said.deadline_s * 1000) and _spoke(said, real):
        return "dark, and it spoke, and was online at its deadline"
    if said.stage is Stage.TIMED_OUT and real.is_silent and not _spoke(said, real):
        return "timed out, and it never spoke of the order"
    return ""


def _was_there(real: Facts, at_ms: int) -> bool:
    """Whether it had one session then and for some time before: the store learns of each with a delay."""
    return 0 < real.session(at_ms) == real.session(at_ms - _DELAY_MS)


def _spoke(said: Execution, real: Facts) -> bool:
    """Whether the node spoke of its order in time."""
    return any(counter == said.counter and at_ms < said.deadline_s * 1000 for at_ms, counter, _, _ in real.said)


def deciding_ms(step: Step, facts: Mapping[str, Facts]) -> int | None:
    """When the first of the failures was told on which a step decided, ms since 1970; None when there is none."""
    found = [_told_ms(one, facts[one.node]) for one in step.changed if one.stage in FAILURES or one.failed]
    told = [at_ms for at_ms in found if at_ms is not None]
    return min(told, default=None)


def _told_ms(said: Execution, real: Facts) -> int | None:
    times = [at_ms for at_ms, counter, stage, _ in real.said if counter == said.counter and stage in _BAD]
    return min(times, default=None)


def refusing_ms(facts: Iterable[Facts], number: int, since_ms: int) -> tuple[dict[str, int], list[str]]:
    """({node: when it took the epoch `number`}, those that did not) of the nodes that were online at `since_ms` and
    stayed so until they took it: who restarts meanwhile hears of it as soon as it is back."""
    took: dict[str, int] = {}
    missing = []
    for one in facts:
        session = one.session(since_ms)
        heard_ms = min((at_ms for at_ms, epoch in one.epochs if epoch >= number), default=None)
        if heard_ms is not None and session and session == one.session(heard_ms):
            took[one.node] = heard_ms
        elif heard_ms is None and session and session == len(one.sessions):
            missing.append(one.node)
    return {node: at_ms for node, at_ms in took.items() if at_ms >= since_ms}, missing
