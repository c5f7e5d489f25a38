"""What the program needs from a board, as Protocol classes. Read by mypy and by people, never by the device.

`esp32.py` implements them with machine, network and esp32; `tools/sim/board.py` with models. A third board
is a third file. Every method returns at once unless it is `async`; errors are OSError unless the text says otherwise.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class WatchdogDoor(Protocol):
        """A timer that resets the board unless it is fed."""

        def feed(self) -> None:
            """Start the time-out again."""

    class BusDoor(Protocol):
        """I2C as `machine.I2C`. A NACK is OSError."""

        def writeto(self, __address: int, __data: "bytes | bytearray | memoryview") -> int:
            """Write all of `data`."""

        def readfrom_into(self, __address: int, __into: "bytearray | memoryview") -> None:
            """Fill `into`."""

        def scan(self) -> "list[int]":
            """Addresses that answer."""

    class SerialDoor(Protocol):
        """UART as `machine.UART`."""

        def any(self) -> int:
            """Bytes that `readinto` would give at once."""

        def readinto(self, __into: "bytearray | memoryview") -> "int | None":
            """Read what is there; None for nothing."""

        def write(self, __data: "bytes | bytearray | memoryview") -> "int | None":
            """Send `data`."""

    class PwmDoor(Protocol):
        """One PWM output."""

        def duty_u16(self, __value: int) -> None:
            """On-time in 1/65535 of the period."""

    class NetworkDoor(Protocol):
        """The way to the internet."""

        connects: int  # successful connections since boot

        async def connect(self) -> bool:
            """Bring the link up; True when it has an address, False after a bounded time (at most 30 s)."""

        def is_up(self) -> bool:
            """True while the link claims to be up. A dead link may claim it for long: trust acknowledgements."""

        def distrust(self) -> None:
            """Nobody has answered for long, whatever the link claims: the next `connect` starts from nothing."""

        def rssi(self) -> "int | None":
            """Signal in dBm, or None when this link has none."""

        def dns(self) -> "tuple[str, int] | None":
            """(address, port) of the name server that the link gave us, or None."""

        def facts(self) -> "tuple[int, bytes, int]":
            """(driver's reason of the last failure or 0, 8 bytes hash of the network's name or none, channel or 0)."""

    class BaseDoor(Protocol):
        """MicroPython itself: the application partition that does not run now, and what the bootloader is told.

        After `activate` the next reset starts the other image, on trial: unless that calls `confirm`, the reset after
        it starts this one again.
        """

        label: str  # of the partition that runs
        size: int  # bytes that both have

        def write(self, at: int, data: "bytes | bytearray | memoryview") -> None:
            """Write within one sector of 4096 bytes, in order; at the beginning of a sector it is erased first."""

        def read(self, at: int, into: memoryview) -> None:
            """Fill `into` from byte `at` of the other partition."""

        def read_running(self, at: int, into: memoryview) -> None:
            """Fill `into` from byte `at` of the partition that runs."""

        def activate(self) -> None:
            """Start what was written from the next reset on; OSError for what the bootloader would not start."""

        def confirm(self) -> None:
            """The image that runs works: start it from now on; no error where the bootloader never goes back."""

    class BoardDoor(Protocol):
        """One board."""

        name: str

        def ticks_ms(self) -> int:
            """Milliseconds, wrapping after 2**30."""

        def ticks_diff(self, __later: int, __earlier: int) -> int:
            """Signed milliseconds between two ticks."""

        def reset_cause(self) -> int:
            """RESET_* of protocol.messages."""

        def reset(self) -> None:
            """Restart the board; does not return."""

        def watchdog(self, timeout_ms: int) -> WatchdogDoor:
            """Start the watchdog, or change its time-out; it cannot be stopped."""

        def i2c(self, name: str) -> BusDoor:
            """The bus of that name in the board's pin map; KeyError for a name it lacks."""

        def uart(self, name: str, baud: int, parity: "int | None" = None) -> SerialDoor:
            """The port of that name, 8 data bits; parity None, 0 even, 1 odd."""

        def pwm(self, name: str) -> PwmDoor:
            """The output of that name."""

        def network(self) -> NetworkDoor:
            """The one network of the board; the same object each time."""

        def rtc_read(self) -> bytes:
            """What `rtc_write` left before the reset; empty or garbage after a power cut."""

        def rtc_write(self, data: bytes) -> None:
            """Keep up to 256 bytes over a reset."""

        def set_rtc(self, utc_s: int) -> None:
            """Set the clock that TLS checks certificates against; s since 1970 UTC."""

        def heap(self) -> "tuple[int, int | None]":
            """(free bytes, largest free block or None)."""

        def random(self, below: int) -> int:
            """0 .. below - 1, good enough for jitter."""

        def unique_id(self) -> bytes:
            """The serial number of the chip."""

        def chip(self) -> str:
            """What kind of chip it is, as esptool names it: "esp32", "esp32s3" ..."""

        def base(self) -> "BaseDoor | None":
            """The other application partition, or None on a board that has one only."""

        def mcu_cdeg(self) -> "int | None":
            """Temperature of the chip in 0.01 degC, or None."""

        def supply_mv(self) -> "int | None":
            """Supply voltage in mV, or None."""
