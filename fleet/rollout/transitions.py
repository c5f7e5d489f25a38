"""Which stage may follow which, and because of what. Whoever changes a stage asks `moved`."""

from dataclasses import replace
from enum import StrEnum
from typing import Any

from fleet.rollout.model import ENDED, IN_FLIGHT, Execution, Stage


class Cause(StrEnum):
    """What changes a stage."""

    REPORT = "report"  # what is known of the node
    CLOCK = "clock"  # an order, a deadline, the end of the rollout
    OPERATOR = "operator"  # a command, or a newer rollout


Move = tuple[Stage, Stage, Cause]

_QUEUED, _ORDERED, _ACTIVE, _TRIAL = Stage.QUEUED, Stage.ORDERED, Stage.ACTIVE, Stage.TRIAL
_LOST = (Stage.FAILED, Stage.REJECTED, Stage.REVERTED)  # ends of an attempt, which may be followed by another one
_RETRIED = (*_LOST, Stage.TIMED_OUT, Stage.DARK)

LEGAL: frozenset[Move] = frozenset(
    [
        (_QUEUED, _ORDERED, Cause.CLOCK),
        (_ORDERED, _ACTIVE, Cause.REPORT),
        (_ORDERED, _TRIAL, Cause.REPORT),
        (_ACTIVE, _TRIAL, Cause.REPORT),
        # a proof counts whenever it comes; so does somebody else's order
        *((stage, Stage.PROVED, Cause.REPORT) for stage in (_QUEUED, *IN_FLIGHT)),
        *((stage, Stage.REMOVED, Cause.REPORT) for stage in (_QUEUED, *IN_FLIGHT)),
        *(
            (stage, Stage.SUPERSEDED, cause)
            for stage in (_QUEUED, *IN_FLIGHT)
            for cause in (Cause.REPORT, Cause.OPERATOR)
        ),
        # an attempt ends, for good or to be followed by another one
        *((stage, end, Cause.REPORT) for stage in IN_FLIGHT for end in (*_LOST, Stage.STOPPED, _QUEUED)),
        *((stage, end, Cause.CLOCK) for stage in IN_FLIGHT for end in (Stage.TIMED_OUT, Stage.DARK)),
        (Stage.PROVED, Stage.REVERTED, Cause.REPORT),
        # the rollout ends before the node's turn came, or came again
        *((_QUEUED, end, Cause.CLOCK) for end in (Stage.DARK, Stage.STOPPED, *_LOST)),
        *((stage, _QUEUED, Cause.OPERATOR) for stage in _RETRIED),
    ]
)


def moved(one: Execution, stage: Stage, cause: Cause, now_s: int, **changes: Any) -> Execution:
    """`one` in another stage since now; ValueError when no rule allows that. `changes`: other fields of it."""
    if (one.stage, stage, cause) not in LEGAL:
        raise ValueError(f"{one.node}: {one.stage} does not become {stage} by {cause}")
    if stage in ENDED:
        changes = {"failed": False, "not_before_s": 0, **changes}
    return replace(one, stage=stage, since_s=now_s, **changes)
