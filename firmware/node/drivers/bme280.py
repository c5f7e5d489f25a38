"""Bosch BME280: pressure, temperature, humidity (I2C 0x76 or 0x77), by the data sheet's integer compensation.

Forced mode: the part sleeps between measurements, so it heats itself as little as it can.
"""

from node.core.integers import div_round
from node.drivers.errors import BusError, IdentityError, NotReadyError
from node.drivers.sensor import Sensor
from protocol import channels

TYPE_CHECKING = False
if TYPE_CHECKING:
    from node.drivers.sensor import Bus, SleepMs

ADDRESS = 0x76

_ID = 0xD0
_RESET = 0xE0
_CTRL_HUM = 0xF2
_STATUS = 0xF3
_CTRL_MEAS = 0xF4
_CONFIG = 0xF5
_DATA = 0xF7
_CALIB_TP = 0x88  # 26 bytes, the last one is dig_H1
_CALIB_H = 0xE1  # 7 bytes

_CHIP_ID = 0x60
_RESET_WORD = 0xB6
_START_MS = 3  # data sheet: 2 ms
_OVERSAMPLING_H = 1  # x1
_FORCED = 2 << 5 | 3 << 2 | 1  # temperature x2, pressure x4, forced
_MEASURE_MS = 20  # 1.25 + 2.3 * (2 + 4 + 1) + 2 * 0.575 ms at most
_BUSY = 0x08 | 0x01  # measuring, copying calibration
_ATTEMPTS = 3
_RETRY_MS = 5
_SKIPPED = 0x80000  # raw temperature or pressure that was not measured; of humidity it is a value like others


class Calibration:
    """The part's own coefficients, and the compensation of the data sheet (section 4.2.3) with them."""

    def __init__(self, low: "bytes | bytearray | memoryview", high: "bytes | bytearray | memoryview") -> None:
        """`low` holds registers 0x88..0xA1, `high` 0xE1..0xE7."""
        self.t1 = low[0] | low[1] << 8
        self.t2 = _i16(low, 2)
        self.t3 = _i16(low, 4)
        self.p1 = low[6] | low[7] << 8
        self.p = [_i16(low, 8 + 2 * index) for index in range(8)]  # dig_P2 .. dig_P9
        self.h1 = low[25]
        self.h2 = _i16(high, 0)
        self.h3 = high[2]
        self.h4 = _i8(high[3]) << 4 | high[4] & 0x0F  # 12 bits each, they share a byte
        self.h5 = _i8(high[5]) << 4 | high[4] >> 4
        self.h6 = _i8(high[6])

    def t_fine(self, raw: int) -> int:
        """Temperature in 1/5120 degree from a raw value of 20 bits: what the other two build on."""
        step = raw >> 4
        linear = ((raw >> 3) - (self.t1 << 1)) * self.t2 >> 11
        square = ((step - self.t1) * (step - self.t1) >> 12) * self.t3 >> 14
        return linear + square

    def pressure(self, raw: int, t_fine: int) -> "int | None":
        """Pressure in Pa/256 from a raw value of 20 bits (the 64-bit formula); None when the coefficients are void."""
        p2, p3, p4, p5, p6, p7, p8, p9 = self.p
        t = t_fine - 128000
        offset = t * t * p6 + (t * p5 << 17) + (p4 << 35)
        slope = (t * t * p3 >> 8) + (t * p2 << 12)
        slope = ((1 << 47) + slope) * self.p1 >> 33
        if slope <= 0:
            return None
        p = ((1048576 - raw << 31) - offset) * 3125 // slope
        square = p9 * (p >> 13) * (p >> 13) >> 25
        return (p + square + (p8 * p >> 19) >> 8) + (p7 << 4)

    def humidity(self, raw: int, t_fine: int) -> int:
        """Relative humidity in %/1024 from a raw value of 16 bits."""
        t = t_fine - 76800
        gain = ((t * self.h6 >> 10) * ((t * self.h3 >> 11) + 32768) >> 10) + 2097152
        gain = gain * self.h2 + 8192 >> 14
        h = ((raw << 14) - (self.h4 << 20) - self.h5 * t + 16384 >> 15) * gain
        h -= ((h >> 15) * (h >> 15) >> 7) * self.h1 >> 4
        return min(max(h, 0), 419430400) >> 12


class Bme280(Sensor):
    """The part, one forced measurement per sample()."""

    PART = "bme280"
    CHANNELS = (channels.P, channels.T_AMB, channels.RH_AMB)
    WARM_MS = (0, 0, 0)
    PERIOD_MS = 10000

    def __init__(self, bus: "Bus", sleep_ms: "SleepMs", address: int = ADDRESS) -> None:
        super().__init__()
        self._bus = bus
        self._address = address
        self._sleep_ms = sleep_ms
        self._buffer = memoryview(bytearray(26))
        self._one = bytearray(1)
        self._two = bytearray(2)
        self._calibration: "Calibration | None" = None

    async def start(self) -> None:
        """Check the identity, reset, read the calibration; raises DriverError."""
        chip = self._read(_ID, 1)[0]
        if chip != _CHIP_ID:
            raise IdentityError("0x{:02x} is not a BME280: id 0x{:02x}".format(self._address, chip))
        self._write(_RESET, _RESET_WORD)
        await self._sleep_ms(_START_MS)
        await self._idle()
        low = bytes(self._read(_CALIB_TP, 26))
        self._calibration = Calibration(low, self._read(_CALIB_H, 7))
        self._write(_CONFIG, 0)

    async def sample(self) -> bool:
        """Measure once, about 20 ms; `values` are new afterwards. Raises DriverError."""
        if self._calibration is None:
            raise NotReadyError("sample() before start()")
        self._write(_CTRL_HUM, _OVERSAMPLING_H)  # takes effect with the next write to ctrl_meas
        self._write(_CTRL_MEAS, _FORCED)
        await self._sleep_ms(_MEASURE_MS)
        await self._idle()
        self._convert(self._calibration, self._read(_DATA, 8))
        return True

    def _convert(self, calibration: Calibration, data: memoryview) -> None:
        raw_p = data[0] << 12 | data[1] << 4 | data[2] >> 4
        raw_t = data[3] << 12 | data[4] << 4 | data[5] >> 4
        raw_h = data[6] << 8 | data[7]
        values = self.values
        values[0] = values[1] = values[2] = None
        if raw_t == _SKIPPED:
            return  # the other two need it
        fine = calibration.t_fine(raw_t)
        values[1] = fine * 5 + 128 >> 8  # 0.01 degree
        if raw_p != _SKIPPED:
            pressure = calibration.pressure(raw_p, fine)
            values[0] = None if pressure is None else div_round(pressure, 256)
        values[2] = div_round(calibration.humidity(raw_h, fine) * 100, 1024)

    async def _idle(self) -> None:
        for _ in range(_ATTEMPTS):
            if not self._read(_STATUS, 1)[0] & _BUSY:
                return
            await self._sleep_ms(_RETRY_MS)
        raise NotReadyError("BME280 stays busy")

    def _write(self, register: int, value: int) -> None:
        self._two[0] = register
        self._two[1] = value
        self._transfer(self._two, None)

    def _read(self, register: int, count: int) -> memoryview:
        """The registers from `register` on, in the shared buffer: valid until the next call."""
        view = self._buffer[:count]
        self._one[0] = register
        self._transfer(self._one, view)
        return view

    def _transfer(self, out: bytearray, into: "memoryview | None") -> None:
        for attempt in range(_ATTEMPTS):
            try:
                self._bus.writeto(self._address, out)
                if into is not None:
                    self._bus.readfrom_into(self._address, into)
                return
            except OSError:
                if attempt == _ATTEMPTS - 1:
                    raise BusError("0x{:02x} does not acknowledge".format(self._address))


def _i16(data: "bytes | bytearray | memoryview", at: int) -> int:
    value = data[at] | data[at + 1] << 8
    return value - 0x10000 if value & 0x8000 else value


def _i8(value: int) -> int:
    return value - 0x100 if value & 0x80 else value
