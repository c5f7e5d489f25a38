"""From values to marks: which windows of a node are worse than its past and than those of its controls.

The deviation of a node is its value less the median of its own past; from that the median deviation of the controls
in the same window is taken off, so that what hits all alike (weather, the broker) is gone. A window is WORSE when what
is left is more than half the minimum effect. It is BAD when it is worse, and beyond what 95 % of the controls show in
the same window, and beyond 95 % of the node's own past, both measured the same way.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median_low
from typing import Any

from fleet.rollout.canary.metrics import Metric, Worse
from fleet.rollout.canary.windows import PAST

GOOD, WORSE, BAD, NONE = ".", "w", "B", "-"
PAST_MIN = 3  # windows without which a past is none
FEW = 3  # controls without which a node's own past decides, with bounds twice as wide
OUTLIERS = 20  # one of so many others may be beyond
SPOILT = 4  # a node of whose past more than one in so many windows was worse cannot be judged by that metric
RAREST, COMMONEST = 50, 250  # permille: between these lies the chance of a bad window that is assumed of a sound node

Values = Mapping[str, Sequence[int | None]]


@dataclass(frozen=True, slots=True)
class Course:
    """One metric of one node, window by window since its new program."""

    marks: str = ""  # GOOD, WORSE, BAD or NONE for each
    chances: tuple[int, ...] = ()  # permille: of BAD if the node is sound, for each
    away: tuple[int | None, ...] = ()  # how much worse, in the unit of the metric
    why_not: str = ""  # it cannot be judged

    @property
    def seen(self) -> int:
        """Windows that say something."""
        return len(self.marks) - self.marks.count(NONE)


def course(metric: Metric, node: str, place: Mapping[str, Any], controls: Sequence[str], values: Values) -> Course:
    """How a node does by one metric."""
    past = range(max(0, place["past"] - PAST), place["past"])
    own = _median(values[node], past)
    if own is None:
        return Course(why_not="its past is too short")
    bases = {one: base for one in controls if (base := _median(values[one], past)) is not None}
    if len(bases) < FEW and not metric.alone:
        return Course(why_not="too few controls")
    eyes = _Eyes(metric, node, own, bases, values)
    before = [away for at in past if (away := eyes.look(at)[0]) is not None]
    if sum(map(eyes.is_worse, before)) * SPOILT > len(before) or len(before) < PAST_MIN:
        return Course(why_not="it was as bad before" if len(before) >= PAST_MIN else "its past is too short")
    return _present(eyes, range(place["first"], place["until"]), before)


def _present(eyes: "_Eyes", windows: range, before: Sequence[int]) -> Course:
    marks, chances, seen = [], [], []
    for at in windows:
        away, others = eyes.look(at)
        seen.append(away)
        chances.append(min(max(min(_rank(len(others)), _rank(len(before))), RAREST), COMMONEST))
        if away is None:
            marks.append(NONE)
        elif not eyes.is_worse(away):
            marks.append(GOOD)
        else:
            marks.append(BAD if eyes.is_beyond(away, others) and _beyond(away, before) else WORSE)
    return Course("".join(marks), tuple(chances), tuple(seen))


class _Eyes:
    """Compares one node with its controls by one metric."""

    def __init__(self, metric: Metric, node: str, own: int, bases: Mapping[str, int], values: Values) -> None:
        self._metric, self._values, self._own, self._bases = metric, values, own, bases
        self._row = values[node]
        self._wide = 1 if len(bases) >= FEW else 2

    def look(self, at: int) -> tuple[int | None, list[int]]:
        """How much worse the node is in a window than it was, less what its controls are; how far each of them is."""
        value = self._row[at] if at < len(self._row) else None
        found = [(self._values[one][at], base) for one, base in self._bases.items()]
        others = [seen - base for seen, base in found if seen is not None]
        if value is None or (self._bases and not others):
            return None, []
        middle = median_low(others) if others else 0
        return self._worse(value - self._own - middle), others

    def is_worse(self, away: int) -> bool:
        """More than half the least effect that matters; with too few controls, more than all of it."""
        return 2 * away > self._metric.effect * self._wide

    def is_beyond(self, away: int, others: Sequence[int]) -> bool:
        """Worse than nearly all controls, each measured as the node is."""
        middle = median_low(others) if others else 0
        return _beyond(away, [self._worse(other - middle) for other in others])

    def _worse(self, away: int) -> int:
        return abs(away) if self._metric.worse is Worse.AWAY else away


def _median(row: Sequence[int | None], at: range) -> int | None:
    known = [value for value in row[at.start : at.stop] if value is not None]
    return median_low(known) if len(known) >= PAST_MIN else None


def _beyond(away: int, others: Sequence[int]) -> bool:
    """More than all others but the few that may be outliers; with nobody to compare with it is."""
    return sum(other >= away for other in others) <= len(others) // OUTLIERS


def _rank(others: int) -> int:
    """Permille: the chance that one of (others + 1) alike is `_beyond` the others, rounded up."""
    return -(-1000 * (1 + others // OUTLIERS) // (others + 1))
