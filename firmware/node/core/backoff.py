"""How long to wait before the next connection attempt: full jitter below a ceiling that triples.

A broker that restarts cuts off the whole fleet in the same moment, and no more than a fifth of it may knock within 5
s. Hence the first ceiling of 40 s, and hence not decorrelated jitter (three times the last draw): a thousand
simulated nodes peak at 18 % this way and at 29 % that way, because early birds knock again and again.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

BASE_MS = 1000
FIRST_MS = 40000  # ceiling of the first wait
STABLE_MS = 60000  # a connection that held this long starts the sequence anew


class Backoff:
    """The waits of one link. `random(n)` gives an integer from 0 to n-1."""

    def __init__(self, random: "Callable[[int], int]") -> None:
        self._random = random
        self._ceiling = FIRST_MS

    def held(self, up_ms: int) -> None:
        """A connection ended after `up_ms`."""
        if up_ms >= STABLE_MS:
            self._ceiling = FIRST_MS

    def next_ms(self, cap_ms: int) -> int:
        """The wait before the next attempt, BASE_MS .. `cap_ms`."""
        cap_ms = max(cap_ms, BASE_MS)
        ceiling = min(cap_ms, self._ceiling)
        self._ceiling = min(cap_ms, 3 * ceiling)
        return BASE_MS + self._random(ceiling - BASE_MS + 1)
