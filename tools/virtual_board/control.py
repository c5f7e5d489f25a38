"""The control socket: JSON lines, {"do": NAME, ...} -> {"ok": true, ...} or {"ok": false, "error": TEXT}."""

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tools.virtual_board.client import short

LINE_MAX = 1 << 20  # bytes of an order

Handle = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]


class ControlServer:
    """Serves `path` until closed; `handle(name, values)` gives the answer, or raises ValueError with the reason."""

    def __init__(self, path: Path, handle: Handle) -> None:
        self._path = path
        self._handle = handle
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen; a socket that a killed board has left is replaced."""
        self._path.unlink(missing_ok=True)
        sock = socket.socket(socket.AF_UNIX)
        with short(self._path) as name:
            sock.bind(name)
        self._path.chmod(0o600)  # before anybody can connect
        self._server = await asyncio.start_unix_server(self._serve, sock=sock, limit=LINE_MAX)

    def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
        self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(json.dumps(await self._answer(line)).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, asyncio.CancelledError, ValueError):  # gone, or a line without an end
            pass
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            order = json.loads(line)
            if not isinstance(order, dict) or not isinstance(order.get("do"), str):
                raise ValueError('an order is {"do": NAME, ...}')
            return {"ok": True, **await self._handle(order.pop("do"), order)}
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
            return {"ok": False, "error": str(error) or type(error).__name__}
        except TimeoutError:
            return {"ok": False, "error": "no answer in the time allowed"}
