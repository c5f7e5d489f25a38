"""Records and events: the bytes, the bounds, the forms of a sample; on both interpreters."""

from protocol import cbor
from protocol.errors import DecodeError, EncodeError
from protocol.records import FLAG_FAIL, FLAG_MISSING, FLAG_PASS, FLAG_SUSPECT, Event, Record, Sample
from protocol.tests.expect import raises

RECORDS = {
    "one good mean": (Record(1, 60, 4, {2: Sample(123)}), "8401183c04a102187b"),
    "a negative mean": (Record(1, 60, 4, {11: Sample(-512)}), "8401183c04a10b3901ff"),
    "a mean in doubt": (Record(1, 60, 4, {2: Sample(5, FLAG_SUSPECT)}), "8401183c04a102820503"),
    "nothing measured": (Record(1, 60, 4, {2: Sample(None, FLAG_MISSING)}), "8401183c04a10282f609"),
    "statistics": (Record(1, 60, 4, {2: Sample(5, FLAG_PASS, 60, 2, 1, 9)}), "8401183c04a102860501183c020109"),
    "statistics of nothing": (
        Record(1, 60, 4, {2: Sample(None, FLAG_MISSING, 0)}),
        "8401183c04a10286f60900f6f6f6",
    ),
    "another interval": (Record(1, 60, 4, {2: Sample(5)}, 900), "8501183c04a10205190384"),
    "a record of uptime": (Record(0, 0, 0, {2: Sample(0)}), "84000000a10200"),
    "a record without samples": (Record(0, 0, 0, {}), "84000000a0"),
}

EVENTS = {
    "an instant": (Event(3, 60, 4, 8), "8503183c040800"),
    "the start of a fault": (Event(3, 60, 4, 16, 1), "8503183c041001"),
    "attributes": (Event(3, 60, 4, 9, 0, {1: "sen66", 2: b"x"}), "8603183c040900a2016573656e3636024178"),
}

NOT_RECORDS = {
    "a map": {},
    "an empty entry": [],
    "an entry too short": [1, 2, 3],
    "an entry too long": [1, 2, 4, {}, 60, 0],
    "a negative seq": [-1, 0, 4, {}],
    "a seq beyond 32 bits": [1 << 32, 0, 4, {}],
    "a truth value as seq": [True, 0, 4, {}],
    "a negative time": [0, -1, 4, {}],
    "a time beyond 32 bits": [0, 1 << 32, 4, {}],
    "an unknown time quality": [0, 0, 5, {}],
    "samples in an array": [0, 0, 4, []],
    "33 samples": [0, 0, 4, dict.fromkeys(range(33), 0)],
    "a channel by name": [0, 0, 4, {"pm25": 0}],
    "a negative channel": [0, 0, 4, {-1: 0}],
    "a channel beyond 16 bits": [0, 0, 4, {65536: 0}],
    "a mean of text": [0, 0, 4, {1: "5"}],
    "a bare null": [0, 0, 4, {1: None}],
    "a truth value as mean": [0, 0, 4, {1: True}],
    "a mean beyond 48 bits": [0, 0, 4, {1: 1 << 47}],
    "a mean below 48 bits": [0, 0, 4, {1: [-(1 << 47), 1]}],
    "an empty sample": [0, 0, 4, {1: []}],
    "a sample of one": [0, 0, 4, {1: [5]}],
    "a sample of three": [0, 0, 4, {1: [5, 1, 60]}],
    "a sample of seven": [0, 0, 4, {1: [5, 1, 60, 0, 0, 0, 0]}],
    "an unknown flag": [0, 0, 4, {1: [5, 5]}],
    "no flag": [0, 0, 4, {1: [5, None]}],
    "a truth value as flag": [0, 0, 4, {1: [5, True]}],
    "null that passes": [0, 0, 4, {1: [None, 1]}],
    "a value that is missing": [0, 0, 4, {1: [5, 9]}],
    "a negative count": [0, 0, 4, {1: [5, 1, -1, 0, 0, 0]}],
    "no count": [0, 0, 4, {1: [5, 1, None, 0, 0, 0]}],
    "a negative deviation": [0, 0, 4, {1: [5, 1, 1, -1, 0, 0]}],
    "an interval of nothing": [0, 0, 4, {}, 0],
    "an interval of more than a day": [0, 0, 4, {}, 86401],
}

NOT_EVENTS = {
    "a record": [0, 0, 4, {}],
    "an entry too long": [0, 0, 4, 1, 0, {}, 0],
    "code zero": [0, 0, 4, 0, 0],
    "a code beyond 16 bits": [0, 0, 4, 65536, 0],
    "an unknown phase": [0, 0, 4, 1, 3],
    "attributes in an array": [0, 0, 4, 1, 0, []],
    "an attribute by name": [0, 0, 4, 1, 0, {"a": 1}],
    "a negative attribute": [0, 0, 4, 1, 0, {-1: 1}],
}


def test_records_are_written_as_specified_and_read_back() -> None:
    for what, (record, text) in RECORDS.items():
        assert record.encode().hex() == text, what
        back = Record.decode(bytes.fromhex(text))
        assert back.samples == record.samples, what
        assert (back.seq, back.t, back.tq, back.interval) == (record.seq, record.t, record.tq, record.interval), what


def test_events_are_written_as_specified_and_read_back() -> None:
    for what, (event, text) in EVENTS.items():
        assert event.encode().hex() == text, what
        back = Event.decode(bytes.fromhex(text))
        assert (back.seq, back.t, back.tq, back.code, back.phase) == (
            event.seq,
            event.t,
            event.tq,
            event.code,
            event.phase,
        )
        assert back.attrs == event.attrs, what


def test_what_is_no_record_is_refused() -> None:
    for what, entry in NOT_RECORDS.items():
        assert isinstance(raises(DecodeError, Record.decode, cbor.encode(entry)), DecodeError), what


def test_what_is_no_event_is_refused() -> None:
    for what, entry in NOT_EVENTS.items():
        assert isinstance(raises(DecodeError, Event.decode, cbor.encode(entry)), DecodeError), what


def test_values_that_no_cbor_of_ours_holds_are_refused_too() -> None:
    for value in (float("1.5"), float("nan"), {1}, object(), memoryview(b"")):
        raises(DecodeError, Record.from_cbor, [0, 0, 4, {1: value}])
        raises(DecodeError, Record.from_cbor, [0, 0, 4, {1: [5, value]}])
        raises(DecodeError, Event.from_cbor, [0, 0, 4, 1, 0, {1: value}])
        raises(DecodeError, Record.from_cbor, value)
        raises(DecodeError, Event.from_cbor, value)


def test_a_sender_cannot_break_the_bounds() -> None:
    raises(EncodeError, Record(-1, 0, 4, {}).encode)
    raises(EncodeError, Record(0, 0, 9, {}).encode)
    raises(EncodeError, Record(0, 0, 4, {1: Sample(None)}).encode)
    raises(EncodeError, Record(0, 0, 4, {1: Sample(1, FLAG_MISSING)}).encode)
    raises(EncodeError, Record(0, 0, 4, {i: Sample(0) for i in range(33)}).encode)
    raises(EncodeError, Record(0, 0, 4, {}, 0).encode)
    raises(EncodeError, Event(0, 0, 4, 0).encode)
    raises(EncodeError, Event(0, 0, 4, 1, 0, {1: "x" * 600}).encode)


def test_an_entry_has_a_largest_size() -> None:
    data = cbor.encode([0, 0, 4, 1, 0, {1: b"\x00" * 600}])
    assert "longer" in str(raises(DecodeError, Event.decode, data))


def test_longer_forms_are_understood() -> None:
    assert Record.decode(cbor.encode([0, 0, 4, {1: [5, FLAG_PASS]}, 60])).samples == {1: Sample(5)}
    assert Event.decode(cbor.encode([0, 0, 4, 1, 0, {}])).attrs == {}


def test_samples_are_equal_when_they_say_the_same() -> None:
    assert Sample(5) == Sample(5, FLAG_PASS)
    assert Sample(5) != Sample(5, FLAG_FAIL)
    assert Sample(5) != 5
    assert repr(Sample(5)) == "Sample(5, 1, None, None, None, None)"
