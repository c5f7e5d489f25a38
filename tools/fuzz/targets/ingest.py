"""The manager's fast decoder (cbor2 and a proof) must say exactly what the strict one says."""

from collections.abc import Callable

from fleet.ingest import decode
from protocol.errors import DecodeError
from protocol.messages import Batch
from protocol.records import Record, Sample
from tools.fuzz import inputs
from tools.fuzz.rng import Random
from tools.fuzz.targets import cbor as strict

INTERPRETERS = ("cpython",)
BOUND = (3 << 16, strict.BOUND[1])  # cbor2 reads strings in pieces of 64 KiB, however few bytes there are
seeds = strict.seeds


def generate(random: Random, seeds: list[bytes]) -> bytes:
    """Records and batches of them, mostly right, and what else fuzzes the strict decoder."""
    how = random.below(8)
    if how == 0:
        return strict.generate(random, seeds)
    if how < 5:
        return strict.record(random)
    batch = Batch(boot=random.bits(), entries=[strict.record(random) for _ in range(1 + random.below(3))])
    batch.up_s = None if random.below(2) else random.bits()
    data = batch.encode()
    return data if how < 7 else inputs.damaged(random, [data])


def parse(data: bytes) -> None:
    """Decode as a batch and as a record, and swallow the one declared error."""
    for read in (decode.batch, decode.record):
        try:
            read(data)
        except DecodeError:
            continue


def verdict(data: bytes) -> bytes:
    """Both readings of an input, after comparison with the strict decoder."""
    batch, record = _judge_batch(data), _judge_record(data)
    word = "refused" if isinstance(batch, str) and isinstance(record, str) else "ok"
    return f"{word} {batch} {record}".encode()


def _judge_batch(data: bytes) -> object:
    wanted, found = _told(_strict_batch, data), _told(decode.batch, data)
    assert found == wanted, f"batch: {found!r}, strictly {wanted!r}"
    return [found, *map(_judge_record, found[1])] if isinstance(found, tuple) else found


def _judge_record(data: bytes) -> object:
    wanted, found = _told(_strict_record, data), _told(decode.record, data)
    if isinstance(found, tuple):  # a flag *pass* that was spelt out means the same
        seq, t, tq, raw, interval = found
        samples = {
            channel: Sample(*value) if isinstance(value, list) else Sample(value) for channel, value in raw.items()
        }
        found = (seq, t, tq, samples, interval)
    assert found == wanted, f"record: {found!r}, strictly {wanted!r}"
    return found


def _strict_record(data: bytes) -> object:
    record = Record.decode(data)
    return record.seq, record.t, record.tq, record.samples, record.interval


def _strict_batch(data: bytes) -> object:
    batch = Batch.decode(data)
    return batch.boot, batch.entries, batch.up_s


def _told(read: Callable[[bytes], object], data: bytes) -> object:
    """What `read` returns, or the text of its refusal."""
    try:
        return read(data)
    except DecodeError as error:
        return str(error)
