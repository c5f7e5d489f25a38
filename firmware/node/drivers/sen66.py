"""Sensirion SEN66: particulate matter, humidity, temperature, VOC and NOx index, CO2 (I2C 0x6B, at most 100 kHz)."""

from node.core.integers import clamp, div_round
from node.drivers.sensirion import Sensirion, signed, unsigned
from node.drivers.sensor import Sensor
from protocol import channels

TYPE_CHECKING = False
if TYPE_CHECKING:
    from node.drivers.sensor import Bus, SleepMs

ADDRESS = 0x6B

# Command and its execution time in ms (data sheet, table of commands)
_START = 0x0021, 50
_STOP = 0x0104, 1000
_READY = 0x0202, 20
_VALUES = 0x0300, 20
_PRESSURE = 0x6720, 20
_SERIAL = 0xD033, 20
_VERSION = 0xD100, 20
_STATUS_CLEAR = 0xD210, 20  # read, then clear: each answer tells what happened since the one before
_RESET = 0xD304, 1200

_SERIAL_WORDS = 16
_HPA_MIN = 700  # range that the part accepts
_HPA_MAX = 1200

# Bits of the status register and what they mean to us
_FAULTS = (
    (1 << 4, channels.STATUS_FAN),
    (1 << 6, channels.STATUS_RHT),
    (1 << 7, channels.STATUS_GAS),
    (1 << 9, channels.STATUS_CO2),
    (1 << 11, channels.STATUS_PM),
    (1 << 21, channels.STATUS_FAN_SPEED),
)


class Sen66(Sensor):
    """The part; `serial` is known after start()."""

    PART = "sen66"
    CHANNELS = (
        channels.PM1,
        channels.PM25,
        channels.PM4,
        channels.PM10,
        channels.RH_IN,
        channels.T_IN,
        channels.VOC_IDX,
        channels.NOX_IDX,
        channels.CO2,
    )
    WARM_MS = (30000, 30000, 30000, 30000, 0, 0, 45000, 45000, 10000)

    def __init__(self, bus: "Bus", sleep_ms: "SleepMs", address: int = ADDRESS) -> None:
        super().__init__()
        self.serial = ""
        self._device = Sensirion(bus, address, sleep_ms, _SERIAL_WORDS)
        self._hpa = 0  # what the part compensates CO2 for; 0 = its default

    async def start(self) -> None:
        """Reset (valid in any state), identify, clear old faults, measure; raises DriverError. Takes 1.4 s."""
        device = self._device
        await device.send(*_RESET)
        words = await device.ask(_SERIAL[0], _SERIAL[1], _SERIAL_WORDS)
        self.serial = _text(words)
        await self.status()
        await device.send(*_START)
        if self._hpa:
            await device.send(_PRESSURE[0], _PRESSURE[1], (self._hpa,))  # a reset forgets it

    async def stop(self) -> None:
        """Leave measuring for idle: fan and laser off; raises DriverError."""
        await self._device.send(*_STOP)

    async def version(self) -> "tuple[int, int]":
        """(major, minor) of the part's firmware; raises DriverError."""
        word = (await self._device.ask(_VERSION[0], _VERSION[1], 1))[0]
        return word >> 8, word & 0xFF

    async def sample(self) -> bool:
        """True when `values` hold a new measurement (one per second); raises DriverError."""
        device = self._device
        if not (await device.ask(_READY[0], _READY[1], 1))[0] & 1:
            return False
        words = await device.ask(_VALUES[0], _VALUES[1], len(self.values))
        values = self.values
        for index in range(4):
            values[index] = unsigned(words[index])  # 0.1 ug/m3
        values[4] = signed(words[4])  # 0.01 %
        ticks = signed(words[5])  # 1/200 degree
        values[5] = None if ticks is None else div_round(ticks, 2)
        values[6] = signed(words[6])
        values[7] = signed(words[7])
        values[8] = unsigned(words[8])
        return True

    async def status(self) -> int:
        """Fault bits that were set since the last call; raises DriverError."""
        words = await self._device.ask(_STATUS_CLEAR[0], _STATUS_CLEAR[1], 2)
        register = words[0] << 16 | words[1]
        bits = 0
        for mask, bit in _FAULTS:
            if register & mask:
                bits |= bit
        return bits

    async def set_pressure(self, pascal: int) -> None:
        """Compensate CO2 for this station pressure; writes only a change of a whole hPa; raises DriverError."""
        hpa = clamp(div_round(pascal, 100), _HPA_MIN, _HPA_MAX)
        if hpa != self._hpa:
            await self._device.send(_PRESSURE[0], _PRESSURE[1], (hpa,))
            self._hpa = hpa


def _text(words: "list[int]") -> str:
    """The ASCII text that is packed into `words`, up to its terminating zero."""
    text = ""
    for word in words:
        for code in (word >> 8, word & 0xFF):
            if not 32 <= code < 127:
                return text
            text += chr(code)
    return text
