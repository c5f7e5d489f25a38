"""Decides when a sensor is tried, given up and tried again. Told the time in ms of uptime."""

from node.core.integers import div_round

_PATIENCE = 3  # failed readings in a row that make a fault
_RECOVERY = 3  # good readings in a row that end it
_FIRST_MS = 5000  # wait before the first new start; doubles up to _LAST_MS
_LAST_MS = 300000
_STEADY_MS = 60000  # a sensor that ran that long starts again with the first wait
_STALE_MS = 10000  # no new value for this long, and for five periods, is a failed reading


class Watch:
    """One sensor. `running`: it was started and has not been given up."""

    def __init__(self, period_ms: int) -> None:
        self.running = False
        self.faulty = False
        self.errors = 0  # since boot
        self.due_ms = 0
        self.started_ms = 0
        self._period_ms = period_ms
        self._fresh_ms = 0
        self._bad = 0
        self._good = 0
        self._wait_ms = _FIRST_MS

    @property
    def answers(self) -> bool:
        """True while it runs without a fault, and its last reading was good."""
        return self.running and not self.faulty and self._good > 0

    def period_ms(self, interval_s: int) -> int:
        """Time between two readings: the sensor's own, or less when the records are shorter than two of them."""
        return min(self._period_ms, max(1000, interval_s * 500))

    def expected(self, seconds: int, interval_s: int) -> int:
        """Readings in an interval of that many seconds."""
        return div_round(seconds * 1000, self.period_ms(interval_s))

    def started(self, now_ms: int) -> None:
        """start() went well."""
        self.running = True
        self.started_ms = self._fresh_ms = now_ms
        self._bad = 0

    def succeeded(self, now_ms: int) -> bool:
        """A new value came; True when this ends a fault."""
        self._fresh_ms = now_ms
        self._bad = 0
        self._good += 1
        if now_ms - self.started_ms >= _STEADY_MS:
            self._wait_ms = _FIRST_MS
        if not self.faulty or self._good < _RECOVERY:
            return False
        self.faulty = False
        return True

    def is_stale(self, now_ms: int) -> bool:
        """True when the sensor answers, but has had nothing new for too long."""
        return now_ms - self._fresh_ms > max(_STALE_MS, 5 * self._period_ms)

    def failed(self, now_ms: int, fatal: bool) -> bool:
        """A reading failed, or (`fatal`) a start, or the values went stale; True when this begins a fault."""
        self.errors += 1
        self._good = 0
        self._bad += 1
        if not fatal and self._bad < _PATIENCE:
            return False
        self.running = False
        self.due_ms = now_ms + self._wait_ms
        self._wait_ms = min(2 * self._wait_ms, _LAST_MS)
        if self.faulty:
            return False
        self.faulty = True
        return True
