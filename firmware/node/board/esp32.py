"""The board door of ESP32 chips, with the pins of one file of `boards/`."""

import gc
import os
import sys
import time

import esp32
import machine

from node.board.wifi import Wifi
from protocol.messages import (
    RESET_DEEP_SLEEP,
    RESET_HARD,
    RESET_POWER_ON,
    RESET_SOFT,
    RESET_UNKNOWN,
    RESET_WATCHDOG,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from node.board.base import Base
    from protocol.claim import Ticket
    from protocol.identity import Identity

_CAUSES = {
    machine.PWRON_RESET: RESET_POWER_ON,
    machine.HARD_RESET: RESET_HARD,
    machine.WDT_RESET: RESET_WATCHDOG,
    machine.DEEPSLEEP_RESET: RESET_DEEP_SLEEP,
    machine.SOFT_RESET: RESET_SOFT,
}
_I2C_TIMEOUT_US = 50000  # a sensor may stretch the clock
_UART_BUFFER = 512
_UNIX_2000 = 946684800


class Board:
    """The hardware of one node; `identity`, or the ticket to claim one, names the board file and the Wi-Fi."""

    def __init__(self, identity: "Identity | Ticket") -> None:
        self.name = identity.board
        self._pins: "Any" = __import__("boards." + identity.board, None, None, ("I2C",))
        self._wifi = Wifi(identity.wifi_ssid, identity.wifi_psk)
        self._rtc = machine.RTC()
        # Outputs are fully on from the first moment, whatever becomes of the program: lamps fail bright.
        self._pwm = {
            name: machine.PWM(machine.Pin(row[0]), freq=row[1], duty_u16=65535) for name, row in self._pins.PWM.items()
        }
        self.ticks_ms: "Callable[[], int]" = time.ticks_ms  # type: ignore[assignment]  # the stubs brand ticks
        self.ticks_diff: "Callable[[int, int], int]" = time.ticks_diff

    def reset_cause(self) -> int:
        """RESET_*; the chip tells power-on, watchdog and deep sleep for certain, everything else is RESET_HARD."""
        return _CAUSES.get(machine.reset_cause(), RESET_UNKNOWN)

    def reset(self) -> None:
        """Restart the chip."""
        machine.reset()

    def watchdog(self, timeout_ms: int) -> machine.WDT:
        """The watchdog, which stage 0 has started already."""
        return machine.WDT(timeout=timeout_ms)

    def i2c(self, name: str) -> machine.I2C:
        """The bus of that name in the board file."""
        port, scl, sda, hertz = self._pins.I2C[name]
        return machine.I2C(port, scl=machine.Pin(scl), sda=machine.Pin(sda), freq=hertz, timeout=_I2C_TIMEOUT_US)

    def uart(self, name: str, baud: int, parity: "int | None" = None) -> machine.UART:
        """The port of that name in the board file."""
        port, tx, rx = self._pins.UART[name]
        return machine.UART(port, baud, bits=8, parity=parity, stop=1, tx=tx, rx=rx, rxbuf=_UART_BUFFER)

    def pwm(self, name: str) -> machine.PWM:
        """The output of that name in the board file."""
        return self._pwm[name]

    def network(self) -> Wifi:
        """The Wi-Fi."""
        return self._wifi

    def rtc_read(self) -> bytes:
        """What `rtc_write` left."""
        return bytes(self._rtc.memory())

    def rtc_write(self, data: bytes) -> None:
        """Keep `data` over a reset."""
        self._rtc.memory(data)

    def set_rtc(self, utc_s: int) -> None:
        """Set the clock that TLS checks certificates against; s since 1970 UTC."""
        epoch = 0 if time.gmtime(0)[0] == 1970 else _UNIX_2000
        year, month, day, hour, minute, second, weekday, _ = time.gmtime(utc_s - epoch)
        self._rtc.datetime((year, month, day, weekday, hour, minute, second, 0))

    def heap(self) -> "tuple[int, int | None]":
        """(free bytes of the interpreter's heap, largest block of the system's heap: TLS lives in the latter)."""
        return gc.mem_free(), max([region[2] for region in esp32.idf_heap_info(esp32.HEAP_DATA)])

    def random(self, below: int) -> int:
        """From the hardware generator."""
        return int.from_bytes(os.urandom(4), "big") % below

    @staticmethod
    def unique_id() -> bytes:
        """The MAC address; also of a board that has no identity yet."""
        return machine.unique_id()

    @staticmethod
    def chip() -> str:
        """The last word of the name that MicroPython gives a board: "Generic ESP32S3 module with ESP32S3"."""
        machine: str = sys.implementation._machine
        return machine.split(" with ")[-1].lower().replace("-", "")

    @staticmethod
    def base() -> "Base | None":
        """The other of ota_0 and ota_1."""
        from node.board.base import other  # rarely wanted, so not in memory all the time

        return other()

    def mcu_cdeg(self) -> "int | None":
        """Chips after the first ESP32 have a thermometer."""
        read = getattr(esp32, "mcu_temperature", None)
        return None if read is None else read() * 100

    def supply_mv(self) -> "int | None":
        """No board of ours measures it yet."""
        return None
