"""The size of a record on the wire is a promise, not a measurement: it is the same everywhere."""

import json

import cbor2
import msgpack  # type: ignore[import-untyped]
import pytest

from protocol.messages import Batch
from protocol.records import Record
from tools import bench_wire

MINUTES = bench_wire.day()


def test_a_minute_of_nine_quantities_stays_within_the_bound() -> None:
    assert len(bench_wire.DAY) == 9
    assert bench_wire.sizes(bench_wire.lumenair, MINUTES, bench_wire.default_batch())["mqtt"] <= bench_wire.BOUND


def test_every_other_format_is_larger_at_every_batch_size() -> None:
    sizes = bench_wire.report()["bytes"]
    ours = sizes.pop("lumenair")
    for name, rows in sizes.items():
        for batch, row in rows.items():
            assert row["payload"] > ours[batch]["payload"], (name, batch)
            assert row["mqtt"] > ours[batch]["mqtt"], (name, batch)


def test_the_formats_carry_the_same_numbers() -> None:
    minutes = MINUTES[600:605]
    batch = Batch.decode(bench_wire.lumenair(600, minutes))
    ours = [[sample.mean for sample in Record.decode(entry).samples.values()] for entry in batch.entries]
    assert [sorted(row) for row in ours] == [sorted(row.values()) for row in minutes]
    per = [channel.per for row in minutes for channel in row]
    raw = [value for row in minutes for value in row.values()]
    for name, read in {"senml_json": json.loads, "senml_cbor": cbor2.loads}.items():
        pack = read(bench_wire.FORMATS[name](600, minutes))
        assert [round(entry["v" if "json" in name else 2] * n) for entry, n in zip(pack, per, strict=True)] == raw, name
    for name, read in {"cbor_text_keys": cbor2.loads, "messagepack": msgpack.unpackb}.items():
        records = read(bench_wire.FORMATS[name](600, minutes))["records"]
        assert [list(record.values())[3:] for record in records] == [list(row.values()) for row in minutes], name


@pytest.mark.parametrize(("payload", "size"), [(0, 36), (93, 129), (94, 131), (16_000, 16_037), (16_350, 16_388)])
def test_the_size_of_a_publish(payload: int, size: int) -> None:
    assert bench_wire.publish_size("air-stuttgart-01", payload) == size
