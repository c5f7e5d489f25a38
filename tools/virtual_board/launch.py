"""A virtual board as a child process, for tests and tools."""

import asyncio
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from fleet.processes import tied
from tools.interpreter import ROOT
from tools.processes import stop
from tools.virtual_board.client import Client

_STOP_S = 10.0
_READY_S = 60.0


class BoardDiedError(Exception):
    """The process ended before it was ready; the text is what it said."""


class BoardProcess:
    """A board in `directory`, with the options of `python -m tools.virtual_board` as keywords:

        with BoardProcess(tmp_path / "b1", chip="esp32s3", socket=True, wifi={"lab": "secret"}) as board:
            esptool("--port", board.port, ...)
            board.client.ask("cut", after=7, keep=100)

    True is a flag or "a free port", None or False is nothing; `wifi={}` is no network at all. Also `async with`, or
    `start()` and `stop()` in an event loop. It ends with this process.
    """

    def __init__(self, directory: Path, **options: Any) -> None:
        self.directory = directory
        self.client = Client(directory / "control")
        self.urls: dict[str, str] = {}  # of the ready line: port, control, socket, rfc2217, pid
        self._words = [sys.executable, "-m", "tools.virtual_board", "--dir", str(directory), *arguments(options)]
        self._process: subprocess.Popen[str] | None = None
        self._child: asyncio.subprocess.Process | None = None

    @property
    def port(self) -> str:
        """What tools take as --port."""
        return str(self.directory / "port")

    @property
    def pid(self) -> int:
        """Of the process."""
        return int(self.urls["pid"])

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._words, cwd=ROOT, stdout=subprocess.PIPE, text=True, preexec_fn=tied())
        assert self._process.stdout is not None
        try:
            self._take(self._process.stdout.readline())
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._end()

    def _end(self) -> None:
        self.client.close()
        if self._process is None:
            return
        with self._process as process:  # waits, and closes its pipe
            process.terminate()
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
        self._process = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start it and wait until it can be used."""
        self._child = await asyncio.create_subprocess_exec(
            *self._words, cwd=ROOT, stdout=subprocess.PIPE, preexec_fn=tied(), start_new_session=True
        )
        assert self._child.stdout is not None
        try:
            async with asyncio.timeout(_READY_S):
                self._take((await self._child.stdout.readline()).decode())
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End it."""
        self.client.close()
        if self._child is not None:
            await stop(self._child)
            self._child = None

    def _take(self, line: str) -> None:
        word, *rest = line.split() or [""]
        if word != "ready":
            raise BoardDiedError(f"the virtual board in {self.directory} did not start: see its stderr")
        self.urls = dict(part.partition("=")[::2] for part in rest)


def arguments(options: dict[str, Any]) -> list[str]:
    """Keywords as words of the command line."""
    words: list[str] = []
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        if name == "wifi" and value is not None:
            words += [f"--wifi={ssid}:{key}" for ssid, key in (value or {}).items()] or ["--no-wifi"]
        elif value is True:
            words.append(flag)
        elif value is not None and value is not False:
            words.append(f"{flag}={value}")
    return words
