"""The command protocol that Sensirion's I2C parts share: 16-bit commands, words of two bytes and a CRC-8.

A command is written, the part works for its execution time, then the answer is read in a transfer of its own (STOP
between, no repeated START). A part that is not done yet does not acknowledge; it gets a few more chances. A damaged
answer is asked for again. All buffers are made once.
"""

from node.drivers.errors import BusError, CrcError, NotReadyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from node.drivers.sensor import Bus, SleepMs

UNKNOWN_U16 = 0xFFFF  # "no value yet" of an unsigned word
UNKNOWN_I16 = 0x7FFF  # and of a signed one

_ATTEMPTS = 3  # of one command, and of one read: a part that is busy longer than this has a fault
_RETRY_MS = 20  # the execution time of most commands
_MAX_ARGS = 6  # words of the longest command (index tuning)

# CRC-8: polynomial 0x31, start 0xFF, nothing reflected; one entry per upper half byte.
_CRC = b"\x00\x31\x62\x53\xc4\xf5\xa6\x97\xb9\x88\xdb\xea\x7d\x4c\x1f\x2e"


def crc8(high: int, low: int) -> int:
    """Check byte of the word `high`, `low`."""
    crc = 0xFF ^ high
    crc = (crc << 4 & 0xFF) ^ _CRC[crc >> 4]
    crc = (crc << 4 & 0xFF) ^ _CRC[crc >> 4]
    crc ^= low
    crc = (crc << 4 & 0xFF) ^ _CRC[crc >> 4]
    return (crc << 4 & 0xFF) ^ _CRC[crc >> 4]


def unsigned(word: int) -> "int | None":
    """The value of an unsigned word, None when the part has none."""
    return None if word == UNKNOWN_U16 else word


def signed(word: int) -> "int | None":
    """The value of a signed word, None when the part has none."""
    return None if word == UNKNOWN_I16 else word - 0x10000 if word & 0x8000 else word


class Sensirion:
    """One part at one address. Not re-entrant: one coroutine at a time."""

    def __init__(self, bus: "Bus", address: int, sleep_ms: "SleepMs", words: int) -> None:
        self.words = [0] * words  # the last answer; `words` is the longest that will be asked for
        self._bus = bus
        self._address = address
        self._sleep_ms = sleep_ms
        self._out = memoryview(bytearray(2 + 3 * _MAX_ARGS))
        self._in = memoryview(bytearray(3 * words))

    async def send(self, code: int, wait_ms: int, args: "tuple[int, ...]" = ()) -> None:
        """Write a command and wait out its execution time; raises BusError."""
        out = self._out
        out[0] = code >> 8
        out[1] = code & 0xFF
        at = 2
        for word in args:
            out[at] = word >> 8 & 0xFF
            out[at + 1] = word & 0xFF
            out[at + 2] = crc8(out[at], out[at + 1])
            at += 3
        for attempt in range(_ATTEMPTS):
            try:
                self._bus.writeto(self._address, out[:at])
                break
            except OSError:
                if attempt == _ATTEMPTS - 1:
                    raise BusError("0x{:02x} does not acknowledge command 0x{:04x}".format(self._address, code))
                await self._sleep_ms(_RETRY_MS)
        await self._sleep_ms(wait_ms)

    async def ask(self, code: int, wait_ms: int, count: int) -> "list[int]":
        """Send a command and read `count` words into `self.words`, which it returns.

        Raises BusError, NotReadyError, CrcError.
        """
        for _ in range(_ATTEMPTS):
            await self.send(code, wait_ms)
            view = self._in[: 3 * count]
            await self._read(view, code)
            if self._unpack(view, count):
                return self.words
        raise CrcError("answer of 0x{:02x} to 0x{:04x} is damaged".format(self._address, code))

    async def _read(self, view: memoryview, code: int) -> None:
        for attempt in range(_ATTEMPTS):
            try:
                self._bus.readfrom_into(self._address, view)
                return
            except OSError:
                if attempt == _ATTEMPTS - 1:
                    raise NotReadyError("0x{:02x} has no answer to 0x{:04x}".format(self._address, code))
                await self._sleep_ms(_RETRY_MS)

    def _unpack(self, view: memoryview, count: int) -> bool:
        for index in range(count):
            at = 3 * index
            if crc8(view[at], view[at + 1]) != view[at + 2]:
                return False
            self.words[index] = view[at] << 8 | view[at + 1]
        return True
