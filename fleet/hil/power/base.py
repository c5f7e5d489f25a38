"""What every power driver is, and what those that talk HTTP share."""

import abc
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from fleet.errors import NotAllowedError, NotFoundError

S = TypeVar("S")
OFF_S = 2.0  # the capacitors of a board and of its sensors are empty after that
MAX_SECRET = 1024  # bytes


class Driver(abc.ABC, Generic[S]):
    """One board's switch. Calls end within a bounded time, with UnreachableError when the switch does not answer."""

    Settings: ClassVar[type[Any]]
    cuts: ClassVar[bool] = True  # takes the power away, rather than holding the chip in reset
    off_s: ClassVar[float] = OFF_S  # how long `cycle` stays off at least

    def __init__(self, settings: S, board: str, port: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self.settings = settings
        self.board = board
        self.port = port
        self._sleep = sleep

    @abc.abstractmethod
    def on(self) -> None:
        """Give it power; nothing happens when it has it."""

    @abc.abstractmethod
    def off(self) -> None:
        """Take its power away; nothing happens when it has none."""

    def cycle(self, off_s: float = 0.0) -> None:
        """Off, then on again after `off_s` seconds, and never sooner than this kind of switch needs."""
        self.off()
        self._sleep(max(off_s, self.off_s))
        self.on()

    def close(self) -> None:
        """Let go of whatever `off` holds."""


def secret(path: Path) -> str:
    """The first line of a file with a password; NotAllowedError when others can read it."""
    try:
        with path.open("rb") as file:
            if path.stat().st_mode & 0o077:
                raise NotAllowedError(f"{path} can be read by others", hint=f"chmod 600 {path}")
            lines = file.read(MAX_SECRET).decode(errors="replace").splitlines()
    except OSError as error:
        raise NotFoundError(f"cannot read {path}", cause=error.strerror or str(error)) from error
    return lines[0] if lines else ""
