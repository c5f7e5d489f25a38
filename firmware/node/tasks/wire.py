"""Sockets for asyncio: TCP with or without TLS, and UDP. Nothing here blocks and nothing polls in a loop.

Waiting goes through the I/O queue of asyncio, which exists on every port (stream.py of MicroPython does the same).
Two rules: one task waits per socket and direction, and a task that waits is cancelled only together with the one in
the other direction, because `IOQueue.remove` drops both.

TLS: the handshake is driven by the first write. While it lasts the TLS object is polled, which knows whether it needs
to read or to write; afterwards the TCP socket is polled, so that the unix port sleeps in poll() instead of asking
every millisecond.
"""

import asyncio
import errno
import gc
import socket
import ssl
from asyncio import core  # type: ignore[attr-defined]

from node.core.mqtt.errors import MqttError
from protocol.reasons import LOW_MEMORY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable
    from typing import Any, Callable

    from node.core.clock import Clock

TLS_BLOCK = 17 * 1024  # bytes: the largest single allocation of mbedTLS is its 16 KiB input buffer


def _readable(sock: "Any") -> "Awaitable[None]":  # type: ignore[misc]
    """Wait until `sock` can be read or has failed."""
    yield core._io_queue.queue_read(sock)


def _writable(sock: "Any") -> "Awaitable[None]":  # type: ignore[misc]
    """Wait until `sock` can be written or has failed."""
    yield core._io_queue.queue_write(sock)


def address_of(ip: str, port: int) -> "Any":
    """What `connect` of this port wants for an IPv4 address in digits; never asks a name server."""
    return socket.getaddrinfo(ip, port)[0][-1]


class Tls:
    """TLS to a server that the fleet's CA signed for, mutual with `pair`, our (certificate, key). Keeps them parsed.

    `set_rtc(utc_s)` sets the clock that certificates are checked against, `heap()` gives (free bytes, largest block or
    None)."""

    def __init__(
        self,
        clock: "Clock",
        ca: bytes,
        pair: "tuple[bytes, bytes] | None",
        set_rtc: "Callable[[int], None] | None",
        heap: "Callable[[], tuple[int, int | None]] | None",
    ) -> None:
        self._clock = clock
        self._ca = ca
        self._pair = pair
        self._set_rtc = set_rtc
        self._heap = heap
        self._context: "ssl.SSLContext | None" = None

    def context(self) -> "ssl.SSLContext":
        """For one handshake now: there is memory for it, and the board's clock is not before the certificates.

        Raises MqttError(LOW_MEMORY), and ValueError for what is no certificate."""
        gc.collect()
        largest = self._heap()[1] if self._heap else None
        if largest is not None and largest < TLS_BLOCK:
            raise MqttError(LOW_MEMORY, "largest block {} B".format(largest))
        if self._set_rtc:
            self._set_rtc(max(self._clock.floor_s, self._clock.utc_s() or 0))
        if self._context is None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.verify_mode = ssl.CERT_REQUIRED  # type: ignore[attr-defined]
            context.load_verify_locations(cadata=self._ca)
            if self._pair is not None:
                context.load_cert_chain(self._pair[0], self._pair[1])
            self._context = context
        return self._context


class Wire:
    """One stream connection."""

    def __init__(self) -> None:
        self._raw: "Any" = None
        self._stream: "Any" = None
        self._polled: "Any" = None

    async def open(self, ip: str, port: int, host: str, context: "ssl.SSLContext | None", first: memoryview) -> None:
        """Connect, do the handshake when there is a context (for a broker called `host`), and send `first`.

        Raises OSError, or ValueError when the certificate of the broker is refused. Has no time limit of its own."""
        self._raw = self._stream = self._polled = socket.socket()
        self._raw.setblocking(False)
        try:
            self._raw.connect(address_of(ip, port))
        except OSError as error:
            if error.errno != errno.EINPROGRESS:
                raise
        await _writable(self._raw)
        if context is not None:
            self._stream = context.wrap_socket(self._raw, server_hostname=host, do_handshake_on_connect=False)
            self._polled = self._stream
        await self.send(first)
        self._polled = self._raw

    async def send(self, data: memoryview) -> None:
        """Send all of `data`; raises OSError."""
        while data:
            count = self._stream.write(data)
            if count is None:
                await _writable(self._polled)
            else:
                data = data[count:]

    def read(self, into: memoryview) -> "int | None":
        """Bytes read; None when there are none at the moment, 0 at the end. Read to None before `readable`."""
        count: "int | None" = self._stream.readinto(into)
        return count

    async def readable(self) -> None:
        """Wait for `read` to have something."""
        await _readable(self._polled)

    def close(self) -> None:
        """Close at once, whatever state it is in."""
        for sock in (self._stream, self._raw):
            try:
                if sock is not None:
                    sock.close()
            except OSError:
                pass


async def ask(ip: str, port: int, question: bytes, into: bytearray, timeout_ms: int) -> int:
    """Send one UDP datagram and wait for an answer from that very address; its length.

    Raises OSError, and asyncio.TimeoutError after `timeout_ms`."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.connect(address_of(ip, port))
        sock.write(question)
        return await asyncio.wait_for_ms(_datagram(sock, into), timeout_ms)
    finally:
        sock.close()


async def _datagram(sock: "Any", into: bytearray) -> int:
    count: "int | None" = None
    while count is None:
        await _readable(sock)
        count = sock.readinto(into)
    return count
