"""Statistics of one interval, in integers: sums are kept relative to the first value, so they stay small and exact."""

from node.core.integers import div_round, isqrt
from protocol.records import FLAG_MISSING, FLAG_PASS, Sample


class Stats:
    """n, mean, sd, low and high of the values since the last clear()."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
        self.n = 0
        self.low = 0
        self.high = 0
        self._first = 0
        self._sum = 0
        self._squares = 0

    def add(self, value: int) -> None:
        """Take one value."""
        if not self.n:
            self._first = self.low = self.high = value
        elif value < self.low:
            self.low = value
        elif value > self.high:
            self.high = value
        self.n += 1
        away = value - self._first
        self._sum += away
        self._squares += away * away

    @property
    def mean(self) -> "int | None":
        """Mean, rounded; None without a value."""
        return self._first + div_round(self._sum, self.n) if self.n else None

    @property
    def sd(self) -> int:
        """Standard deviation of the sample (n - 1), rounded; 0 for fewer than two values."""
        n = self.n
        if n < 2:
            return 0
        variance4 = 4 * (n * self._squares - self._sum * self._sum) // (n * (n - 1))
        return isqrt(variance4) + 1 >> 1

    def sample(self, flag: int = FLAG_PASS, full: bool = False) -> Sample:
        """The sample of a record, with n, sd, min and max when `full`; without a value it is missing."""
        if not self.n:
            flag = FLAG_MISSING
        if not full:
            return Sample(self.mean, flag)
        if not self.n:
            return Sample(None, flag, 0)
        return Sample(self.mean, flag, self.n, self.sd, self.low, self.high)
