"""cbor2 is the referee of the codec: what we write it reads, what we read it reads alike."""

from typing import Any

import cbor2
from hypothesis import example, given
from hypothesis import strategies as st

from protocol import cbor
from protocol.errors import DecodeError

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
INTEGERS = st.integers(-(1 << 64), (1 << 64) - 1) | st.integers(-300, 300)
SCALARS = st.none() | st.booleans() | INTEGERS | TEXT | st.binary(max_size=12)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(INTEGERS | TEXT, inner, max_size=4),
    max_leaves=12,
).filter(lambda value: cbor.is_plain(value))


def in_order(value: Any) -> Any:
    """`value` with the keys of every map in the order of RFC 8949 section 4.2.1, found by cbor2 alone."""
    if isinstance(value, dict):
        return {key: in_order(value[key]) for key in sorted(value, key=cbor2.dumps)}
    return [in_order(item) for item in value] if isinstance(value, list) else value


@given(VALUES)
def test_what_we_write_is_what_cbor2_writes(value: Any) -> None:
    data = cbor.encode(value)
    assert data == cbor2.dumps(in_order(value))
    assert cbor2.loads(data) == value


@given(st.dictionaries(st.integers(0, 1 << 32), st.lists(SCALARS, max_size=3), max_size=8))
def test_with_the_keys_of_messages_cbor2_is_canonical_like_us(value: dict[int, Any]) -> None:
    assert cbor.encode(value) == cbor2.dumps(value, canonical=True)


@given(VALUES)
def test_what_we_write_we_read(value: Any) -> None:
    assert cbor.decode(cbor.encode(value)) == value


@given(st.binary(max_size=40))
@example(bytes.fromhex("a1f90000"))
@example(bytes.fromhex("9b00000000ffffffff"))
def test_what_we_read_cbor2_reads_alike_and_writes_alike(data: bytes) -> None:
    try:
        value = cbor.decode(data)
    except DecodeError:
        return
    assert cbor2.loads(data) == value
    assert cbor2.dumps(value) == cbor2.dumps(in_order(value)) == data


@given(VALUES, st.data())
def test_one_changed_byte_gives_another_value_or_an_error(value: Any, data: st.DataObject) -> None:
    good = bytearray(cbor.encode(value))
    at = data.draw(st.integers(0, len(good) - 1))
    good[at] ^= data.draw(st.integers(1, 255))
    try:
        other = cbor.decode(good)
    except DecodeError:
        return
    assert cbor.encode(other) == good


@given(VALUES)
def test_what_we_read_is_plain(value: Any) -> None:
    assert cbor.is_plain(cbor.decode(cbor.encode(value)))


@given(st.binary(max_size=6))
def test_utf8_as_cpython_sees_it(data: bytes) -> None:
    try:
        data.decode()
        good = True
    except UnicodeDecodeError:
        good = False
    assert cbor.is_utf8(data) is good
