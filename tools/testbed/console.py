"""Faults by hand: orders in words for a running test bench, over a Unix socket in its directory."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from tools.switchboard import Link, NameServer, TimeServer
from tools.switchboard.__main__ import SOCKET
from tools.testbed.bed import Testbed
from tools.testbed.node import Node
from tools.testbed.service import ServiceError
from tools.virtual_board.client import BoardError

ALL = "all"
LINE_MAX = 500


class OrderError(ValueError):
    """An order that makes no sense; the text says why."""


class Console:
    """Carries out orders on `bed`: each is a word of ORDERS (tools/switchboard/__main__.py) with what belongs to it."""

    def __init__(self, bed: Testbed) -> None:
        self._bed = bed
        self._server: asyncio.Server | None = None
        self.words: dict[str, Callable[..., Awaitable[None]]] = {
            "cut": self._cut,
            "refuse": self._refuse,
            "drop": self._drop,
            "delay": self._delay,
            "throttle": self._throttle,
            "heal": self._heal,
            "kill": self._kill,
            "start": self._start,
            "fault": self._fault,
            "silence": self._silence,
            "speak": self._speak,
            "rate": self._rate,
        }

    async def __aenter__(self) -> "Console":
        self._server = await asyncio.start_unix_server(self._client, self._path, limit=LINE_MAX)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self._path.unlink(missing_ok=True)

    @property
    def _path(self) -> Path:
        return self._bed.directory / SOCKET

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = await reader.readline()
            writer.write((await self.obey(line.decode(errors="replace")) + "\n").encode())
            await writer.drain()
        except (OSError, ValueError):  # it went away, or has no end
            pass
        finally:
            writer.close()

    async def obey(self, line: str) -> str:
        """Carry out one order: `ok`, or `Error: ` and why not."""
        word, *rest = line.split() or [""]
        method = self.words.get(word)
        if method is None:
            return f"Error: no order {word!r}: one of {', '.join(self.words)}"
        names = list(inspect.signature(method).parameters)
        if len(rest) != len(names):
            return f"Error: {word} takes {' '.join(names) or 'nothing'}"
        try:
            await method(*rest)
        except (ValueError, BoardError, ServiceError, OSError) as error:
            return f"Error: {error}"
        return "ok"

    def _nodes(self, node: str) -> Iterable[Node]:
        return [self._bed.nodes[name] for name in self._names(node)]

    def _links(self, node: str) -> Iterable[Link]:
        return [self._bed.links[name] for name in self._names(node)]

    def _names(self, node: str) -> list[str]:
        if node != ALL and node not in self._bed.nodes:
            raise OrderError(f"no node {node}: {', '.join(self._bed.nodes)} or {ALL}")
        return list(self._bed.nodes) if node == ALL else [node]

    async def _cut(self, node: str) -> None:
        for link in self._links(node):
            link.cut()

    async def _refuse(self, node: str) -> None:
        for link in self._links(node):
            await link.refuse()

    async def _drop(self, node: str) -> None:
        for link in self._links(node):
            link.drop()

    async def _delay(self, node: str, seconds: str) -> None:
        for link in self._links(node):
            link.delay_s = float(seconds)

    async def _throttle(self, node: str, bytes_per_s: str) -> None:
        for link in self._links(node):
            link.bytes_per_s = int(bytes_per_s)

    async def _heal(self, node: str) -> None:
        for link in self._links(node):
            await link.heal()

    async def _kill(self, what: str) -> None:
        if what == "service":
            await self._bed.service.kill()
        elif what == "broker":
            self._bed.service.kill_broker()
        else:
            for node in self._nodes(what):
                await node.power_off()

    async def _start(self, what: str) -> None:
        if what == "service":
            if self._bed.service.pid is None:
                await self._bed.service.start()
            return
        for node in self._nodes(what):
            await node.power_on()

    async def _fault(self, node: str, part: str, name: str, value: str) -> None:
        for found in self._nodes(node):
            await found.order("fault", part=part, name=name, value=int(value))

    async def _silence(self, server: str) -> None:
        self._server_named(server).silent = True

    async def _speak(self, server: str) -> None:
        self._server_named(server).silent = False

    def _server_named(self, server: str) -> TimeServer | NameServer:
        servers: dict[str, TimeServer | NameServer] = {"time": self._bed.times, "names": self._bed.names}
        if server not in servers:
            raise OrderError(f"no server {server}: time or names")
        return servers[server]

    async def _rate(self, rate: str) -> None:
        if float(rate) < 1:
            raise OrderError("time runs at real time or faster")
        await self._bed.set_rate(float(rate))
