"""Cuts time into the intervals of records: at whole multiples of their length in UTC, in uptime while UTC is unknown.

The first interval after a start, after the clock was set and after a change of length is shorter or longer than the
others; every record says how long it was.
"""

from protocol.records import MAX_INTERVAL_S

TYPE_CHECKING = False
if TYPE_CHECKING:
    from node.core.clock import Clock

_SLACK_MS = 500  # how far the clock may be slewed within an interval without shifting its start by a second


class Interval:
    """The interval that runs now. It begins when this object is made."""

    def __init__(self, clock: "Clock") -> None:
        self._clock = clock
        self._start_ms = clock.uptime_ms()

    def tick(self, length_s: int) -> "tuple[int, int, int] | None":
        """(t, tq, seconds) of the interval that ended since the last call, or None. `length_s` 1 cuts it off now."""
        clock = self._clock
        up = clock.uptime_ms()
        utc = clock.utc_ms()
        now = up if utc is None else utc
        start = now - (up - self._start_ms)
        edge = now - now % (length_s * 1000)
        if start >= edge - _SLACK_MS:
            return None
        self._start_ms = up - (now - edge)
        t = max(0, (start + _SLACK_MS) // 1000)
        return t, clock.quality(), min(max(1, edge // 1000 - t), MAX_INTERVAL_S)
