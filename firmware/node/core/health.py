"""How late the loop is, in fixed memory."""

_BINS_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000)
_FULL = 1024  # counts after which all are halved, so that the past fades


class Lag:
    """95th percentile of the loop's lateness, from counts per bin."""

    def __init__(self) -> None:
        self._bins = [0] * (len(_BINS_MS) + 1)
        self._count = 0

    def add(self, lag_ms: int) -> None:
        """The loop woke `lag_ms` late."""
        at = 0
        while at < len(_BINS_MS) and lag_ms > _BINS_MS[at]:
            at += 1
        self._bins[at] += 1
        self._count += 1
        if self._count >= _FULL:
            self._bins = [count >> 1 for count in self._bins]
            self._count = sum(self._bins)

    def p95_ms(self) -> "int | None":
        """Upper edge of the bin that holds the 95th percentile (the last stands for all above), or None."""
        if not self._count:
            return None
        left = (self._count * 95 + 99) // 100
        for at, limit in enumerate(_BINS_MS):
            left -= self._bins[at]
            if left <= 0:
                return limit
        return _BINS_MS[-1]
