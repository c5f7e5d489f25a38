"""What time it is in the simulated world, and a time server that tells it (SNTP, RFC 4330)."""

import asyncio
import struct
import time
from collections.abc import Callable

_SINCE_1900_S = 2208988800
_FIRST = 4 << 3 | 4  # version 4, server, no leap second
_STRATUM = 2


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


class TimeServer(asyncio.DatagramProtocol):
    """Tells the time of `clock`, or nothing while `silent`; `asked` counts the requests."""

    def __init__(self, clock: WorldClock) -> None:
        self.clock = clock
        self.silent = False
        self.asked = 0
        self._transport: asyncio.DatagramTransport | None = None

    async def start(self, host: str = "127.0.0.1") -> tuple[str, int]:
        """Listen on a free port; (host, port)."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, (host, 0))
        address: tuple[str, int] = self._transport.get_extra_info("sockname")
        return address

    def close(self) -> None:
        """Stop listening."""
        if self._transport is not None:
            self._transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """One request, one answer."""
        self.asked += 1
        if not self.silent and len(data) >= 48 and self._transport is not None:
            self._transport.sendto(self.answer(data), addr)

    def answer(self, request: bytes) -> bytes:
        """The answer to a request of 48 bytes."""
        now = int((self.clock.utc_s() + _SINCE_1900_S) * (1 << 32)) & (1 << 64) - 1
        head = struct.pack(">BBbb11xB", _FIRST, _STRATUM, request[2], -20, 1)
        return struct.pack(">16sQ8sQQ", head, now, request[40:48], now, now)
