"""The codec on both interpreters: what is written, what is read back, what is refused and why."""

from protocol import cbor
from protocol.errors import DecodeError, EncodeError
from protocol.tests.expect import raises

# RFC 8949 appendix A, and the edges of every width
WRITTEN = {
    "zero": (0, "00"),
    "the last integer in the head": (23, "17"),
    "the first integer of one byte": (24, "1818"),
    "the last integer of one byte": (255, "18ff"),
    "the first integer of two bytes": (256, "190100"),
    "the first integer of four bytes": (65536, "1a00010000"),
    "a time of today": (1785758400, "1a6a7082c0"),
    "the first integer beyond 31 bits": (1 << 30, "1a40000000"),
    "the first integer of eight bytes": (1 << 32, "1b0000000100000000"),
    "the largest integer": ((1 << 64) - 1, "1bffffffffffffffff"),
    "minus one": (-1, "20"),
    "a small negative": (-100, "3863"),
    "the smallest integer": (-(1 << 64), "3bffffffffffffffff"),
    "false": (False, "f4"),
    "true": (True, "f5"),
    "null": (None, "f6"),
    "no bytes": (b"", "40"),
    "some bytes": (b"\x01\x02\x03\x04", "4401020304"),
    "no text": ("", "60"),
    "text in ASCII": ("IETF", "6449455446"),
    "text of two bytes a letter": ("\u00fc", "62c3bc"),
    "text of three bytes a letter": ("\u6c34", "63e6b0b4"),
    "text outside the basic plane": ("\U00010151", "64f0908591"),
    "an empty array": ([], "80"),
    "an array in an array": ([1, [2, 3]], "8201820203"),
    "an empty map": ({}, "a0"),
    "a map with keys out of order": ({3: 0, 1: 2, 2: 1}, "a3010202010300"),
    "positive keys before negative ones before text": ({"a": 1, -1: 2, 24: 3}, "a31818032002616101"),
    "short text keys before long ones": ({"aa": 1, "b": 2}, "a261620262616101"),
}

REFUSED = {
    "nothing at all": ("", "truncated"),
    "a head without its argument": ("18", "length beyond the end"),
    "two items": ("0000", "trailing bytes"),
    "an integer that is longer than it must be": ("1817", "head is not the shortest"),
    "two bytes for a value of one": ("1900ff", "head is not the shortest"),
    "four bytes for a value of two": ("1a0000ffff", "head is not the shortest"),
    "eight bytes for a value of four": ("1b00000000ffffffff", "head is not the shortest"),
    "a length that is longer than it must be": ("580100", "head is not the shortest"),
    "reserved additional information": ("1c", "indefinite or reserved length"),
    "bytes of indefinite length": ("5f4101ff", "indefinite or reserved length"),
    "text of indefinite length": ("7f6161ff", "indefinite or reserved length"),
    "an array of indefinite length": ("9f01ff", "indefinite or reserved length"),
    "a map of indefinite length": ("bf0101ff", "indefinite or reserved length"),
    "a break": ("ff", "only false, true and null are part of the subset"),
    "undefined": ("f7", "only false, true and null are part of the subset"),
    "a simple value of one byte": ("f820", "only false, true and null are part of the subset"),
    "a float of 16 bits": ("f93c00", "only false, true and null are part of the subset"),
    "a float of 32 bits": ("fa47c35000", "only false, true and null are part of the subset"),
    "a float of 64 bits": ("fb3ff199999999999a", "only false, true and null are part of the subset"),
    "a tagged time": ("c11a514b67b0", "tags are not part of the subset"),
    "a bignum": ("c249010000000000000000", "tags are not part of the subset"),
    "bytes beyond the end": ("44010203", "length beyond the end"),
    "bytes of 2**64-1": ("5bffffffffffffffff00", "length beyond the end"),
    "an array of 2**32 items": ("9b0000000100000000", "length beyond the end"),
    "an array that is one item short": ("8201", "length beyond the end"),
    "a map of 2**16 pairs": ("ba00010000", "length beyond the end"),
    "a map without its last value": ("a20102", "truncated"),
    "keys out of order": ("a202000100", "map keys out of order or twice"),
    "a key twice": ("a201000100", "map keys out of order or twice"),
    "text before integers": ("a261610001f6", "map keys out of order or twice"),
    "an array as a key": ("a1800000", "map key is neither integer nor text"),
    "a map as a key": ("a1a000", "map key is neither integer nor text"),
    "bytes as a key": ("a1410000", "map key is neither integer nor text"),
    "null as a key": ("a1f600", "map key is neither integer nor text"),
    "text that is not UTF-8": ("61ff", "text is not UTF-8"),
    "an overlong slash": ("62c0af", "text is not UTF-8"),
    "an overlong letter of three bytes": ("63e0809f", "text is not UTF-8"),
    "a surrogate": ("63eda080", "text is not UTF-8"),
    "text cut inside a letter": ("62e6b0", "text is not UTF-8"),
    "a letter beyond the last one": ("64f4908080", "text is not UTF-8"),
    "nine levels of arrays": ("81" * 8 + "80", "nested deeper than 8"),
    "a thousand levels of arrays": ("81" * 1000 + "80", "nested deeper than 8"),
    "nine levels of maps": ("a100" * 8 + "a0", "nested deeper than 8"),
    "more items than any message has": ("990400" + "80" * 1024, "too many items"),
    "more bytes than any message has": ("592000" + "00" * 8192, "message longer than 8192 bytes"),
}

UNWRITABLE = {
    "an integer of 65 bits": 1 << 64,
    "a negative integer of 65 bits": -(1 << 64) - 1,
    "a set": {1},
    "a class": EncodeError,
    "an array as a key": {(1, 2): 0},
    "bytes as a key": {b"a": 0},
    "a truth value as a key": {True: 0},
    "null as a key": {None: 0},
    "more bytes than any message has": b"\x00" * 8192,
    "more items than fit": [0] * 8192,
    "nine levels": [[[[[[[[[]]]]]]]]],
}
UNWRITABLE["a float"] = float("1.5")  # no float literal stands in shared code


def test_values_are_written_as_rfc_8949_says_and_read_back() -> None:
    for what, (value, text) in WRITTEN.items():
        data = bytes.fromhex(text)
        assert cbor.encode(value) == data, what
        back = cbor.decode(data)
        assert back == value, what
        assert type(back) is type(value), what


def test_everything_else_is_refused_for_its_reason() -> None:
    for what, (text, reason) in REFUSED.items():
        error = raises(DecodeError, cbor.decode, bytes.fromhex(text))
        assert str(error) == reason, (what, str(error))


def test_every_beginning_of_a_message_is_refused() -> None:
    data = cbor.encode({1: [b"abc", "def", -70000], "key": {"x": None}})
    for size in range(len(data)):
        raises(DecodeError, cbor.decode, data[:size])


def test_what_has_no_place_in_the_subset_is_not_written() -> None:
    for what, value in UNWRITABLE.items():
        assert isinstance(raises(EncodeError, cbor.encode, value), EncodeError), what
        if what not in ("more bytes than any message has", "more items than fit"):
            assert not cbor.is_plain(value), what


def test_a_value_that_contains_itself_is_not_written() -> None:
    loop: "list[object]" = []
    loop.append(loop)
    raises(EncodeError, cbor.encode, loop)
    assert not cbor.is_plain(loop)


def test_eight_levels_are_fine() -> None:
    value: "cbor.Value" = 7
    for _ in range(4):
        value = {1: [value]}
    assert cbor.decode(cbor.encode(value)) == value
    assert cbor.is_plain(value)


def test_a_lone_surrogate_is_not_written() -> None:
    raises(EncodeError, cbor.encode, chr(0xD800))


def test_a_view_is_read_like_bytes() -> None:
    data = bytearray(cbor.encode([b"ab", "cd"]))
    assert cbor.decode(memoryview(data)) == [b"ab", "cd"]
    value = cbor.decode(data)
    data[2] = 0
    assert value == [b"ab", "cd"], "the value must not share memory with the buffer"


def test_tuples_and_buffers_are_written_as_arrays_and_bytes() -> None:
    assert cbor.encode((1, bytearray(b"a"), memoryview(b"b"))) == bytes.fromhex("830141614162")


def test_the_caller_may_ask_for_narrower_bounds() -> None:
    assert cbor.encode(b"abc", 4) == b"\x43abc"
    raises(EncodeError, cbor.encode, b"abc", 3)
    raises(DecodeError, cbor.decode, b"\x43abc", 3)
    assert cbor.decode(b"\x82\x01\x02", 8, 3) == [1, 2]
    raises(DecodeError, cbor.decode, b"\x82\x01\x02", 8, 2)


def test_utf8_is_what_the_unicode_standard_says() -> None:
    for size, lead in ((1, 0x00), (2, 0xC2), (3, 0xE1), (4, 0xF1)):
        tail = b"\x80" * (size - 1)
        assert cbor.is_utf8(bytes([lead]) + tail)
        assert not cbor.is_utf8(bytes([lead]) + tail[:-1]) or size == 1
        assert not cbor.is_utf8(bytes([lead]) + tail + b"\x80")
