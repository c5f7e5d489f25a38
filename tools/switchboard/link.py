"""One link between a node and the broker: a TCP proxy that can do what networks do to a connection."""

import asyncio
import contextlib
import socket

_CHUNK = 16384
_RESET_ON_CLOSE = b"\x01\x00\x00\x00\x00\x00\x00\x00"  # struct linger {on, 0 s}: close() sends RST


class Link:
    """Forwards `address` to `target`; both are (host, port). Faults hold until `heal`, and they add up.

    `connections` counts those that were accepted, `forwarded` the bytes that went through in both directions.
    """

    def __init__(self, address: tuple[str, int], target: tuple[str, int]) -> None:
        self.address = address
        self.target = target
        self.delay_s = 0.0  # each piece of data waits for so long
        self.bytes_per_s = 0  # 0 = as fast as it goes
        self.connections = 0
        self.forwarded = 0
        self._open = asyncio.Event()
        self._open.set()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen. With port 0 the system chooses, and `address` says which."""
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(self.address)
        self.address = sock.getsockname()
        self._server = await asyncio.start_server(self._accept, sock=sock)

    def cut(self) -> None:
        """The cable is cut: nothing arrives any more, and nobody is told. New connections are silent too."""
        self._open.clear()

    async def refuse(self) -> None:
        """Nobody listens: connections are reset, and new ones are refused."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.drop()

    def drop(self) -> None:
        """Reset the connections that exist."""
        for task in self._tasks:
            task.cancel()

    async def heal(self) -> None:
        """End every fault. Connections that were cut are reset: their ends gave up long ago."""
        self.delay_s = 0.0
        self.bytes_per_s = 0
        if not self._open.is_set():
            self.drop()
            self._open.set()
        if self._server is None:
            await self.start()

    async def move(self, host: str) -> None:
        """Listen on another address from now on; who is connected has to come again."""
        await self.refuse()
        self.address = (host, self.address[1])
        await self.start()

    async def close(self) -> None:
        """End the link with all its connections."""
        await self.refuse()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        ends = [writer]
        try:
            await self._open.wait()
            far_reader, far_writer = await asyncio.open_connection(*self.target)
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
            pause = self.delay_s + (len(data) / self.bytes_per_s if self.bytes_per_s else 0)
            if pause:
                await asyncio.sleep(pause)
            await self._open.wait()
            writer.write(data)
            await writer.drain()
            self.forwarded += len(data)
        await self._open.wait()
        with contextlib.suppress(OSError):
            writer.write_eof()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Make closing this end send RST, as a broken link shows itself."""
    sock = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
