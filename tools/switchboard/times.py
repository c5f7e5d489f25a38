"""What time it is in the simulated world, and a time server that tells it (SNTP, RFC 4330)."""

import struct
import time
from collections.abc import Callable

from tools.switchboard.datagrams import DatagramServer

_SINCE_1900_S = 2208988800
_FIRST = 4 << 3 | 4  # version 4, server, no leap second
_STRATUM = 2
_REQUEST = 48  # bytes


class WorldClock:
    """UTC of a world that began at `utc_s` and runs at `rate` (1 = real time); leaps happen on demand."""

    def __init__(self, utc_s: float, rate: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._utc_s = utc_s
        self._since = monotonic()
        self.rate = rate

    def utc_s(self) -> float:
        """Seconds since 1970 UTC, now."""
        return self._utc_s + (self._monotonic() - self._since) * self.rate

    def set_rate(self, rate: float) -> None:
        """Run at that rate from now on."""
        self.leap(0)
        self.rate = rate

    def leap(self, seconds: float) -> None:
        """It is `seconds` later at once."""
        self._utc_s = self.utc_s() + seconds
        self._since = self._monotonic()


class TimeServer(DatagramServer):
    """Tells the time of `clock`."""

    def __init__(self, clock: WorldClock) -> None:
        super().__init__()
        self.clock = clock

    def answer(self, data: bytes) -> bytes | None:
        """The answer to a request of at least 48 bytes, or None."""
        if len(data) < _REQUEST:
            return None
        now = int((self.clock.utc_s() + _SINCE_1900_S) * (1 << 32)) & (1 << 64) - 1
        head = struct.pack(">BBbb11xB", _FIRST, _STRATUM, data[2], -20, 1)
        return struct.pack(">16sQ8sQQ", head, now, data[40:48], now, now)
