"""A CSE7766 that meters a lamp: frames of 24 bytes at 4800 baud 8E1 into a UART buffer of 256 bytes."""

from tools.sim.models.part import Part
from tools.sim.world import hash32

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tools.sim.models.lamp import Lamp
    from tools.sim.world import World

_VOLT = 191600  # coefficients of a real part: quantity = coefficient / period
_AMPERE = 16565
_WATT = 5378000
_FRAME = 24
_PERIOD_MS = 60  # 55 ms on the wire and a pause
_BUFFER = 256  # of the ESP32's driver: what does not fit is lost
_MIN_W = 1.0  # below this the chip sees no power pulse


class Cse7766(Part):
    """The chip and the UART it is wired to, with the calls of machine.UART.

    Faults: unplugged (silent), garbage (noise instead of frames), crc (n frames), storage (coefficients lost).
    """

    NAME = "cse7766"
    LINE = (4800, 8, 0)  # bit/s, bits, parity (0: even)
    FAULTS = ("unplugged", "garbage", "crc", "storage")

    def __init__(self, now_ms: "Callable[[], int]", world: "World", lamp: "Lamp") -> None:
        super().__init__(now_ms, world)
        self._lamp = lamp
        self._begin_ms = now_ms()
        self._sent = 0  # bytes since the beginning
        self._frame = b""
        self._frame_ms = -1
        self._buffer = bytearray()

    def any(self) -> int:
        """Bytes that wait."""
        self._advance()
        return len(self._buffer)

    def readinto(self, buf: "bytearray | memoryview", nbytes: "int | None" = None) -> "int | None":
        """Move what waits into `buf`; the number of bytes, None for nothing."""
        self._advance()
        count = min(len(buf), len(self._buffer), len(buf) if nbytes is None else nbytes)
        if not count:
            return None
        buf[:count] = self._buffer[:count]
        self._buffer = self._buffer[count:]
        return count

    def read(self, nbytes: int = _BUFFER) -> "bytes | None":
        """Up to `nbytes` bytes, None for nothing."""
        buf = bytearray(nbytes)
        count = self.readinto(buf)
        return None if count is None else bytes(buf[:count])

    def write(self, buf: "bytes | bytearray | memoryview") -> int:
        """The chip does not listen."""
        return len(buf)

    def _advance(self) -> None:
        now = self.now_ms()
        age = now - self._begin_ms
        byte = min((age % _PERIOD_MS) * 4800 // 11000, _FRAME)
        total = age // _PERIOD_MS * _FRAME + byte
        if "unplugged" in self.faults:
            self._sent = total
        last = min(total, self._sent + _BUFFER - len(self._buffer))
        while self._sent < last:
            at = self._sent % _FRAME
            if (at == 0 or not self._frame) and self._frame_ms != now:  # frames of one look at the UART are alike
                self._frame_ms = now
                self._frame = self._make()
            part = self._frame[at : at + last - self._sent]
            self._buffer.extend(part)
            self._sent += len(part)
        self._sent = total  # what the buffer had no room for is lost

    def _make(self) -> bytes:
        """The frame for this moment."""
        if "garbage" in self.faults:
            return bytes([hash32(self._sent, index) & 0xFF for index in range(_FRAME)])
        lamp = self._lamp
        lamp.advance()
        volts = lamp.volts()
        watts = lamp.power_w()
        amperes = watts / volts / lamp.power_factor()
        loaded = watts >= _MIN_W
        frame = bytearray(_FRAME)
        frame[0] = 0xF1 if "storage" in self.faults else 0x55 if loaded else 0xF2
        frame[1] = 0x5A
        _put(frame, 2, _VOLT, volts)
        _put(frame, 8, _AMPERE, amperes)
        _put(frame, 14, _WATT, watts if loaded else 0)
        frame[20] = 0x71 if loaded else 0x61
        pulses = int(lamp.energy_j * 1000000 / _WATT) & 0xFFFF
        frame[21] = pulses >> 8
        frame[22] = pulses & 0xFF
        frame[23] = (sum(frame[2:23]) + (1 if self.strikes("crc") else 0)) & 0xFF
        return bytes(frame)


def _put(frame: bytearray, at: int, coefficient: int, value: float) -> None:
    period = min(int(coefficient / value + 0.5), 0xFFFFFF) if value > 0 else 0xFFFFFF
    frame[at : at + 3] = coefficient.to_bytes(3, "big")
    frame[at + 3 : at + 6] = period.to_bytes(3, "big")
