"""A BME280 at the level of its registers: reset, calibration memory, forced mode with its duration, raw values.

Raw values are found by inverting the floating-point compensation of the data sheet (appendix 8.1), so the driver's
integer compensation is checked against an independent formula.
"""

from tools.sim.models.part import FOREVER, I2cPart, Nack
from tools.sim.world import hash32

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tools.sim.world import World

_RESET_MS = 2
_SKIPPED_20 = 0x80000
_SKIPPED_16 = 0x8000
_SAMPLES = (0, 1, 2, 4, 8, 16, 16, 16)  # of an oversampling code


class Coefficients:
    """The part's calibration; the defaults are the worked example of the data sheet, with usual humidity values."""

    T = (27504, 26435, -1000)
    P = (36477, -10685, 3024, 2855, 140, -7, 15500, -14600, 6000)
    H = (75, 370, 0, 313, 50, 30)

    def registers(self) -> "tuple[bytes, bytes]":
        """Contents of 0x88..0xA1 and of 0xE1..0xE7."""
        low = bytearray()
        for value in self.T + self.P:
            low.extend((value & 0xFFFF).to_bytes(2, "little"))
        low.append(0)
        low.append(self.H[0])
        h2, h3, h4, h5, h6 = self.H[1:]
        high = bytearray((h2 & 0xFFFF).to_bytes(2, "little"))
        high.append(h3)
        high.append(h4 >> 4 & 0xFF)
        high.append(h4 & 0x0F | (h5 & 0x0F) << 4)
        high.append(h5 >> 4 & 0xFF)
        high.append(h6 & 0xFF)
        return bytes(low), bytes(high)

    def fine(self, raw: int) -> float:
        """Temperature in 1/5120 degree."""
        t1, t2, t3 = self.T
        linear = (raw / 16384.0 - t1 / 1024.0) * t2
        step = raw / 131072.0 - t1 / 8192.0
        return linear + step * step * t3

    def pressure(self, raw: int, fine: float) -> float:
        """Pa."""
        p1, p2, p3, p4, p5, p6, p7, p8, p9 = self.P
        a = fine / 2.0 - 64000.0
        b = (a * a * p6 / 32768.0 + a * p5 * 2.0) / 4.0 + p4 * 65536.0
        a = (p3 * a * a / 524288.0 + p2 * a) / 524288.0
        a = (1.0 + a / 32768.0) * p1
        p = (1048576.0 - raw - b / 4096.0) * 6250.0 / a
        return p + (p9 * p * p / 2147483648.0 + p * p8 / 32768.0 + p7) / 16.0

    def humidity(self, raw: int, fine: float) -> float:
        """% relative."""
        h1, h2, h3, h4, h5, h6 = self.H
        t = fine - 76800.0
        offset = raw - (h4 * 64.0 + h5 / 16384.0 * t)
        h = offset * (h2 / 65536.0 * (1.0 + h6 / 67108864.0 * t * (1.0 + h3 / 67108864.0 * t)))
        h *= 1.0 - h1 * h / 524288.0
        return min(max(h, 0.0), 100.0)


def invert(function: "Callable[[int], float]", wanted: float, bits: int) -> int:
    """The raw value at which a monotonic function comes nearest to `wanted`."""
    low = 0
    high = (1 << bits) - 1
    rising = function(high) > function(low)
    while low < high:
        middle = (low + high) // 2
        if (function(middle) < wanted) == rising:
            low = middle + 1
        else:
            high = middle
    return low if low == 0 or abs(function(low) - wanted) <= abs(function(low - 1) - wanted) else low - 1


class Bme280(I2cPart):
    """Faults: unplugged, stuck, nack (n transfers), frozen, busy (measures for ever), identity (value of the id)."""

    NAME = "bme280"
    ADDRESS = 0x76
    FAULTS = I2cPart.FAULTS + ("frozen", "busy", "identity")

    def __init__(self, now_ms: "Callable[[], int]", world: "World") -> None:
        super().__init__(now_ms, world)
        self.coefficients = Coefficients()
        self.raw: "tuple[int, int, int] | None" = None  # (p, t, h) measured instead of the world's, for tests
        self._pointer = 0
        self._ready_ms = 0  # after a reset
        self._done_ms = 0  # of the running measurement
        self._measuring = False
        self._registers = bytearray(256)
        self._power_up()

    def _power_up(self) -> None:
        registers = self._registers
        for index in range(256):
            registers[index] = 0
        low, high = self.coefficients.registers()
        registers[0x88 : 0x88 + len(low)] = low
        registers[0xE1 : 0xE1 + len(high)] = high
        registers[0xF7 : 0xF7 + 8] = b"\x80\x00\x00\x80\x00\x00\x80\x00"
        self._hum = 0  # ctrl_hum as the last write to ctrl_meas made it effective
        self._measuring = False

    def write(self, data: bytes) -> None:
        """Register address alone, or pairs of address and value."""
        if self.now_ms() < self._ready_ms or not data:
            raise Nack
        self._pointer = data[0]
        for at in range(0, len(data) - 1, 2):
            self._set(data[at], data[at + 1])

    def read(self, count: int) -> bytes:
        """Registers from the one that was written last."""
        if self.now_ms() < self._ready_ms:
            raise Nack
        self._finish()
        registers = self._registers
        busy = self._measuring or "busy" in self.faults
        registers[0xF3] = 0x08 if busy else 0
        identity = self.faults.get("identity", 0x60)
        registers[0xD0] = 0x58 if identity == FOREVER else identity
        return bytes(registers[self._pointer : self._pointer + count])

    def _set(self, register: int, value: int) -> None:
        if register == 0xE0 and value == 0xB6:
            self._power_up()
            self._ready_ms = self.now_ms() + _RESET_MS
        elif register in (0xF2, 0xF5):
            self._registers[register] = value
        elif register == 0xF4:
            self._registers[register] = value
            self._hum = self._registers[0xF2] & 7
            if value & 3:
                self._measuring = True
                self._done_ms = self.now_ms() + self._duration_ms(value)

    def _duration_ms(self, control: int) -> int:
        samples = _SAMPLES[control >> 5] + _SAMPLES[control >> 2 & 7] + _SAMPLES[self._hum]
        return (1250 + 2300 * samples + 2 * 575) // 1000

    def _finish(self) -> None:
        if not self._measuring or self.now_ms() < self._done_ms:
            return
        self._measuring = False
        control = self._registers[0xF4]
        self._registers[0xF4] = control & ~3 & 0xFF  # forced mode falls back to sleep
        if "frozen" in self.faults:
            return
        raw_p, raw_t, raw_h = self.raw or self._measure(self._done_ms)
        data = (raw_p if control >> 2 & 7 else _SKIPPED_20) << 4
        temperature = (raw_t if control >> 5 else _SKIPPED_20) << 4
        humidity = raw_h if self._hum else _SKIPPED_16
        packed = data.to_bytes(3, "big") + temperature.to_bytes(3, "big") + humidity.to_bytes(2, "big")
        self._registers[0xF7 : 0xF7 + 8] = packed

    def _measure(self, when: int) -> "tuple[int, int, int]":
        air = self.world.air(when)
        own = self.coefficients
        temperature = air.temperature + 0.01 * self._jitter(when, 0)
        raw_t = invert(own.fine, temperature * 5120, 20)
        fine = own.fine(raw_t)
        pressure = air.pressure + 3 * self._jitter(when, 1)
        humidity = air.humidity + 0.1 * self._jitter(when, 2)
        raw_p = invert(lambda raw: own.pressure(raw, fine), pressure, 20)
        raw_h = invert(lambda raw: own.humidity(raw, fine), humidity, 16)
        return raw_p, raw_t, raw_h

    def _jitter(self, when: int, channel: int) -> float:
        return hash32(when, channel, 280) / 0x7FFFFFFF - 1.0
