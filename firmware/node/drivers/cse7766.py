"""ChipSea CSE7766: mains voltage, current, active power and energy of one load (UART 4800 8E1, frames of 24 bytes).

The chip sends unasked, about 18 frames a second: header, 0x5A, then coefficient and period (24 bits each) of voltage,
current and power, adjustment bits, a counter of energy pulses, check sum. A quantity is coefficient / period; one
pulse is power coefficient x 1 uJ. The parser is pure: bytes in, integers out; it finds the next frame after garbage.
The chip is blind to loads below about 50 mA.
"""

from node.core.integers import isqrt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Union

    Bytes = Union[bytes, bytearray, memoryview]

FRAME = 24
BLIND_DMA = 500  # 0.1 mA; smaller currents are noise of the chip

# Bits of `fault`, from the first byte of a frame
FAULT_STORAGE = 1 << 0  # the chip lost its coefficients
FAULT_POWER = 1 << 1  # power period out of range: no load, not a fault of the chip
FAULT_CURRENT = 1 << 2
FAULT_VOLTAGE = 1 << 3
FAULT_CALIBRATION = 1 << 4

_NORMAL = 0x55
_UNCALIBRATED = 0xAA
_SECOND = 0x5A
_HAS_POWER = 0x10  # adjustment bits: this quantity has been measured
_HAS_CURRENT = 0x20
_HAS_VOLTAGE = 0x40
_MAX_PULSES = 4096  # between two frames: more is a restart of the chip (3.7 kW make 700 in a second)


class Cse7766:
    """Feed it what the UART gave; read the attributes after a frame. None = not measured."""

    BAUD = 4800
    PARITY = 0  # even, as machine.UART counts

    def __init__(self) -> None:
        self.voltage_mv: "int | None" = None
        self.current_dma: "int | None" = None  # 0.1 mA
        self.power_dw: "int | None" = None  # 0.1 W
        self.fault = 0
        self.energy_uj = 0  # since the reader last set it to 0
        self.frames = 0
        self.errors = 0  # frames with a wrong check sum
        self._frame = bytearray(FRAME)
        self._fill = 0
        self._pulses = -1

    def restart(self) -> None:
        """Bytes were skipped: what comes next does not continue what came before."""
        self._fill = 0

    def feed(self, data: "Bytes", count: int) -> int:
        """Take the first `count` bytes of `data`; returns how many good frames they completed."""
        before = self.frames
        frame = self._frame
        for index in range(count):
            frame[self._fill] = data[index]
            self._fill += 1
            if self._fill == 1:
                if not _is_head(frame[0]):
                    self._fill = 0
            elif self._fill == 2:
                if frame[1] != _SECOND:
                    self._resync()
            elif self._fill == FRAME:
                if _is_sound(frame):
                    self._take(frame)
                    self._fill = 0
                else:
                    self.errors += 1
                    self._resync()
        return self.frames - before

    @property
    def apparent_dva(self) -> "int | None":
        """Apparent power in 0.1 VA."""
        if self.voltage_mv is None or self.current_dma is None:
            return None
        return self.voltage_mv * self.current_dma // 1000000

    @property
    def reactive_dvar(self) -> "int | None":
        """Reactive power in 0.1 var: the root of S squared less P squared (a difference of the two is wrong)."""
        apparent = self.apparent_dva
        if apparent is None or self.power_dw is None:
            return None
        return isqrt(max(apparent * apparent - self.power_dw * self.power_dw, 0))

    @property
    def factor_pm(self) -> "int | None":
        """Power factor in 0.001; None without a load."""
        apparent = self.apparent_dva
        if not apparent or self.power_dw is None:
            return None
        return min(self.power_dw * 1000 // apparent, 1000)

    def _resync(self) -> None:
        """Drop the first byte, and those after it that cannot start a frame."""
        frame = self._frame
        fill = self._fill
        at = 1
        while at < fill and not _is_start(frame, at, fill):
            at += 1
        for index in range(at, fill):
            frame[index - at] = frame[index]
        self._fill = fill - at

    def _take(self, frame: bytearray) -> None:
        self.frames += 1
        head = frame[0]
        self.fault = FAULT_CALIBRATION if head == _UNCALIBRATED else head & 0x0F if head & 0xF0 == 0xF0 else 0
        if self.fault & (FAULT_CALIBRATION | FAULT_STORAGE):
            self.voltage_mv = self.current_dma = self.power_dw = None
            return
        has = frame[20]
        self.voltage_mv = self._quotient(2, 1000, has & _HAS_VOLTAGE, FAULT_VOLTAGE)
        self.current_dma = self._quotient(8, 10000, has & _HAS_CURRENT, FAULT_CURRENT)
        if self.fault & FAULT_POWER or not has & _HAS_POWER:
            self.power_dw = 0  # no pulse within the longest period
        else:
            self.power_dw = self._quotient(14, 10, 1, 0)
        if self.current_dma is None and self.power_dw == 0 and not self.fault & FAULT_CURRENT:
            self.current_dma = 0
        if self.current_dma is not None and self.current_dma < BLIND_DMA:
            self.current_dma = 0
        self._count(frame[21] << 8 | frame[22], _u24(frame, 14))

    def _quotient(self, at: int, scale: int, has: int, fault: int) -> "int | None":
        """scale x coefficient / period of the quantity whose coefficient is at `at`."""
        period = _u24(self._frame, at + 3)
        if not has or not period or self.fault & fault:
            return None
        return _u24(self._frame, at) * scale // period

    def _count(self, pulses: int, coefficient: int) -> None:
        more = pulses - self._pulses & 0xFFFF if self._pulses >= 0 else 0
        if more <= _MAX_PULSES:
            self.energy_uj += more * coefficient
        self._pulses = pulses


def _is_start(frame: bytearray, at: int, fill: int) -> bool:
    """True while the bytes from `at` up to `fill` can be the start of a frame."""
    return _is_head(frame[at]) and (at + 1 == fill or frame[at + 1] == _SECOND)


def _is_head(byte: int) -> bool:
    return byte in (_NORMAL, _UNCALIBRATED) or byte & 0xF0 == 0xF0


def _is_sound(frame: bytearray) -> bool:
    total = 0
    for index in range(2, FRAME - 1):
        total += frame[index]
    return total & 0xFF == frame[FRAME - 1]


def _u24(frame: bytearray, at: int) -> int:
    return frame[at] << 16 | frame[at + 1] << 8 | frame[at + 2]
