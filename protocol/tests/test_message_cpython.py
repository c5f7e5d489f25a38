"""The tables of messages agree with their annotations, and messages survive the wire and the other decoder."""

import typing
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import cbor
from protocol.errors import DecodeError
from protocol.message import Message
from protocol.messages import Batch, Config
from protocol.records import MAX_CHANNELS, Event, Record, Sample
from protocol.tests import meaning
from protocol.tests.test_cbor_cpython import SCALARS, VALUES

KINDS = tuple(meaning.KINDS.values())


def annotated(kind: Any, optional: bool) -> Any:
    """The annotation that a table's kind asks for."""
    if isinstance(kind, list):
        return list[kind[0]]  # type: ignore[valid-type]
    if kind is dict:
        return dict
    return kind | None if optional else kind


def values_of(kind: Any, low: int, high: int) -> st.SearchStrategy[Any]:
    """Values that a row of a table allows."""
    if isinstance(kind, list):
        return st.lists(values_of(kind[0], 0, 16), min_size=low, max_size=min(high, 6))
    if isinstance(kind, type) and issubclass(kind, Message):
        return messages_of(kind)
    if kind is int:
        return st.integers(low, high)
    if kind is bytes:
        return st.binary(min_size=low, max_size=min(high, 40))
    if kind is str:
        return st.text(st.characters(max_codepoint=126), min_size=low, max_size=min(high, 40))
    if kind is dict:
        return st.dictionaries(st.integers(0, 99) | st.text("ab", max_size=4), SCALARS, max_size=min(high, 6))
    return st.booleans()


def messages_of(kind: type[Message]) -> st.SearchStrategy[Message]:
    """Messages of a kind, with some of their optional fields."""
    rows = {name: values_of(sort, low, high) for _, name, sort, low, high in kind.FIELDS}
    needed = {name: rows.pop(name) for name in list(rows) if not hasattr(kind, name)}
    return st.fixed_dictionaries(needed, optional=rows).map(lambda values: kind(**values))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_table_is_the_annotations(kind: type[Message]) -> None:
    hints = typing.get_type_hints(kind, localns={"Any": Any, "Row": tuple})
    del hints["FIELDS"]
    assert [row[1] for row in kind.FIELDS] == list(kind.__annotations__)
    for _, name, sort, _, _ in kind.FIELDS:
        optional = hasattr(kind, name) and getattr(kind, name) is None
        hint = dict if typing.get_origin(hints[name]) is dict else hints[name]
        assert hint == annotated(sort, optional), name


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_keys_ascend_from_one_and_ranges_are_ranges(kind: type[Message]) -> None:
    assert [row[0] for row in kind.FIELDS] == list(range(1, len(kind.FIELDS) + 1))
    assert all(low <= high for _, _, _, low, high in kind.FIELDS)
    assert kind.__doc__


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_messages_survive_the_wire_and_cbor2(kind: type[Message]) -> None:
    @given(messages_of(kind))
    def survives(message: Message) -> None:
        data = message.encode()
        assert cbor2.dumps(message.to_map(), canonical=True) == data or not_only_integers(message.to_map())
        assert kind.decode(data) == message
        assert kind.from_map(cbor2.loads(data)) == message

    survives()


def not_only_integers(value: Any) -> bool:
    """True when a map inside has text keys, which cbor2 puts in the order of RFC 7049 beside integers."""
    if isinstance(value, dict):
        return any(isinstance(key, str) or not_only_integers(item) for key, item in value.items())
    return isinstance(value, list) and any(not_only_integers(item) for item in value)


@given(st.sampled_from(KINDS), VALUES)
def test_a_value_is_a_message_or_refused(kind: type[Message], value: Any) -> None:
    try:
        message = kind.from_map(value)
    except DecodeError:
        return
    assert kind.decode(message.encode()) == message


@given(st.sampled_from(KINDS), st.binary(max_size=60))
def test_what_cbor2_reads_is_a_message_or_refused(kind: type[Message], data: bytes) -> None:
    """cbor2 reads far more than the subset: floats, tags, any key. None of it may get through or crash us."""
    try:
        found = cbor2.loads(data)
    except cbor2.CBORDecodeError:
        return
    for read in (kind.from_map, Record.from_cbor, Event.from_cbor):
        try:
            read(found)
        except DecodeError:
            continue


NUMBERS = st.integers(-(1 << 47) + 1, (1 << 47) - 1)
COUNTS = st.integers(0, (1 << 47) - 1)
SAMPLES = (
    st.builds(Sample, NUMBERS, st.sampled_from([1, 2, 3, 4]))
    | st.builds(Sample, st.none(), st.just(9))
    | st.builds(Sample, NUMBERS, st.sampled_from([1, 2, 3, 4]), COUNTS, COUNTS | st.none(), NUMBERS, NUMBERS)
)
RECORDS = st.builds(
    Record,
    st.integers(0, 0xFFFFFFFF),
    st.integers(0, 0xFFFFFFFF),
    st.integers(0, 4),
    st.dictionaries(st.integers(0, 0xFFFF), SAMPLES, max_size=9),
    st.sampled_from([1, 60, 900, 86400]),
)


@given(RECORDS)
def test_records_survive_the_wire_and_cbor2(record: Record) -> None:
    data = record.encode()
    for back in (Record.decode(data), Record.from_cbor(cbor2.loads(data))):
        assert (back.seq, back.t, back.tq, back.interval) == (record.seq, record.t, record.tq, record.interval)
        assert back.samples == record.samples
        assert back.encode() == data


@given(st.lists(RECORDS, min_size=1, max_size=5))
def test_a_batch_carries_the_bytes_of_its_entries(records: list[Record]) -> None:
    entries = [record.encode() for record in records]
    assert Batch.decode(Batch(boot=3, entries=entries).encode()).entries == entries


def test_the_bounds_of_a_record_fit_into_an_entry() -> None:
    """All 32 channels with a flag and 32-bit means fit; with full statistics eight do."""
    flagged = Record(0xFFFFFFFF, 0xFFFFFFFF, 4, {i: Sample(0x7FFFFFFF, 3) for i in range(MAX_CHANNELS)}, 900)
    assert len(flagged.encode()) <= 512
    rich = Sample(100_000, 3, 60, 100_000, 100_000, 100_000)
    assert len(Record(0xFFFFFFFF, 0xFFFFFFFF, 4, dict.fromkeys(range(16), rich), 900).encode()) <= 512


def test_the_largest_configuration_fits_its_bounds() -> None:
    config = Config(rev=0xFFFFFFFF, values=dict.fromkeys(range(64), 4294967295), issued=0xFFFFFFFF, probation_s=86400)
    assert Config.decode(config.encode()) == config
    assert cbor.is_plain(config.to_map())
