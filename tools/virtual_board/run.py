"""One process of MicroPython: its terminal, its channel for orders, its counters, its end."""

import asyncio
import fcntl
import json
import mmap
import os
import pty
import signal
import socket
import struct
import termios
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fleet.processes import tied
from tools.interpreter import micropython
from tools.virtual_board import watchdog

SCRIPT = Path(__file__).parent / "device" / "run.py"
LINE_MAX = 1 << 20  # of an answer
_COUNTERS = struct.Struct(">IIIIIIQ")  # as device/channel.py writes them
_READ = 1 << 16
_IFLAG, _OFLAG, _LFLAG = 0, 1, 3


@dataclass(frozen=True)
class RunEnd:
    """kind: "reset", "soft", "sleep", "cut", "crash"; `interrupted`: Ctrl-C hit the interpreter itself."""

    kind: str
    cause: int = 0
    sleep_ms: int = 0
    interrupted: bool = False


@dataclass(frozen=True)
class Counters:
    """What the process tells without being asked. `operations` is 0 until the flash was written."""

    operations: int
    erases: int
    programmed: int
    feeds: int
    watchdog_ms: int
    waiting: int
    elapsed_ms: int


class Run:
    """`on_output` gets what it says, as it says it; `on_message` every line of its channel that is not its end."""

    def __init__(
        self,
        heap_kb: int | None,
        on_output: Callable[[bytes], None],
        on_message: Callable[[dict[str, Any]], None],
    ) -> None:
        self.began = False  # it has reached its own program: Ctrl-C hits nothing else
        self._heap_kb = heap_kb
        self._on_output = on_output
        self._on_message = on_message
        self._process: asyncio.subprocess.Process | None = None
        self._end: RunEnd | None = None
        self._master = -1
        self._memory: mmap.mmap | None = None
        self._last = Counters(0, 0, 0, 0, 0, 0, 0)
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """Of the process, None when it has ended."""
        alive = self._process is not None and self._process.returncode is None
        return self._process.pid if alive and self._process else None

    async def start(self, plan: dict[str, Any]) -> None:
        """Start the process."""
        near, far = socket.socketpair()
        counters = os.memfd_create("counters")
        os.ftruncate(counters, _COUNTERS.size)
        self._memory = mmap.mmap(counters, _COUNTERS.size)
        self._master, slave = terminal()
        try:
            self._process = await self._spawn(slave, far.fileno(), counters)
        finally:
            os.close(slave)
            os.close(counters)
            far.close()
        reader, self._writer = await asyncio.open_connection(sock=near, limit=LINE_MAX)
        self.send(plan)
        self._reading = asyncio.create_task(self._listen(reader))
        asyncio.get_running_loop().add_reader(self._master, self._read)

    async def _spawn(self, slave: int, channel: int, counters: int) -> asyncio.subprocess.Process:
        tie = tied()

        def prepare() -> None:
            tie()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # Ctrl-C on the terminal is a signal for the process

        heap = () if self._heap_kb is None else ("-X", f"heapsize={self._heap_kb}K")
        return await asyncio.create_subprocess_exec(
            micropython(),
            *heap,
            "-i",
            str(SCRIPT),
            str(channel),
            str(counters),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            pass_fds=(channel, counters),
            start_new_session=True,
            preexec_fn=prepare,
        )

    def send(self, message: dict[str, Any]) -> None:
        """One line on its channel."""
        if self._writer is not None:
            self._writer.write(json.dumps(message).encode() + b"\n")

    def counters(self) -> Counters:
        """Where it stands; the last word of one that has ended."""
        if self._memory is not None:
            self._last = Counters(*_COUNTERS.unpack(self._memory))
        return self._last

    def usage(self) -> tuple[float, bool]:
        """(processor time in s, it sleeps); ProcessLookupError when it has ended."""
        if self.pid is None:
            raise ProcessLookupError
        return watchdog.usage(self.pid)

    def takes_signals(self) -> bool:
        """Ctrl-C is a signal: a program runs. At the prompt it is a key like any other."""
        return self._master >= 0 and bool(termios.tcgetattr(self._master)[_LFLAG] & termios.ISIG)

    def at_prompt(self) -> bool:
        """It waits for somebody to type something."""
        return self.began and not self.takes_signals()

    def write(self, data: bytes) -> int:
        """Type `data`; the number of bytes that fit."""
        try:
            return os.write(self._master, data) if self._master >= 0 else 0
        except BlockingIOError:
            return 0

    def end(self, end: RunEnd) -> None:
        """Kill the process; that is how its run ended, unless it has ended already."""
        self._end = self._end or end
        self.kill()

    def kill(self) -> None:
        """Kill the process."""
        if self.pid is not None and self._process is not None:
            self._process.kill()

    async def ended(self) -> RunEnd:
        """Wait for the end; everything that was said before has been passed on."""
        assert self._process is not None
        assert self._reading is not None
        assert self._writer is not None
        code = await self._process.wait()
        await self._reading
        self._writer.close()
        while self._read():
            pass
        self._close()
        return self._end or RunEnd("soft" if code >= 0 or code == -signal.SIGINT else "crash", 5, interrupted=code < 0)

    def _close(self) -> None:
        self.counters()
        if self._memory is not None:
            self._memory.close()
            self._memory = None
        if self._master >= 0:
            asyncio.get_running_loop().remove_reader(self._master)
            os.close(self._master)
            self._master = -1

    def _read(self) -> bool:
        """Pass on what was said; False at the end."""
        try:
            data = os.read(self._master, _READ)
        except OSError:  # EIO: nobody has the terminal open any more
            asyncio.get_running_loop().remove_reader(self._master)
            return False
        self._on_output(data)
        return bool(data)

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        """Read the channel until its end."""
        while line := await self._line(reader):
            message = json.loads(line)
            if "end" in message:
                self.end(RunEnd(message["end"], message["cause"], message["sleep_ms"]))
                continue
            self.began = self.began or "began" in message
            self._on_message(message)

    @staticmethod
    async def _line(reader: asyncio.StreamReader) -> bytes:
        try:
            return await reader.readline()
        except (ConnectionError, ValueError):
            return b""


def terminal() -> tuple[int, int]:
    """(our end, its end) of a terminal that changes nothing but takes Ctrl-C for a signal."""
    master, slave = pty.openpty()
    mode = termios.tcgetattr(slave)
    mode[_IFLAG] = 0
    mode[_OFLAG] &= ~termios.OPOST
    mode[_LFLAG] = termios.ISIG
    mode[6][termios.VQUIT] = mode[6][termios.VSUSP] = b"\x00"  # only Ctrl-C
    termios.tcsetattr(slave, termios.TCSANOW, mode)
    os.set_blocking(master, False)
    return master, slave
