"""The interpreter as a program on an ESP32 finds it: sys, os, micropython, with what a host has hidden."""

import gc
import io
import os
import sys
from collections import namedtuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

RAW = b"\x1b]raw;%d\x07"  # before bytes that stand for themselves (tools/virtual_board/terminal.py)
_HEAP = 164288  # bytes that a classic ESP32 has free at the prompt
_CTRL_C = 3
_ISIG = 1  # of the flags that termios calls local
_LFLAG = 3
_HOST_ONLY = ("system", "getenv", "putenv", "unsetenv", "errno")

MACHINES = {  # what the images of MicroPython say of themselves: (board, chip, sys.implementation._mpy)
    "esp32": ("Generic ESP32 module", "ESP32", 11014),
    "esp32s3": ("Generic ESP32S3 module", "ESP32S3", 11014),
    "esp32c3": ("ESP32C3 module", "ESP32C3", 12038),
}


class Overlay:
    """A module with some of its names replaced or, with None, hidden."""

    def __init__(self, real: "Any", own: "dict[str, Any]") -> None:
        self._real = real
        self.__name__ = real.__name__
        for name in own:
            setattr(self, name, own[name])

    def __getattr__(self, name: str) -> "Any":
        if name in _HOST_ONLY:
            raise AttributeError(name)
        return getattr(self._real, name)


class Binary:
    """`sys.stdout.buffer`: bytes go out as they are; what `print` writes gets a carriage return before each newline."""

    def __init__(self, real: "Any") -> None:
        self._real = real

    def write(self, data: "bytes | bytearray | memoryview", *bounds: int) -> int:
        """All of `data`, or (data, count), or (data, offset, count), as every stream of MicroPython takes them."""
        start = bounds[0] if len(bounds) > 1 else 0
        piece = bytes(data[start : start + bounds[-1]] if bounds else data)
        self._real.write(RAW % len(piece) + piece)
        return len(piece)

    def flush(self) -> None:
        """Nothing waits here."""


class Output(io.IOBase):
    """`sys.stdout`."""

    def __init__(self, real: "Any") -> None:
        self._real = real
        self.buffer = Binary(real)

    def write(self, text: "str | bytes") -> int:
        """Print `text`."""
        count: int = self._real.write(text)
        return count

    def ioctl(self, request: int, argument: int) -> int:
        """There is always room."""
        return argument if request == 3 else 0

    def flush(self) -> None:
        """Nothing waits here."""


def kbd_intr(char: int) -> None:
    """`micropython.kbd_intr`: whether Ctrl-C is a signal (3) or a byte like any other (-1)."""
    import termios

    state: "list[Any]" = termios.tcgetattr(0)
    state[_LFLAG] = state[_LFLAG] | _ISIG if char == _CTRL_C else state[_LFLAG] & ~_ISIG
    termios.tcsetattr(0, termios.TCSANOW, state)


class Threshold:
    """`gc.threshold` in proportion to the heap, which is larger here, and holds what stands for hardware as well."""

    def __init__(self) -> None:
        self._real: "Any" = gc
        total: int = self._real.mem_free() + self._real.mem_alloc()
        self._times = max(1, total // _HEAP)
        self._set = -1

    def __call__(self, amount: "int | None" = None) -> "int | None":
        """Collect after so many bytes; without an argument, what was set."""
        if amount is None:
            return self._set
        self._set = amount
        self._real.threshold(amount if amount < 0 else amount * self._times)
        return None


def overlays(chip: str) -> "dict[str, Any]":
    """{name: what stands for that module}."""
    import micropython  # type: ignore[import-not-found]

    title, processor, mpy = MACHINES[chip]
    real: "Any" = sys.implementation
    machine = "{} with {}".format(title, processor)
    tuples: "Any" = namedtuple  # with names that begin with an underscore
    implementation = tuples("implementation", ("name", "version", "_machine", "_mpy", "_build"))
    release = "{}.{}.{}".format(*real.version[:3])
    version = "v{} on {}".format(release, sys.version.split(" on ")[-1])
    uname = tuples("uname", ("sysname", "nodename", "release", "version", "machine"))
    name = uname("esp32", "esp32", release, version, machine)
    own_sys = {
        "platform": "esp32",
        "implementation": implementation("micropython", real.version, machine, mpy, processor),
        "stdout": Output(sys.stdout),
        "modules": sys.modules,
    }
    return {
        "sys": Overlay(sys, own_sys),
        "gc": Overlay(gc, {"threshold": Threshold()}),
        "os": Overlay(os, {"uname": lambda: name}),
        "micropython": Overlay(micropython, {"kbd_intr": kbd_intr}),
    }
