"""A serial line that is as slow as a real one."""

from collections.abc import Callable

_BITS = 10  # of a byte with start and stop


class Pace:
    """One direction; `now()` in s as the event loop has it."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._free_at = 0.0

    def book(self, count: int, baud: int) -> float:
        """When the last of `count` more bytes is through, on the clock of `now`."""
        self._free_at = max(self._free_at, self._now()) + count * _BITS / baud
        return self._free_at
