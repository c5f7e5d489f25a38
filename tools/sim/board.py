"""A node's board within this process, for what needs no serial port: unit tests of a whole node, the power-cut matrix.

Everything that is hardware on an ESP32 is an object that was passed in. A reset is SystemExit(RESET_*); whoever runs
the node starts it again with that cause, and with the memory that survives a reset unless it cuts the power.
(tools/virtual_board is a board as a process, with its own flash and serial port.)
"""

import asyncio
import gc
import random

from protocol.messages import RESET_HARD, RESET_POWER_ON, RESET_WATCHDOG

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import BinaryIO, Protocol

    from node.board.door import BaseDoor, BusDoor, PwmDoor, SerialDoor

    class Parts(Protocol):
        """What is wired to the board, under the names of its pin map."""

        @property
        def i2c(self) -> Mapping[str, BusDoor]:
            """Buses."""

        @property
        def uart(self) -> Mapping[str, SerialDoor]:
            """Ports."""

        @property
        def pwm(self) -> Mapping[str, PwmDoor]:
            """Outputs."""


RTC_BYTES = 256
_JOIN_MS = 1000  # what a Wi-Fi station needs to find its access point


class HostNetwork:
    """The network of the computer. `present` is False while there is no access point; `server` is its name server."""

    def __init__(self, server: "tuple[str, int] | None" = None) -> None:
        self.connects = 0
        self.present = True
        self._server = server
        self._up = False

    async def connect(self) -> bool:
        """Join the network; takes as long as Wi-Fi does."""
        await asyncio.sleep_ms(_JOIN_MS)  # type: ignore[attr-defined]
        self._up = self.present
        if self._up:
            self.connects += 1
        return self._up

    def is_up(self) -> bool:
        """True from a successful `connect` until the access point is gone."""
        self._up = self._up and self.present
        return self._up

    def distrust(self) -> None:
        """The next `connect` joins again."""
        self._up = False

    def facts(self) -> "tuple[int, bytes, int]":
        """No driver, no Wi-Fi."""
        return 0, b"", 0

    def rssi(self) -> "int | None":
        """Nothing to measure."""
        return None

    def dns(self) -> "tuple[str, int] | None":
        """The name server that was passed in; None: ask the computer's resolver."""
        return self._server


class HostWatchdog:
    """Counts down in the ticks of the board. `barks()` says that it was not fed; a task of the simulation asks it."""

    def __init__(self, board: "HostBoard", timeout_ms: int) -> None:
        self._board = board
        self.timeout_ms = timeout_ms
        self._fed = board.ticks_ms()

    def feed(self) -> None:
        """Start the time-out again."""
        self._fed = self._board.ticks_ms()

    def barks(self) -> bool:
        """True when the time-out has passed."""
        return self._board.ticks_diff(self._board.ticks_ms(), self._fed) > self.timeout_ms


class HostBoard:
    """A board of models. `ticks` is (ticks_ms, ticks_diff), `memory` an open binary file for the bytes that survive a
    reset, `cause` RESET_*, `serial` its MAC address, `base` its other application partition."""

    def __init__(
        self,
        name: str,
        ticks: "tuple[Callable[[], int], Callable[[int, int], int]]",
        parts: "Parts",
        network: HostNetwork,
        memory: "BinaryIO",
        cause: int = RESET_POWER_ON,
        serial: bytes = b"\x24\x0a\xc4\x00\x00\x01",
        base: "BaseDoor | None" = None,
    ) -> None:
        self.name = name
        self.ticks_ms, self.ticks_diff = ticks
        self._parts = parts
        self._network = network
        self._memory = memory
        self._cause = cause
        self._serial = serial
        self._base = base
        self.dog: "HostWatchdog | None" = None

    def reset_cause(self) -> int:
        """Why this run was started."""
        return self._cause

    def reset(self, cause: int = RESET_HARD) -> None:
        """End the run."""
        raise SystemExit(cause)

    def watchdog(self, timeout_ms: int) -> HostWatchdog:
        """The one watchdog, with a new time-out."""
        if self.dog is None:
            self.dog = HostWatchdog(self, timeout_ms)
        self.dog.timeout_ms = timeout_ms
        self.dog.feed()
        return self.dog

    def check_watchdog(self) -> None:
        """Reset when the watchdog was not fed; the simulation calls it now and then, as a chip does by itself."""
        if self.dog is not None and self.dog.barks():
            self.reset(RESET_WATCHDOG)

    def i2c(self, name: str) -> "BusDoor":
        """The model bus of that name."""
        return self._parts.i2c[name]

    def uart(self, name: str, baud: int, parity: "int | None" = None) -> "SerialDoor":
        """The model behind that port."""
        return self._parts.uart[name]

    def pwm(self, name: str) -> "PwmDoor":
        """The model behind that output."""
        return self._parts.pwm[name]

    def network(self) -> HostNetwork:
        """The one network."""
        return self._network

    def rtc_read(self) -> bytes:
        """What `rtc_write` left before the reset."""
        self._memory.seek(0)
        return self._memory.read(RTC_BYTES)

    def rtc_write(self, data: bytes) -> None:
        """Keep up to 256 bytes over a reset."""
        self._memory.seek(0)
        self._memory.write(data[:RTC_BYTES])

    def set_rtc(self, utc_s: int) -> None:
        """Nothing to set: TLS on a computer goes by the computer's clock."""

    def heap(self) -> "tuple[int, int | None]":
        """(free bytes, unknown)."""
        return gc.mem_free(), None  # type: ignore[attr-defined]

    def random(self, below: int) -> int:
        """0 .. below - 1."""
        return random.randrange(below)

    def unique_id(self) -> bytes:
        """The serial number that was passed in."""
        return self._serial

    def chip(self) -> str:
        """As a board without a letter after its number."""
        return "esp32"

    def base(self) -> "BaseDoor | None":
        """What was passed in."""
        return self._base

    def mcu_cdeg(self) -> "int | None":
        """Unknown."""
        return None

    def supply_mv(self) -> "int | None":
        """Unknown."""
        return None
