"""When each node was there, as its own heartbeats tell; and the same again, as often as a simulation needs it.

A run begins at the same time of day on another day of the record, for all nodes alike: whoever sleeps by night does so
in the simulation, and an outage that met a whole street meets it again.
"""

import itertools
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

DAY_S = 86400
_AWAY = 3  # heartbeats that are missing in a row: it was away
_USUAL_S = 300  # between two heartbeats of a node of which fewer than three are known
_LEAST_S, _MOST_S = 5, 3600  # the range of the setting heartbeat_s
_BLIND_S = 120  # without a heartbeat of a fleet that sends one each minute or more often: nobody listened

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Twin:
    """One node. Times are seconds since the begin of the record."""

    node: str
    spans: tuple[Span, ...]  # when it was there: in order, apart from each other
    loss: int = 0  # permille of its heartbeats that did not arrive while it was there
    answer_ms: int = 100  # from a message of the node to its acknowledgement


@dataclass(frozen=True, slots=True)
class Record:
    """A fleet over some time. Behind its end it begins again."""

    begin_s: int
    length_s: int  # whole days, unless it is shorter than one
    twins: Mapping[str, Twin]

    @property
    def days(self) -> int:
        """How many starts there are that have the right time of day; at least one."""
        return max(1, self.length_s // DAY_S)

    def offset(self, start_s: int, day: int) -> int:
        """Where in the record a rollout begins that starts then, on that day of the record."""
        return (start_s - self.begin_s + day * DAY_S) % self.length_s


def record(beats: Mapping[str, Sequence[int]], begin_s: int, end_s: int, answers: Mapping[str, int]) -> Record:
    """The twins of a fleet. `beats`: {node: times of its heartbeats, ascending}; a node without any never comes.

    `answers` has the milliseconds of an acknowledgement where they are known. Times at which no node at all was heard
    say nothing about nodes: the service did not run.
    """
    length = max(end_s - begin_s, 1)
    length -= length % DAY_S if length > DAY_S else 0
    begin = end_s - length  # the newest whole days
    blind = _blind(beats, begin, end_s)
    twins = {node: _twin(node, times, begin, end_s, blind, answers.get(node, 100)) for node, times in beats.items()}
    return Record(begin, length, twins)


def _blind(beats: Mapping[str, Sequence[int]], begin_s: int, end_s: int) -> list[Span]:
    """When nobody was heard although somebody should have been."""
    minutes = sorted({time // 60 for times in beats.values() for time in times if begin_s <= time < end_s})
    usual = sorted(after - before for before, after in itertools.pairwise(minutes))
    patience = max(_BLIND_S, _AWAY * 60 * usual[len(usual) // 2]) if usual else end_s - begin_s
    edges = [begin_s // 60, *minutes, end_s // 60]
    pairs = itertools.pairwise(edges)
    return [(before * 60, after * 60) for before, after in pairs if (after - before) * 60 > patience]


def _twin(node: str, times: Sequence[int], begin_s: int, end_s: int, blind: Sequence[Span], answer_ms: int) -> Twin:
    heard = [time for time in times if begin_s <= time < end_s]
    period = _period(heard)
    spans: list[Span] = []
    first = last = heard[0] if heard else 0
    missing = 0
    for time in heard:
        silent = time - last
        if silent >= period + period // 2:  # few are
            silent -= _overlap(blind, last, time)
            if silent > _AWAY * period:
                spans.append((first, last))
                first = time
            else:
                missing += max(0, (silent + period // 2) // period - 1)
        last = time
    spans += [(first, last)] if heard else []
    found = [(begin - begin_s, min(end + period, end_s) - begin_s) for begin, end in spans]
    return Twin(node, _whole(found, end_s - begin_s, period), 1000 * missing // (missing + len(heard) or 1), answer_ms)


def _whole(spans: Sequence[Span], length: int, period: int) -> tuple[Span, ...]:
    """Spans that reach the edges where only a heartbeat is missing there."""
    found = []
    for begin, end in spans:
        first, last = (0 if begin <= _AWAY * period else begin), (length if end >= length - period else end)
        found.append((first, last))
    return tuple(found)


def _period(times: Sequence[int]) -> int:
    gaps = sorted(after - before for before, after in itertools.pairwise(times))
    return min(max(gaps[len(gaps) // 2], _LEAST_S), _MOST_S) if len(gaps) > 1 else _USUAL_S


def _overlap(spans: Iterable[Span], begin: int, end: int) -> int:
    return sum(max(0, min(end, last) - max(begin, first)) for first, last in spans)


@dataclass(frozen=True, slots=True)
class Presence:
    """A node's comings and goings in simulated time: its record from `offset` on, again and again."""

    twin: Twin
    length_s: int
    offset: int  # in the record at simulated time `start_s`
    start_s: int

    def at(self, now_s: int) -> tuple[bool, int]:
        """(it is there, when that changes); (False, 0) = it never comes, (True, 0) = it never goes."""
        spans, length = self.twin.spans, self.length_s
        if not spans:
            return False, 0
        if spans == ((0, length),):
            return True, 0
        place = (now_s - self.start_s + self.offset) % length
        number = bisect_right(spans, (place, length + 1)) - 1
        if number >= 0 and place < spans[number][1]:
            return True, now_s + self._going(number) - place
        coming = spans[number + 1][0] if number + 1 < len(spans) else length + spans[0][0]
        return False, now_s + coming - place

    def _going(self, number: int) -> int:
        """The end of that span; the first one goes on where the last reaches the end of the record."""
        end = self.twin.spans[number][1]
        if end < self.length_s or self.twin.spans[0][0] > 0:
            return end
        return self.length_s + self.twin.spans[0][1]
