"""The validator against the rules of RFC 8610, and lumenair.cddl against the decoders and pycddl."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import DecodeError
from protocol.records import Event, Record
from protocol.tests.test_cbor_cpython import SCALARS, VALUES
from protocol.tests.test_message_cpython import KINDS, RECORDS, messages_of
from tools.cddl import Schema, SchemaError
from tools.interpreter import ROOT

LUMENAIR = (ROOT / "protocol" / "lumenair.cddl").read_text()
SCHEMA = Schema(LUMENAIR)

MATCHES: dict[str, tuple[str, Any, bool]] = {
    "a number in its range": ("a = 1..5", 5, True),
    "a number above its range": ("a = 1..5", 6, False),
    "a truth value is no number": ("a = 0..1", True, False),
    "a literal": ("a = 9", 9, True),
    "a choice": ("a = 1 / tstr", "x", True),
    "no choice": ("a = 1 / tstr", 2, False),
    "text measured in bytes": ("a = tstr .size (1..2)", "\u00fc\u00fc", False),
    "bytes of one size": ("a = bstr .size 2", b"ab", True),
    "a negative number at its bound": ("a = nint .ge -5", -5, True),
    "a negative number below its bound": ("a = nint .ge -5", -6, False),
    "an array": ("a = [x: uint, tstr]", [1, "x"], True),
    "an array too long": ("a = [uint]", [1, 2], False),
    "an array with an option in the middle": ("a = [uint, ? tstr, uint]", [1, 2], True),
    "an array that gives back what it took": ("a = [* uint, uint]", [1, 2], True),
    "an array with too few": ("a = [2*3 uint]", [1], False),
    "an array with too many": ("a = [2*3 uint]", [1, 2, 3, 4], False),
    "a map": ("a = {1: uint, ? 2: tstr}", {1: 5}, True),
    "a map without a key": ("a = {1: uint}", {}, False),
    "a map with an unknown key": ("a = {1: uint}", {1: 5, 2: 6}, False),
    "an option of the wrong type is cut off from the wildcard": ("a = {? 1: uint, * int => tstr}", {1: "x"}, False),
    "a wildcard": ("a = {* int => tstr}", {1: "x", 7: "y"}, True),
    "a wildcard used too often": ("a = {0*1 int => tstr}", {1: "x", 7: "y"}, False),
    "CBOR in bytes": ("a = bstr .cbor b b = [uint]", b"\x81\x05", True),
    "other CBOR in bytes": ("a = bstr .cbor b b = [uint]", b"\x81\x60", False),
    "no CBOR in bytes": ("a = bstr .cbor b b = [uint]", b"\xff", False),
    "a float": ("a = int", 1.5, False),
}


@pytest.mark.parametrize("what", MATCHES)
def test_shapes(what: str) -> None:
    text, value, good = MATCHES[what]
    assert Schema(text).matches("a", value) is good


@pytest.mark.parametrize(
    "text",
    ["a = b", "a = 1 a = 2", "a = float .lt 5", "a = ", "a = [1", "a = #6.1(int)", "a = {1: uint, b => }", "= 1"],
)
def test_what_is_not_understood_is_an_error(text: str) -> None:
    with pytest.raises((SchemaError, ValueError)):
        Schema(text)


def test_every_message_has_a_rule() -> None:
    assert {kind.__name__.lower() for kind in KINDS} | {"record", "event", "tele", "events"} <= SCHEMA.rules()


def test_another_tool_reads_the_schema() -> None:
    pycddl = pytest.importorskip("pycddl")
    for rule in sorted(SCHEMA.rules()):
        pycddl.Schema(f"start = {rule}\n{LUMENAIR}")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_schema_and_decoder_agree_on_every_message(kind: Any) -> None:
    rule = kind.__name__.lower()

    @given(st.data())
    def agree(data: st.DataObject) -> None:
        found = data.draw(messages_of(kind)).to_map()
        assert SCHEMA.matches(rule, found)
        key = data.draw(st.sampled_from([row[0] for row in kind.FIELDS] + [999]))
        other = {**found, key: data.draw(SCALARS | st.lists(SCALARS, max_size=2))}
        assert SCHEMA.matches(rule, other) is accepted(kind.from_map, other)
        less = {k: v for k, v in found.items() if k != key}
        assert SCHEMA.matches(rule, less) is accepted(kind.from_map, less)

    agree()


def accepted(decode: Any, value: Any) -> bool:
    """What our own decoder says."""
    try:
        decode(value)
        return True
    except DecodeError:
        return False


SHAPES = st.integers(-2, 10) | st.none() | st.booleans() | st.integers(-(1 << 48), 1 << 48)
NEAR_SAMPLES = SHAPES | st.lists(SHAPES, min_size=1, max_size=7)
NEAR_ENTRIES = st.tuples(SHAPES, SHAPES, st.integers(-1, 5), st.dictionaries(SHAPES, NEAR_SAMPLES, max_size=3)).map(
    list
)


@given(NEAR_ENTRIES | VALUES | st.tuples(NEAR_ENTRIES, SHAPES).map(lambda pair: [*pair[0], pair[1]]))
def test_schema_and_decoder_agree_on_records(entry: Any) -> None:
    assert SCHEMA.matches("record", entry) is accepted(Record.from_cbor, entry)


@given(st.lists(SHAPES | st.dictionaries(SHAPES, SHAPES, max_size=2), min_size=4, max_size=7) | VALUES)
def test_schema_and_decoder_agree_on_events(entry: Any) -> None:
    assert SCHEMA.matches("event", entry) is accepted(Event.from_cbor, entry)


@given(st.lists(RECORDS.map(lambda record: record.encode()), min_size=1, max_size=3))
def test_batches_are_telemetry(entries: list[bytes]) -> None:
    assert SCHEMA.matches("tele", {1: 5, 2: entries})
    assert not SCHEMA.matches("events", {1: 5, 2: entries})
