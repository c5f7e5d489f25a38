"""The fast decoder says exactly what the strict one says, about good bytes, bad bytes and everything between."""

import time

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.ingest import decode
from protocol.errors import DecodeError
from protocol.messages import Batch
from protocol.records import FLAG_MISSING, FLAG_PASS, FLAG_SUSPECT, Record, Sample

edges = st.sampled_from(
    [edge + step for edge in (0, 24, 1 << 8, 1 << 16, 1 << 32, 1 << 47) for step in (-1, 0, 1)]
).flatmap(lambda value: st.sampled_from([value, -value]))
value = st.one_of(st.integers(-(1 << 47) + 1, (1 << 47) - 1), edges.filter(lambda found: abs(found) < 1 << 47))
size = value.map(abs)
optional = st.one_of(st.none(), value)
sample = st.one_of(
    st.builds(Sample, value),
    st.builds(Sample, value, st.sampled_from([FLAG_PASS, FLAG_SUSPECT])),
    st.just(Sample(None, FLAG_MISSING)),
    st.builds(Sample, value, st.just(FLAG_PASS), size, st.one_of(st.none(), size), optional, optional),
)
records = st.builds(
    lambda seq, t, tq, samples, interval: Record(seq, t, tq, samples, interval),
    st.integers(0, (1 << 32) - 1),
    st.integers(0, (1 << 32) - 1),
    st.integers(0, 4),
    st.dictionaries(st.integers(0, 0xFFFF), sample, max_size=32),
    st.sampled_from([60, 1, 900, 86400]),
)


def body_of(record: Record) -> bytes:
    try:
        return record.encode()
    except Exception:  # longer than an entry may be: its bytes are a case all the same
        samples = {channel: found.to_cbor() for channel, found in sorted(record.samples.items())}
        return cbor2.dumps([record.seq, record.t, record.tq, samples, record.interval])


def strict_record(body: bytes) -> object:
    found = Record.decode(body)
    samples = {channel: sample.to_cbor() for channel, sample in found.samples.items()}
    return found.seq, found.t, found.tq, samples, found.interval


def strict_batch(payload: bytes) -> object:
    found = Batch.decode(payload)
    return found.boot, found.entries, found.up_s


def outcome(decoder, data: bytes) -> object:
    """The value with its types, or the rule that was broken."""
    try:
        return repr(_plain(decoder(data)))
    except DecodeError as error:
        return str(error)


def _plain(found):
    """A sample [mean, pass] is written like the bare mean: the strict path normalises, so the comparison does too."""
    if isinstance(found, tuple) and len(found) == 5:
        seq, t, tq, samples, interval = found
        same = {k: v[0] if isinstance(v, list) and len(v) == 2 and v[1] == FLAG_PASS else v for k, v in samples.items()}
        return seq, t, tq, same, interval
    return found


@st.composite
def damaged(draw, whole: bytes) -> bytes:
    """Bytes near good ones: some replaced, removed, inserted or appended."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        what = draw(st.sampled_from(["replace", "remove", "insert"]))
        byte = draw(
            st.one_of(st.integers(0, 255), st.sampled_from([0x18, 0x19, 0x1A, 0x1B, 0xF6, 0xFB, 0x9F, 0xC2, 0x82]))
        )
        if what == "insert":
            data.insert(at, byte)
        elif at < len(data):
            data[at : at + 1] = [byte] if what == "replace" else []
    return bytes(data)


@given(records)
def test_records_as_the_strict_decoder(record: Record) -> None:
    body = body_of(record)
    assert outcome(decode.record, body) == outcome(strict_record, body)


@given(st.data(), records)
def test_damaged_records_as_the_strict_decoder(data, record: Record) -> None:
    body = data.draw(damaged(body_of(record)))
    assert outcome(decode.record, body) == outcome(strict_record, body)


batches = st.builds(
    lambda boot, entries, up_s: Batch(boot=boot, entries=entries, up_s=up_s).encode(),
    st.integers(0, (1 << 32) - 1),
    st.lists(st.binary(max_size=300), min_size=1, max_size=20),
    st.one_of(st.none(), st.integers(0, (1 << 32) - 1)),
)


@given(batches)
def test_batches_as_the_strict_decoder(payload: bytes) -> None:
    assert outcome(decode.batch, payload) == outcome(strict_batch, payload)


@given(st.data(), batches)
def test_damaged_batches_as_the_strict_decoder(data, payload: bytes) -> None:
    found = data.draw(damaged(payload))
    assert outcome(decode.batch, found) == outcome(strict_batch, found)


@given(st.binary(max_size=200))
def test_any_bytes_as_the_strict_decoder(data: bytes) -> None:
    assert outcome(decode.batch, data) == outcome(strict_batch, data)
    assert outcome(decode.record, data) == outcome(strict_record, data)


ENTRY = "8401 1a65000000 04 a1 01 02"
HOSTILE = {
    "a number in a longer head": "8401 1a65000000 04 a1 1801 02",
    "a mean as a big number tag": "8401 1a65000000 04 a1 01 c24102",
    "a mean as a float": "8401 1a65000000 04 a1 01 f94000",
    "a channel twice": "8401 1a65000000 04 a2 01 02 01 03",
    "channels out of order": "8401 1a65000000 04 a2 02 02 01 03",
    "a map without an end given": "8401 1a65000000 04 bf 01 02 ff",
    "an array without an end given": "9f01 1a65000000 04 a1 01 02 ff",
    "bytes behind the end": ENTRY + "00",
    "one more pair than the map says": ENTRY + "02 03",
    "a shared value that holds itself": "d81c 81 d81d 00",
    "true for a number": "84f5 1a65000000 04 a1 01 02",
    "a channel above 16 bits": "8401 1a65000000 04 a1 1a00010000 02",
    "an interval of 0": "8501 1a65000000 04 a1 01 02 00",
    "a decimal fraction that would be a huge number": "c4821b7fffffffffffffff01",
    "an array that would not fit the memory": "9b7fffffffffffffff",
    "arrays in arrays in arrays": "81" * 500,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_entries_are_refused_at_once(text: str) -> None:
    body = bytes.fromhex(text)
    start = time.process_time()
    with pytest.raises(DecodeError):
        decode.record(body)
    assert time.process_time() - start < 0.5
    assert outcome(decode.record, body) == outcome(strict_record, body)


def test_the_usual_entry_takes_the_fast_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the comparison with the strict decoder would say nothing."""
    monkeypatch.setattr(decode, "Record", None)
    monkeypatch.setattr(decode, "Batch", None)
    samples = {channel: Sample(40000 - 9 * channel) for channel in range(1, 9)} | {30: Sample(-5, FLAG_SUSPECT)}
    body = Record(1, 1_763_800_000, 4, samples).encode()
    assert decode.record(body)[3] == {channel: found.to_cbor() for channel, found in samples.items()}
    assert decode.batch(Batch(boot=29_000_000, entries=[body] * 5, up_s=7).encode()) == (29_000_000, [body] * 5, 7)
