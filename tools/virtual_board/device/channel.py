"""The two ways to the process that started this one: lines of JSON, and a few numbers in memory that both see."""

import json
import select
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

COUNTERS = ">IIIIIIQ"  # operations, erases, bytes programmed; feeds, time-out (ms), waits; milliseconds since the start
_FEEDS = 12
_TIMEOUT = 16
_WAITS = 20
_ELAPSED = 24


class Channel:
    """Lines of JSON, one object each, over the socket with the number `fd`."""

    def __init__(self, fd: int) -> None:
        self.stream: "Any" = open(fd, "r+b")  # noqa: SIM115 - until the process ends
        self._poller = select.poll()
        self._poller.register(self.stream, select.POLLIN)

    def waits(self, milliseconds: int) -> bool:
        """Wait for a line, at most so long (-1: for ever); True when there is one. A signal ends it early."""
        for _ in self._poller.ipoll(milliseconds):  # type: ignore[attr-defined]
            return True
        return False

    def receive(self) -> "dict[str, Any]":
        """The next line; EOFError when there is nobody left."""
        line = self.stream.readline()
        if not line:
            raise EOFError
        found: "dict[str, Any]" = json.loads(line)
        return found

    def send(self, message: "dict[str, Any]") -> None:
        """One line."""
        self.stream.write(json.dumps(message).encode() + b"\n")


class Counters:
    """COUNTERS in the file with the number `fd`; each value is written as it changes."""

    def __init__(self, fd: int, now_ms: "Callable[[], int]") -> None:
        self._file: "Any" = open(fd, "r+b")  # noqa: SIM115
        self._now_ms = now_ms
        self._feeds = 0

    def _put(self, at: int, layout: str, *values: int) -> None:
        self._file.seek(at)
        self._file.write(struct.pack(layout, *values))

    def flash(self, operations: int, erases: int, programmed: int) -> None:
        """What the flash has done in this run."""
        self._put(0, ">III", operations, erases, programmed)

    def fed(self, timeout_ms: int) -> None:
        """The watchdog was fed, or started; `timeout_ms` is its patience."""
        self._feeds = (self._feeds + 1) & 0xFFFFFFFF
        self._put(_FEEDS, ">II", self._feeds, timeout_ms)

    def waiting(self, on: bool) -> None:
        """The program waits where this simulation watches it (on), or may do what it likes."""
        self._put(_WAITS, ">I", 1 if on else 0)

    def elapsed(self) -> None:
        """Note the time: the next run goes on from here."""
        self._put(_ELAPSED, ">Q", self._now_ms())
