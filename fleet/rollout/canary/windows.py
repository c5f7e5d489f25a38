"""The windows: five minutes on one grid for all nodes, so that the same minutes are compared."""

from bisect import bisect_left
from collections.abc import Sequence
from statistics import median_low
from typing import TypeVar

from fleet.rollout.canary.samples import Beat, Interval, Start, Subject, Track

Row = TypeVar("Row", Interval, Beat, Start)

WINDOW_S = 300
PAST = 24  # windows before the switch that are looked at: two hours
GUARD = 1  # windows left out on either side of the switch: the download before it, the sensors that warm up after it
PRESENT = 72  # windows after the switch that are looked at, the newest: six hours
TRAIL = 12  # windows that a slow metric looks back over
SLACK_S = 120  # a node that is not heard of may be so much later than the others


class Glance:
    """One node in one window."""

    def __init__(self, track: Track, begin_s: int) -> None:
        self.begin_s = begin_s
        self.end_s = begin_s + WINDOW_S
        self.track = track
        first = bisect_left(track.intervals, begin_s, key=_at)
        last = bisect_left(track.intervals, self.end_s, key=_at)
        self.before: Interval | None = track.intervals[first - 1] if first else None
        self.intervals: Sequence[Interval] = track.intervals[first:last]  # those that begin in it
        self.starts: Sequence[Start] = _between(track.starts, begin_s, self.end_s)

    def covered_s(self, windows: int) -> int:
        """Seconds that records tell of, in this window and those before it, `windows` in all."""
        begin_s = self.end_s - windows * WINDOW_S
        rows = self.track.intervals
        first = max(0, bisect_left(rows, begin_s, key=_at) - 1)
        covered, until = 0, begin_s
        for one in rows[first : bisect_left(rows, self.end_s, key=_at)]:
            begin, end = max(one.t_s, until), min(one.end_s, self.end_s)
            covered += max(0, end - begin)
            until = max(until, end)
        return covered

    def beats(self, windows: int = 1) -> Sequence[Beat]:
        """The heartbeats of this window and of those before it, `windows` in all."""
        return _between(self.track.beats, self.end_s - windows * WINDOW_S, self.end_s)

    def beat_before(self) -> Beat | None:
        """The last heartbeat before the window."""
        at = bisect_left(self.track.beats, self.begin_s, key=_at)
        return self.track.beats[at - 1] if at else None


def reference_s(controls: Sequence[Subject], others: Sequence[Subject]) -> int:
    """Up to when those that are heard of have told: of the controls, of all others if there are none; 0 = nobody."""
    for group in (controls, others):
        known = [one.track.until_s for one in group if one.track.intervals]
        if known:
            return median_low(known)
    return 0


def closed_s(track: Track, reference: int) -> int:
    """Up to when windows of this node can be judged: as far as it told, or as far as it would have by now."""
    slack = max((one.span_s for one in track.intervals), default=0) + SLACK_S
    return max(track.until_s, reference - slack)


def grid(begin_s: int, end_s: int) -> range:
    """The begins of the whole windows within [begin_s, end_s)."""
    return range(-(-begin_s // WINDOW_S) * WINDOW_S, end_s // WINDOW_S * WINDOW_S, WINDOW_S)


def _at(one: Interval | Beat | Start) -> int:
    return one.t_s


def _between(rows: Sequence[Row], begin_s: int, end_s: int) -> Sequence[Row]:
    return rows[bisect_left(rows, begin_s, key=_at) : bisect_left(rows, end_s, key=_at)]
