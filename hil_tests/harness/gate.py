"""The way of one board to the broker, and its time server: both can fail on demand, and nobody else's does.

A node is given the gate's address instead of the broker's, so this works for every board that reaches this computer.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable

_CHUNK = 16384
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # struct linger {on, 0 s}: close() sends RST
_SINCE_1900_S = 2208988800
_REQUEST = 48  # bytes of a question to a time server (RFC 4330)
_SERVER = 4 << 3 | 4  # version 4, mode server
_STRATUM = 2

Address = tuple[str, int]


class Gate(asyncio.DatagramProtocol):
    """`utc_s()` is the time that the board lives in. All methods belong to the thread of the event loop."""

    def __init__(self, listen: str, target: Address, utc_s: Callable[[], float]) -> None:
        self.connections = 0  # that were accepted
        self._broker: Address = (listen, 0)
        self._target = target
        self._utc_s = utc_s
        self._silent = False
        self._open = asyncio.Event()
        self._open.set()
        self._server: asyncio.Server | None = None
        self._times: asyncio.DatagramTransport | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> tuple[int, int]:
        """Listen; (port for MQTT, port of the time server)."""
        await self._listen()
        loop = asyncio.get_running_loop()
        self._times, _ = await loop.create_datagram_endpoint(lambda: self, (self._broker[0], 0))
        return self._broker[1], self._times.get_extra_info("sockname")[1]

    async def cut(self) -> None:
        """Nothing arrives any more, and nobody is told; the time server is silent too."""
        self._silent = True
        self._open.clear()

    async def refuse(self) -> None:
        """Nobody listens: connections are reset, and new ones refused."""
        if self._server is not None:
            self._server.close()
            self._server = None
        await self.drop()

    async def drop(self) -> None:
        """Reset the connections that exist."""
        for task in list(self._tasks):
            task.cancel()

    async def heal(self) -> None:
        """End every fault. Connections that were cut are reset: their ends gave up long ago."""
        self._silent = False
        if not self._open.is_set():
            await self.drop()
            self._open.set()
        if self._server is None:
            await self._listen()

    async def close(self) -> None:
        """End everything."""
        await self.refuse()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._times is not None:
            self._times.close()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, *self._broker, reuse_address=True)
        self._broker = self._server.sockets[0].getsockname()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        ends = [writer]
        try:
            await self._open.wait()
            far_reader, far_writer = await asyncio.open_connection(*self._target)
            ends.append(far_writer)
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(self._pump(reader, far_writer))
                pumps.create_task(self._pump(far_reader, writer))
        except (OSError, asyncio.CancelledError, ExceptionGroup):
            for end in ends:
                _reset(end)
        finally:
            self._tasks.discard(task)
            for end in ends:
                end.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_CHUNK):
            await self._open.wait()
            writer.write(data)
            await writer.drain()
        await self._open.wait()
        with contextlib.suppress(OSError):
            writer.write_eof()

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """Tell the time (RFC 4330)."""
        if self._times is None or self._silent or len(data) < _REQUEST:
            return
        now = int((self._utc_s() + _SINCE_1900_S) * (1 << 32)) & (1 << 64) - 1
        head = struct.pack(">BBbb11xB", _SERVER, _STRATUM, data[2], -20, 1)
        self._times.sendto(struct.pack(">16sQ8sQQ", head, now, data[40:48], now, now), addr)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Make closing this end send RST, as a broken link shows itself."""
    sock = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
