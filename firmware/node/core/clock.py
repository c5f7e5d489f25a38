"""The one source of time of a node: ticks, uptime, UTC and how far UTC can be trusted. Integers only.

`ticks` wrap after 2**30 ms (12.4 days) and only this module knows it. Uptime does not wrap: every reading carries the
ticks that passed since the reading before, so somebody must read it at least every six days (upkeep does each second).
"""

from protocol.records import TQ_BOUND, TQ_NTP_DAY, TQ_NTP_HOUR, TQ_RTC, TQ_UPTIME

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

_MASK = (1 << 30) - 1
_HALF = 1 << 29
_AGES_S = (
    (3600, TQ_NTP_HOUR),
    (86400, TQ_NTP_DAY),
    (7 * 86400, TQ_RTC),  # a crystal of 20 ppm is off by 12 s after a week
)


def ticks_diff(later: int, earlier: int) -> int:
    """Milliseconds from `earlier` to `later` (-2**29 .. 2**29 - 1), as `time.ticks_diff` of a 32-bit port."""
    return ((later - earlier + _HALF) & _MASK) - _HALF


class Clock:
    """Time of this boot. `floor_s` is a time (s since 1970 UTC) that has passed for certain, known even before the
    first sync; the Timekeeper sets it. It is the least that TLS and SNTP may believe."""

    def __init__(self, ticks_ms: "Callable[[], int]", ticks_diff: "Callable[[int, int], int]" = ticks_diff) -> None:
        self.ticks = ticks_ms
        self.floor_s = 0
        self.anchor_s: "int | None" = None  # UTC of uptime 0 as the first sync saw it; never changes within a boot
        self._diff = ticks_diff
        self._last = ticks_ms()
        self._up_ms = 0
        self._zero_ms: "int | None" = None  # UTC of uptime 0 as the latest sync saw it
        self._quality = TQ_UPTIME
        self._set_s = 0

    def since(self, t0: int) -> int:
        """Milliseconds since `ticks()` returned `t0`; right for spans below six days."""
        return self._diff(self.ticks(), t0)

    def uptime_ms(self) -> int:
        """Milliseconds since this object was made; never decreases, does not wrap."""
        now = self.ticks()
        passed = self._diff(now, self._last)
        if passed > 0:
            self._up_ms += passed
            self._last = now
        return self._up_ms

    def uptime_s(self) -> int:
        """Whole seconds of uptime."""
        return self.uptime_ms() // 1000

    def utc_ms(self) -> "int | None":
        """Milliseconds since 1970 UTC, or None before the first sync."""
        return None if self._zero_ms is None else self._zero_ms + self.uptime_ms()

    def utc_s(self) -> "int | None":
        """Whole seconds since 1970 UTC, or None before the first sync."""
        now = self.utc_ms()
        return None if now is None else now // 1000

    def wait_s(self, spans: "list[int]") -> "int | None":
        """Seconds until it is time by `spans` (begin, end, begin, end ... in seconds since 1970 UTC): 0 when it is, as
        always without spans, -1 when the last one is over, None while the time is unknown."""
        now = self.utc_s()
        for at in range(0, len(spans), 2):
            if now is None or now < spans[at + 1]:
                return None if now is None else max(spans[at] - now, 0)
        return -1 if spans else 0

    def set_utc(self, utc_ms: int, quality: int = TQ_NTP_HOUR) -> None:
        """It is `utc_ms` now, on the word of a source of that quality (TQ_BOUND .. TQ_NTP_HOUR)."""
        self._zero_ms = utc_ms - self.uptime_ms()
        self._quality = quality
        self._set_s = self.uptime_s()
        if self.anchor_s is None and quality > TQ_BOUND:
            self.anchor_s = self._zero_ms // 1000

    def age_s(self) -> "int | None":
        """Seconds since the last `set_utc`, or None before the first."""
        return None if self._zero_ms is None else self.uptime_s() - self._set_s

    def quality(self) -> int:
        """TQ_* of the time now: what the source was worth, less what the age of the last sync costs."""
        age = self.age_s()
        if age is None:
            return TQ_UPTIME
        for limit, quality in _AGES_S:
            if age < limit:
                return min(quality, self._quality)
        return TQ_BOUND

    def stamp(self) -> "tuple[int, int]":
        """(t, tq) for a record or event of this instant: UTC seconds, or uptime seconds with TQ_UPTIME."""
        now = self.utc_s()
        return (self.uptime_s(), TQ_UPTIME) if now is None else (now, self.quality())
