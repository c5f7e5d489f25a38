"""Who decides the level: an override beats the programme, the newest override beats the older ones.

Overrides end on the monotonic clock, whatever happens to the wall clock; a restart ends them all.
"""

from protocol.channels import REASON_OVERRIDE

_MAX = 8  # overrides that are remembered; a ninth drops the oldest


class Arbiter:
    """Keeps the overrides. Times are seconds of uptime."""

    def __init__(self) -> None:
        self._overrides: "list[tuple[int, int]]" = []  # (end, level), newest last

    def override(self, level: int, seconds: int, now_s: int) -> None:
        """Hold `level` for that long, from now."""
        self._overrides.append((now_s + seconds, level))
        if len(self._overrides) > _MAX:
            self._overrides.pop(0)

    def clear(self) -> int:
        """End every override; how many there were."""
        count = len(self._overrides)
        self._overrides = []
        return count

    def decide(self, program: "tuple[int, int]", now_s: int) -> "tuple[int, int]":
        """(level, REASON_*) in force, given what the programme says."""
        if self._overrides:
            self._overrides = [row for row in self._overrides if row[0] > now_s]
        return (self._overrides[-1][1], REASON_OVERRIDE) if self._overrides else program
