"""The strict codec and every decoder above it: messages, batches, records, events, identity."""

import json

from protocol import cbor
from protocol.errors import DecodeError
from protocol.messages import Batch
from protocol.tests import meaning
from tools.fuzz import inputs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tools.fuzz.rng import Random

INTERPRETERS = ("cpython", "micropython")
BOUND = (8192, 320)  # a level of nesting takes 600 bytes on CPython, an empty map 200 on either
KINDS = sorted(list(meaning.KINDS) + ["event", "record"])  # noqa: RUF005 - MicroPython cannot unpack into a list
_WIDTHS = (0, 0, 0, 1, 2, 4, 8)
_FOLDER = meaning.__file__.rsplit("/", 2)[0] + "/vectors/"


def seeds() -> "list[bytes]":
    """Every golden and every short hostile vector."""
    found = []
    for name in ("cbor", "entries", "messages"):
        with open(_FOLDER + name + ".json") as file:
            vectors = json.load(file)
        found += [bytes.fromhex(row["hex"]) for row in vectors["accept"] + vectors["refuse"] if len(row["hex"]) < 1280]
    return found


def generate(random: "Random", seeds: "list[bytes]") -> bytes:
    """Noise, damaged vectors, what looks like CBOR or a record and breaks a rule now and then, what costs memory."""
    how = random.below(32)
    if how < 4:
        return inputs.noise(random)
    if how < 16:
        return inputs.damaged(random, seeds)
    if how < 20:
        return record(random)
    if how == 20 and random.below(8) == 0:
        return _wide(random)
    out = bytearray()
    _item(random, out, random.below(11))
    return bytes(out[: inputs.MAX_SIZE])


def record(random: "Random") -> bytes:
    """A record (SPEC 5.1) that is right in most of its parts."""
    out = bytearray()
    long = random.below(8) == 0
    _head(random, out, 4, 5 if long else 4)
    for _ in range(2):
        _head(random, out, 0, random.bits() >> random.below(32))
    _head(random, out, 0, random.below(5))
    count = random.below(12)
    _head(random, out, 5, count)
    channel = random.below(4)
    for _ in range(count):
        _head(random, out, 0, channel)
        channel += 1 + random.below(9)
        _sample(random, out)
    if long:
        _head(random, out, 0, random.bits() >> random.below(32))
    return bytes(out)


def _sample(random: "Random", out: bytearray) -> None:
    """A sample (SPEC 5.8) in one of its forms, right in most of its parts."""
    form = (1, 1, 1, 1, 2, 6)[random.below(6)]
    if form == 1:
        _number(random, out)
        return
    _head(random, out, 4, form)
    if random.below(4):
        _number(random, out)
        _head(random, out, 0, 1 + random.below(4))
    else:
        out.extend(b"\xf6\x09")
    for at in range(form - 2):
        if at and random.below(4) == 0:
            out.append(0xF6)
        else:
            _number(random, out)


def _number(random: "Random", out: bytearray) -> None:
    _head(random, out, 0 if random.below(4) else 1, random.bits() >> random.below(32))


def _wide(random: "Random") -> bytes:
    """An array with as many small containers as the bounds allow, or more."""
    out = bytearray()
    count = random.below(1100)
    cbor.write_head(out, 4, count)
    return bytes(out) + (b"\x80", b"\xa0", b"\x60", b"\x40", b"\x81\x80", b"\xa1\x00\xa0")[random.below(6)] * count


def _item(random: "Random", out: bytearray, depth: int) -> None:
    """One item with at most `depth` levels below it; one in 32 has a head that is wrong."""
    major = (0, 0, 0, 1, 2, 3, 4, 5, 5, 7)[random.below(10)]
    if random.below(32) == 0:
        _head(random, out, random.below(8), random.bits())
    elif major == 7:
        out.append(0xF4 + random.below(3))
    elif major < 2:
        _head(random, out, major, random.bits() >> random.below(32))
    elif major < 4:
        size = random.below(1 << random.below(6))
        _head(random, out, major, size)
        out.extend(random.data(size) if major == 2 else bytes([0x61 + random.below(26) for _ in range(size)]))
    else:
        count = random.below(5) if depth > 0 and len(out) < inputs.MAX_SIZE else 0
        _head(random, out, major, count)
        key = 0
        for _ in range(count):
            if major == 5:
                key += random.below(3) + (1 if random.below(16) else 0)
                _head(random, out, 0, key)
            _item(random, out, depth - 1)


def _head(random: "Random", out: bytearray, major: int, argument: int) -> None:
    """A head, the shortest one 127 times of 128."""
    if random.below(128):
        cbor.write_head(out, major, argument)
        return
    width = _WIDTHS[random.below(7)]
    info = 24 + (1, 2, 4, 8).index(width) if width else 24 + random.below(8)
    out.append(major << 5 | info)
    out.extend((argument & (1 << 8 * width) - 1).to_bytes(width, "big"))


def parse(data: bytes) -> None:
    """Decode, and swallow the one declared error."""
    try:
        cbor.decode(data)
    except DecodeError:
        return


def verdict(data: bytes) -> bytes:
    """The value and what every decoder above makes of it, or the rule that was broken."""
    try:
        value = cbor.decode(data)
    except DecodeError as error:
        return str(error).encode()
    assert cbor.encode(value) == data, "read, but written otherwise"
    assert cbor.is_plain(value), "read, but not plain"
    words = [b"ok"]
    for kind in KINDS:
        words.append(_judge(kind, data))
    return b"|".join(words)


def _judge(kind: str, data: bytes) -> bytes:
    try:
        means, again = meaning.of(kind, data)
    except DecodeError as error:
        return str(error).encode()
    assert meaning.of(kind, again)[0] == means, "another meaning after writing and reading"
    if kind == "batch":
        for entry in Batch.decode(data).entries:
            again += _judge("record", entry) + _judge("event", entry)
    return again
