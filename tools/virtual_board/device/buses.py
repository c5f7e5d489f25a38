"""Buses of `machine`: I2C and UART, with the models at their ends. A bus finds its parts by the pins it was opened on.

Every access takes orders first, so that a fault which is switched on holds from the next access on.
"""

from tools.sim.models.part import I2cBus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_I2C_PINS = {0: (18, 19), 1: (25, 26)}  # (SCL, SDA) of the ESP32 port when none are given
_UART_PINS = {0: (1, 3), 1: (10, 9), 2: (17, 16)}  # (TX, RX)


def number(pin: "Any") -> int:
    """GPIO number of a Pin or a number."""
    return int(getattr(pin, "id", pin))


class I2C(I2cBus):
    """`machine.I2C`."""

    board: "Any" = None

    def __init__(self, id: int = -1, **options: "Any") -> None:  # noqa: A002 - as on the board
        super().__init__([])
        self._id = id
        self.init(**options)

    def init(self, scl: "Any" = None, sda: "Any" = None, freq: int = 400000, timeout: int = 50000) -> None:
        """Open it on these pins."""
        if self._id not in (-1, 0, 1):
            raise ValueError("I2C({}) doesn't exist".format(self._id))
        usual = _I2C_PINS.get(self._id, (-1, -1))
        pins = [usual[0] if scl is None else number(scl), usual[1] if sda is None else number(sda)]
        self.parts = self.board.bench.i2c["sensors"].parts if pins in self.board.setup.wiring["i2c"] else {}

    def deinit(self) -> None:
        """Close it."""
        self.parts = {}

    def writevto(self, addr: int, vector: "Any", stop: bool = True) -> int:
        """Write several buffers as one transfer."""
        return self.writeto(addr, b"".join([bytes(part) for part in vector]), stop)

    def scan(self) -> "list[int]":
        """Addresses that answer, 0x08 .. 0x77."""
        self.board.glance()
        return super().scan()

    def _find(self, address: int) -> "Any":
        self.board.glance()
        return super()._find(address)


class SoftI2C(I2C):
    """`machine.SoftI2C`."""

    def __init__(self, scl: "Any", sda: "Any", **options: "Any") -> None:
        super().__init__(-1, scl=scl, sda=sda, **options)


class Unwired:
    """The end of a serial line where nothing is."""

    def any(self) -> int:
        """Nothing waits."""
        return 0

    def readinto(self, buf: "bytearray | memoryview", nbytes: "int | None" = None) -> "int | None":
        """Nothing comes."""
        return None

    def write(self, buf: "bytes | bytearray | memoryview") -> int:
        """It is gone."""
        return len(buf)


class UART:
    """`machine.UART`. A part at its other end that speaks at another rate or parity is only heard as noise."""

    INV_TX = 32
    INV_RX = 4
    RTS = 1
    CTS = 2
    board: "Any" = None

    def __init__(self, id: int, baudrate: int = 115200, *rest: "Any", **options: "Any") -> None:  # noqa: A002
        if id not in _UART_PINS:
            raise ValueError("UART({}) doesn't exist".format(id))
        self._id = id
        self._end: "Any" = Unwired()
        self._noise = False
        self._timeout_ms = 0
        self.init(baudrate, *rest, **options)

    def init(
        self,
        baudrate: int = 115200,
        bits: int = 8,
        parity: "int | None" = None,
        stop: int = 1,
        tx: "Any" = None,
        rx: "Any" = None,
        timeout: int = 0,
        **options: "Any",
    ) -> None:
        """Open it on these pins."""
        usual = _UART_PINS[self._id]
        pins = [usual[0] if tx is None else number(tx), usual[1] if rx is None else number(rx)]
        self._timeout_ms = timeout
        if pins in self.board.setup.wiring["uart"]:
            self._end = self.board.bench.uart["meter"]
            self._noise = (baudrate, bits, parity) != self._end.LINE

    def deinit(self) -> None:
        """Close it."""
        self._end = Unwired()

    def any(self) -> int:
        """Bytes that wait."""
        self.board.glance()
        count: int = self._end.any()
        return count

    def readinto(self, buf: "bytearray | memoryview", nbytes: "int | None" = None) -> "int | None":
        """Move what waits into `buf`; None when nothing comes within the time-out."""
        self.board.glance()
        if self._timeout_ms and not self._end.any():
            self.board.timeline.sleep(self._timeout_ms)
        count: "int | None" = self._end.readinto(buf, nbytes)
        if count and self._noise:
            for index in range(count):
                buf[index] = buf[index] * 151 >> 1 & 0xFF
        return count

    def read(self, nbytes: int = 256) -> "bytes | None":
        """Up to `nbytes` bytes; None for nothing."""
        buf = bytearray(nbytes)
        count = self.readinto(buf)
        return None if count is None else bytes(buf[:count])

    def readline(self) -> "bytes | None":
        """Bytes up to a newline or the end of what waits; None for nothing."""
        line = b""
        while not line.endswith(b"\n"):
            byte = self.read(1)
            if not byte:
                break
            line += byte
        return line or None

    def write(self, buf: "bytes | bytearray | memoryview | str") -> int:
        """Send."""
        data = buf.encode() if isinstance(buf, str) else buf
        count: int = self._end.write(data)
        return count

    def flush(self) -> None:
        """Everything was sent."""

    def txdone(self) -> bool:
        """Everything was sent."""
        return True
