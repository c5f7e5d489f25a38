"""SNTP version 4 (RFC 4330): a request, its answer, and which of several answers to believe. Integers only.

The local side is a count of milliseconds that knows no date (uptime), so an answer says what UTC was at a local
instant. The request carries a random cookie as its time stamp: an answer that does not echo it is forged or late.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from protocol.cbor import Source as Bytes

PORT = 123
SIZE = 48  # bytes of a packet without extensions
MAX_ROUND_TRIP_MS = 4000  # half of it bounds the error
AGREE_MS = 2000  # two servers further apart than this: one of them is wrong, and we cannot know which

_EPOCH_S = 2208988800  # 1970 in seconds since 1900
_ERA_S = 1 << 32  # from 2036 on the count of seconds starts again


class SntpError(Exception):
    """The answer may not be used; the text names the rule."""


class Answer:
    """At local instant `local_ms`, UTC was `utc_ms` (since 1970), give or take half of `round_trip_ms`."""

    def __init__(self, local_ms: int, utc_ms: int, round_trip_ms: int) -> None:
        self.local_ms = local_ms
        self.utc_ms = utc_ms
        self.round_trip_ms = round_trip_ms

    @property
    def epoch_ms(self) -> int:
        """UTC at local instant 0: equal for all answers of servers that agree."""
        return self.utc_ms - self.local_ms


def request(cookie: bytes) -> bytes:
    """A client packet with `cookie` (8 bytes) as its transmit time stamp."""
    out = bytearray(SIZE)
    out[0] = 4 << 3 | 3  # version 4, client
    out[40:] = cookie
    return bytes(out)


def answer(data: "Bytes", cookie: bytes, sent_ms: int, received_ms: int, floor_s: int) -> Answer:
    """What the server says; raises SntpError. `floor_s` is a time that has certainly passed."""
    if len(data) < SIZE or bytes(data[24:32]) != cookie:
        raise SntpError("not the answer")
    first = data[0]
    if first & 7 != 4 or first >> 3 & 7 not in (3, 4):
        raise SntpError("not a server of version 3 or 4")
    if first >> 6 == 3 or not 1 <= data[1] <= 15:
        raise SntpError("server is not synchronised")
    came = _unix_ms(data, 32)
    left = _unix_ms(data, 40)
    round_trip = received_ms - sent_ms - (left - came)
    if left < came or not 0 <= round_trip <= MAX_ROUND_TRIP_MS:
        raise SntpError("round trip out of range")
    if left < floor_s * 1000 or not any(data[40:48]):
        raise SntpError("before the earliest possible time")
    return Answer(received_ms, left + (round_trip >> 1), round_trip)


def choose(answers: "list[Answer]") -> "Answer | None":
    """The answer to believe: the median of three or more, the quicker of two that agree, the only one."""
    if len(answers) == 2:
        if abs(answers[0].epoch_ms - answers[1].epoch_ms) > AGREE_MS:
            return None
        return min(answers, key=_round_trip)
    ordered = sorted(answers, key=_epoch)
    return ordered[len(ordered) // 2] if ordered else None


def _round_trip(answer: Answer) -> int:
    return answer.round_trip_ms


def _epoch(answer: Answer) -> int:
    return answer.epoch_ms


def _unix_ms(data: "Bytes", at: int) -> int:
    """The time stamp at `at` in milliseconds since 1970; the era is the one from 1968 to 2104."""
    seconds = int.from_bytes(bytes(data[at : at + 4]), "big")
    fraction = int.from_bytes(bytes(data[at + 4 : at + 8]), "big")
    if seconds < _ERA_S >> 1:
        seconds += _ERA_S
    return (seconds - _EPOCH_S) * 1000 + (fraction * 1000 >> 32)
