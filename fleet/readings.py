"""Use case: measured values to look at, and which of them to export."""

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from fleet.errors import UsageError
from fleet.model import Reading
from fleet.store import Store
from protocol import registry
from protocol.records import FLAG_FAIL, FLAG_MISSING, FLAG_NOT_EVALUATED, FLAG_PASS, FLAG_SUSPECT

FLAGS = {
    FLAG_PASS: "pass",
    FLAG_NOT_EVALUATED: "not evaluated",
    FLAG_SUSPECT: "suspect",
    FLAG_FAIL: "fail",
    FLAG_MISSING: "missing",
}
TREND_POINTS = 20


@dataclass(frozen=True)
class Newest:
    """The newest value of one channel of one node, and its course before that as means of equal parts of time."""

    reading: Reading
    trend: Sequence[int | None]


def channels_named(names: Iterable[str]) -> set[int] | None:
    """The ids of channels, None for no names; UsageError names what looks like a wrong one."""
    found = set()
    for name in names:
        row = registry.channel_named(name)
        if row is None:
            near = difflib.get_close_matches(name, [known.name for known in registry.CHANNELS], 1)
            hint = f"did you mean {near[0]}?" if near else "docs/reference/channels.md lists every channel"
            raise UsageError(f"there is no channel {name}", hint=hint)
        found.add(row.id)
    return found or None


def newest(
    store: Store, nodes: Collection[str], channels: Collection[int] | None, now_s: int, span_s: int
) -> list[Newest]:
    """The newest values of some nodes, by node and channel, with their trend over the last `span_s` seconds."""
    latest = [reading for reading in store.readings.latest(nodes) if channels is None or reading.channel in channels]
    trends = _trends(store.readings.range(nodes, now_s - span_s, now_s, channels), now_s - span_s, span_s)
    empty: list[int | None] = [None] * TREND_POINTS
    return [Newest(reading, trends.get((reading.node, reading.channel), empty)) for reading in latest]


def _trends(readings: Iterable[Reading], from_s: int, span_s: int) -> Mapping[tuple[str, int], list[int | None]]:
    sums: dict[tuple[str, int], list[tuple[int, int]]] = {}
    for reading in readings:
        if reading.mean is not None:
            points = sums.setdefault((reading.node, reading.channel), [(0, 0)] * TREND_POINTS)
            at = (reading.t_s - from_s) * TREND_POINTS // span_s
            total, count = points[at]
            points[at] = total + reading.mean, count + 1
    return {key: [total // count if count else None for total, count in points] for key, points in sums.items()}
