"""A SEN66 at the level of its commands: states, execution times, CRCs, sentinels, status word; air from the world."""

import math

from tools.sim.models.part import I2cPart, Nack
from tools.sim.world import hash32

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tools.sim.world import Air, World

_ANY = 0
_IDLE = 1
_MEASURING = 2

_FIRST_MS = 1100  # from start to the first values
_CO2_MS = 6000
_NOX_MS = 11000
_SETTLE_MS = 20000  # time constant: the fan brings particles in
_U16 = 0xFFFF
_I16 = 0x7FFF
_AIR_MS = 5000  # the air outside changes no faster
_FAN_ERROR = 1 << 4
_HEATING = 1.8  # degree that the inlet is warmer than the air


def _shift(byte: int) -> int:
    """Eight bits through the CRC's register: polynomial 0x31, not reflected."""
    for _ in range(8):
        byte = (byte << 1 ^ 0x31) & 0xFF if byte & 0x80 else byte << 1
    return byte


_CRC = bytes([_shift(byte) for byte in range(256)])


def crc8(data: bytes) -> int:
    """CRC-8 of Sensirion, start 0xFF."""
    crc = 0xFF
    for byte in data:
        crc = _CRC[crc ^ byte]
    return crc


def pack(words: "list[int]") -> bytes:
    """Words with their check bytes."""
    out = bytearray()
    for word in words:
        pair = bytes([word >> 8 & 0xFF, word & 0xFF])
        out.extend(pair)
        out.append(crc8(pair))
    return bytes(out)


def text(value: str) -> "list[int]":
    """A text of up to 32 characters as 16 words."""
    data = value.encode() + bytes(32 - len(value))
    return [data[index] << 8 | data[index + 1] for index in range(0, 32, 2)]


class Sen66(I2cPart):
    """Faults: unplugged, stuck, nack (n transfers), crc (n answers), frozen, fan, status (bits), silent (no data)."""

    NAME = "sen66"
    ADDRESS = 0x6B
    FAULTS = I2cPart.FAULTS + ("crc", "frozen", "fan", "status", "silent")

    def __init__(self, now_ms: "Callable[[], int]", world: "World") -> None:
        super().__init__(now_ms, world)
        # code: (state, execution time in ms, what it does)
        self._commands = {
            0x0021: (_IDLE, 50, self._start),
            0x0104: (_MEASURING, 1000, self._stop),
            0x0202: (_ANY, 20, self._ready),
            0x0300: (_MEASURING, 20, self._values),
            0x5607: (_IDLE, 10000, self._nothing),
            0x6720: (_ANY, 20, self._pressure),
            0xD014: (_ANY, 20, self._name),
            0xD033: (_ANY, 20, self._serial),
            0xD100: (_ANY, 20, self._version),
            0xD206: (_ANY, 20, self._status),
            0xD210: (_ANY, 20, self._status_clear),
            0xD304: (_ANY, 1200, self._reset),
        }
        self.hpa = 1013
        self._busy_ms = 0  # time at which the running command is done
        self._answer: "bytes | None" = None
        self._air: "Air | None" = None
        self._air_ms = 0
        self._power_up()

    def _power_up(self) -> None:
        self._state = _IDLE
        self._start_ms = 0
        self._read_step = -1  # measurement that was read last
        self._sticky = 0
        self._last: "list[int] | None" = None
        self.hpa = 1013

    def write(self, data: bytes) -> None:
        """A command with its arguments."""
        now = self.now_ms()
        if now < self._busy_ms or len(data) < 2 or (len(data) - 2) % 3:
            raise Nack
        row = self._commands.get(data[0] << 8 | data[1])
        if row is None or (row[0] != _ANY and row[0] != self._state):
            raise Nack
        args = []
        for at in range(2, len(data), 3):
            if crc8(data[at : at + 2]) != data[at + 2]:
                raise Nack
            args.append(data[at] << 8 | data[at + 1])
        self._busy_ms = now + row[1]
        answer = row[2](args)
        self._answer = None if answer is None else pack(answer)

    def read(self, count: int) -> bytes:
        """The answer, once the command is done."""
        if self.now_ms() < self._busy_ms or self._answer is None or count > len(self._answer):
            raise Nack
        answer = bytearray(self._answer[:count])
        self._answer = None
        if self.strikes("crc"):
            answer[2] ^= 0x40
        return bytes(answer)

    # Commands: argument words in, answer words (or None) out

    def _nothing(self, args: "list[int]") -> None:
        pass

    def _start(self, args: "list[int]") -> None:
        self._state = _MEASURING
        self._start_ms = self.now_ms()
        self._read_step = -1

    def _stop(self, args: "list[int]") -> None:
        self._state = _IDLE

    def _reset(self, args: "list[int]") -> None:
        self._power_up()

    def _name(self, args: "list[int]") -> "list[int]":
        return text("SEN66")

    def _serial(self, args: "list[int]") -> "list[int]":
        return text(f"{hash32(self.world.epoch_s, 66):08X}")

    def _version(self, args: "list[int]") -> "list[int]":
        return [4 << 8 | 0]

    def _pressure(self, args: "list[int]") -> "list[int] | None":
        if not args:
            return [self.hpa]
        self.hpa = min(max(args[0], 700), 1200)
        return None

    def _status(self, args: "list[int]") -> "list[int]":
        self._sticky |= self.faults.get("status", 0) & 0xFFFFFFFF
        if "fan" in self.faults and self._state == _MEASURING:
            self._sticky |= _FAN_ERROR
        return [self._sticky >> 16, self._sticky & 0xFFFF]

    def _status_clear(self, args: "list[int]") -> "list[int]":
        words = self._status(args)
        self._sticky = 0
        return words

    def _step(self) -> int:
        """Number of the newest measurement, -1 while there is none."""
        age = self.now_ms() - self._start_ms
        if self._state != _MEASURING or age < _FIRST_MS or "silent" in self.faults:
            return -1
        return (age - _FIRST_MS) // 1000

    def _ready(self, args: "list[int]") -> "list[int]":
        return [1 if self._step() > self._read_step else 0]

    def _values(self, args: "list[int]") -> "list[int]":
        step = self._step()
        if step < 0:
            return [_U16] * 4 + [_I16] * 4 + [_U16]
        if self._last is None or ("frozen" not in self.faults and step != self._read_step):
            self._last = self._measure(step)
        self._read_step = step
        return self._last

    def _measure(self, step: int) -> "list[int]":
        age = _FIRST_MS + 1000 * step
        when = self._start_ms + age
        if when - self._air_ms >= _AIR_MS or self._air is None:
            self._air = self.world.air(when)
            self._air_ms = when
        air = self._air
        settled = 0.0 if "fan" in self.faults else 1 - math.exp(-age / _SETTLE_MS)
        words = []
        for index, mass in enumerate((air.pm1, air.pm25, air.pm4, air.pm10)):
            noisy = mass * settled * (1 + 0.04 * self._jitter(when, index))
            words.append(min(int(noisy * 10 + 0.5), 65534))
        drier = math.exp(-17.62 * 243.12 * _HEATING / (243.12 + air.temperature) ** 2)
        words.append(int((air.humidity * drier + 0.05 * self._jitter(when, 4)) * 100) & 0xFFFF)
        words.append(int((air.temperature + _HEATING + 0.03 * self._jitter(when, 5)) * 200) & 0xFFFF)
        words.append(int(min(max(air.voc + 2 * self._jitter(when, 6), 1.0), 500.0) * 10))
        words.append(_I16 if age < _NOX_MS else int(min(max(air.nox + 0.2 * self._jitter(when, 7), 1.0), 500.0) * 10))
        dense = air.pressure / 100 / self.hpa  # the photo-acoustic cell counts molecules
        words.append(_U16 if age < _CO2_MS else int(air.co2 * dense + 3 * self._jitter(when // 5000, 8)))
        return words

    def _jitter(self, when: int, channel: int) -> float:
        return hash32(when, channel, 66) / 0x7FFFFFFF - 1.0
