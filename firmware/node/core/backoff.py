"""How long to wait before the next connection attempt: decorrelated jitter.

Each wait is drawn from `BASE_MS` to three times the one before it. The first comes from a spread of 40 s, because a
broker that restarts cuts off the whole fleet in the same moment: at most a fifth of it may come back within 5 s.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

BASE_MS = 1000
SPREAD_MS = 40000  # upper end of the first wait
STABLE_MS = 60000  # a connection that held this long starts the sequence anew


class Backoff:
    """The waits of one link. `random(n)` gives an integer from 0 to n-1."""

    def __init__(self, random: "Callable[[int], int]") -> None:
        self._random = random
        self._high = SPREAD_MS

    def held(self, up_ms: int) -> None:
        """A connection ended after `up_ms`."""
        if up_ms >= STABLE_MS:
            self._high = SPREAD_MS

    def next_ms(self, cap_ms: int) -> int:
        """The wait before the next attempt, BASE_MS .. `cap_ms`."""
        high = min(max(cap_ms, BASE_MS), self._high)
        wait = BASE_MS + self._random(high - BASE_MS + 1)
        self._high = max(SPREAD_MS, 3 * wait)
        return wait
