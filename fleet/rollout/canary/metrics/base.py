"""What a metric is."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from fleet.rollout.canary.windows import Glance


class Worse(StrEnum):
    """Which change of a value is one for the worse."""

    HIGHER = "higher"
    AWAY = "away"  # either way


@dataclass(frozen=True, slots=True)
class Metric:
    """One number of one node in one window. The rates are what the test assumes; docs/explain/canary.md has the why."""

    name: str
    label: str  # for people
    unit: str  # of the value, for people
    effect: int  # the least change that matters, in that unit: it is found with the stated power
    measure: Callable[[Glance], int | None]  # None: this window says nothing about it
    worse: Worse = Worse.HIGHER
    share: int = 800  # permille: windows that show it, at least, on a node that is worse by `effect`
    stays: int = 333  # permille: chance, at most, that a bad window of a sound node is followed by another one
    every: int = 1  # it is looked at once in so many windows; more than 1: it must not delay a promotion
    vital: bool = False  # no promotion without it
    alone: bool = True  # a node's own past will do when there are too few controls


def octaves(value: int) -> int:
    """1000 times the binary logarithm of a positive number, rounded down; in integers, so the same everywhere."""
    whole = value.bit_length() - 1
    rest = (value << 64) >> whole  # 1.0 .. 2.0, as 64 binary places
    part = 0
    for _ in range(20):
        rest = rest * rest >> 64
        part <<= 1
        if rest >> 65:
            rest >>= 1
            part |= 1
    return whole * 1000 + (part * 1000 >> 20)
