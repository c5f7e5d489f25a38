"""The module `time` of the ESP32 port on the virtual clock. Its epoch is 2000-01-01, and its ticks wrap after 2**30."""

import time

from tools.sim.clock import PERIOD, ticks_diff
from tools.virtual_board.device.retained import UNIX_2000

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tools.virtual_board.device.board import Board

_real: "Any" = time
_DAY_S = 86400


class Time:
    """`time`, to be put into sys.modules."""

    __name__ = "time"

    def __init__(self, board: "Board") -> None:
        self._board = board
        self._line = board.timeline
        self.ticks_ms = board.clock.ticks_ms  # milliseconds since the last hard reset
        self.ticks_diff = ticks_diff

    def ticks_us(self) -> int:
        """Microseconds; they run with the milliseconds."""
        return self._board.clock.ticks_us(_real.ticks_us())

    ticks_cpu = ticks_us

    def ticks_add(self, ticks: int, delta: int) -> int:
        """`ticks` and `delta` more."""
        return (ticks + delta) % PERIOD

    def sleep_ms(self, milliseconds: int) -> None:
        """Wait."""
        self._line.sleep(max(milliseconds, 0))

    def sleep(self, seconds: float) -> None:
        """Wait."""
        self._line.sleep(max(int(seconds * 1000), 0))

    def sleep_us(self, microseconds: int) -> None:
        """Wait; whole milliseconds on the virtual clock, the rest in real time."""
        if microseconds >= 1000:
            self._line.sleep(microseconds // 1000)
        _real.sleep_us(max(microseconds, 0) % 1000)

    def time(self) -> int:
        """Seconds since 2000 by the RTC."""
        return self._board.retained.now_s() - UNIX_2000

    def time_ns(self) -> int:
        """The same in nanoseconds."""
        return self.time() * 1000000000

    def gmtime(self, seconds: "int | None" = None) -> "tuple[int, ...]":
        """(year, month, day, hour, minute, second, weekday, day of the year)."""
        found = _real.gmtime((self.time() if seconds is None else int(seconds)) + UNIX_2000)
        return tuple(found[:8])

    localtime = gmtime

    def mktime(self, moment: "tuple[int, ...]") -> int:
        """Seconds since 2000 of a tuple as `gmtime` gives; fields may be out of range."""
        year, month, day, hour, minute, second = moment[:6]
        year += (month - 1) // 12
        month = (month - 1) % 12 + 1
        return (days(year, month, day) * 24 + hour) * 3600 + minute * 60 + second


def days(year: int, month: int, day: int) -> int:
    """Days from 2000-01-01 to a date of the Gregorian calendar."""
    year -= month <= 2
    shifted = (month + 9) % 12
    return 365 * year + year // 4 - year // 100 + year // 400 + (153 * shifted + 2) // 5 + day - 1 - 730425
