"""A port at which a script speaks: what a test needs that wants exact bytes of a board, and no board."""

import contextlib
import os
import pty
import select
import termios
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from fleet.tests.rig import wait_for

Answer = Callable[[bytes], bytes]
NODE = (
    '@lumenair {"node": "air-1", "fw": "0.1.0", "manifest": "'
    + "ab" * 32
    + '", "slot": "a", "boot": 12, "kind": "air",'
    ' "board": "esp32_air", "mac": "240ac4000001", "state": "node", "cause": 1, "waiting": 3}'
)
BANNER = b"\r\nMicroPython v1.29.0 on 2026-08-24; Generic ESP32 module with ESP32\r\n"


class ScriptedPort:
    """A pseudo-terminal behind the symlink `path`; `answer` says what comes back for the bytes that were typed."""

    def __init__(self, path: Path, answer: Answer = lambda typed: b"") -> None:
        self.path = path
        self.typed = b""
        self._answer = answer
        self._master = -1
        self._stop, self._wake = os.pipe()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> "ScriptedPort":
        self.plug()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.unplug()
        os.close(self._stop)
        os.close(self._wake)

    def plug(self) -> None:
        self._master, slave = pty.openpty()
        attributes = termios.tcgetattr(slave)
        attributes[1] &= ~termios.OPOST
        attributes[3] = 0
        termios.tcsetattr(slave, termios.TCSANOW, attributes)
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()
        self.path.symlink_to(os.ttyname(slave))
        os.close(slave)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def unplug(self) -> None:
        if self._thread is None:
            return
        os.write(self._wake, b"x")
        self._thread.join()
        os.read(self._stop, 1)
        self._thread = None
        self.path.unlink()
        os.close(self._master)

    def say(self, data: bytes) -> None:
        os.write(self._master, data)

    def opened(self) -> None:
        """Return when somebody has opened the port: before that, what is said is lost."""
        poll = select.poll()
        poll.register(self._master, 0)  # a hang-up is always reported: nobody has the other end open
        wait_for(lambda: not poll.poll(0), "somebody who opens the port")

    def _serve(self) -> None:
        while True:
            ready, _, _ = select.select([self._master, self._stop], [], [])
            if self._stop in ready:
                return
            try:
                typed = os.read(self._master, 4096)
            except OSError:  # nobody has it open
                select.select([self._stop], [], [], 0.01)
                continue
            self.typed += typed
            answer = self._answer(typed)
            if answer:
                os.write(self._master, answer)


def node(report: str = NODE) -> Answer:
    """A node that runs: it answers a question mark on a line of its own, and nothing else."""
    return lambda typed: f"{report}\r\n".encode() if b"\n?\r" in typed else b""


def prompt(typed: bytes) -> bytes:
    """MicroPython at its prompt."""
    if b"\x02" in typed:
        return BANNER + b'Type "help()" for more information.\r\n>>> '
    return (
        b">>> ?\r\nTraceback (most recent call last):\r\nSyntaxError: invalid syntax\r\n>>> " if b"?" in typed else b""
    )
