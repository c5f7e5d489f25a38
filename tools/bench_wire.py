"""Bytes on the wire for one day of an air node, in our format and in the usual ones: `python -m tools.bench_wire`.

Prints one JSON line: bytes per one-minute record of nine quantities, at several batch sizes, as payload only and as the
whole MQTT 3.1.1 PUBLISH (QoS 1) with its topic; the share of a record in its batch is included in both. TCP and TLS are
not: they cost every format the same. All formats carry the same numbers; SenML has no room for (boot, seq) and goes
without. The day is seeded, so the numbers are the same everywhere.
"""

import json
import math
import random
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import cbor2
import msgpack  # type: ignore[import-untyped]

from protocol import topics
from protocol.messages import Batch
from protocol.records import TQ_NTP_HOUR, Record, Sample
from protocol.registry import Channel, channel_named
from protocol.settings import row_of

SEED = 1
MINUTES = 1440
BOUND = 60  # bytes of a record of nine quantities at the default batch size
BATCHES = (1, 5, 10, 60)
NODE = "air-stuttgart-01"
BOOT = 29_762_641
FIRST_SEQ = 100_000  # ten weeks after the boot: seq has grown to its full width
MIDNIGHT = 1_785_715_200  # 2026-08-03 00:00:00 UTC
_SENML = {"bn": -2, "bt": -3, "n": 0, "u": 1, "v": 2}  # labels of RFC 8428, section 6

# name, mean, amplitude over the day, hour of the peak, noise; in the unit of the channel
DAY = (
    ("pm1", 6.0, 2.5, 8, 0.6),
    ("pm25", 9.0, 4.0, 8, 0.9),
    ("pm10", 16.0, 7.0, 9, 2.0),
    ("t_amb", 19.0, 6.5, 15, 0.1),
    ("rh_amb", 58.0, 18.0, 5, 0.6),
    ("voc_idx", 105.0, 30.0, 18, 6.0),
    ("nox_idx", 3.0, 2.0, 8, 0.4),
    ("co2", 445.0, 30.0, 6, 5.0),
    ("p", 97_600.0, 120.0, 10, 4.0),
)

Minute = dict[Channel, int]
Encoder = Callable[[int, list[Minute]], bytes]  # (minute of the day at which a batch starts, its minutes) -> payload


def day(seed: int = SEED) -> list[Minute]:
    """The raw values of every minute of the day."""
    chance = random.Random(seed)
    minutes = []
    for minute in range(MINUTES):
        row = {}
        for name, mean, amplitude, peak, noise in DAY:
            channel = channel_named(name)
            assert channel is not None
            value = mean + amplitude * math.cos((minute / 60 - peak) * math.pi / 12) + noise * (2 * chance.random() - 1)
            row[channel] = min(max(round(value * channel.per), channel.low), channel.high)
        minutes.append(row)
    return minutes


def lumenair(start: int, minutes: list[Minute]) -> bytes:
    """This contract: a Batch of records."""
    records = [
        Record(
            FIRST_SEQ + start + at,
            time_of(start + at),
            TQ_NTP_HOUR,
            {channel.id: Sample(raw) for channel, raw in row.items()},
        )
        for at, row in enumerate(minutes)
    ]
    return Batch(boot=BOOT, entries=[record.encode() for record in records]).encode()


def time_of(minute: int) -> int:
    """Seconds since 1970 of a minute of the day."""
    return MIDNIGHT + 60 * minute


def senml(start: int, minutes: list[Minute], number: Callable[[Channel, int], Any]) -> list[dict[str, Any]]:
    """A SenML pack: base name once, base time once a minute."""
    pack: list[dict[str, Any]] = []
    for at, row in enumerate(minutes):
        for place, (channel, raw) in enumerate(row.items()):
            entry: dict[str, Any] = {} if place else {"bt": time_of(start + at)}
            if not pack:
                entry["bn"] = f"{NODE}/"
            pack.append(entry | {"n": channel.name, "u": channel.senml, "v": number(channel, raw)})
    return pack


def exact(channel: Channel, raw: int) -> Decimal | int:
    """The value in its unit, without a float."""
    return Decimal(raw).scaleb(1 - len(str(channel.per))) if channel.per > 1 else raw


def senml_cbor(start: int, minutes: list[Minute]) -> bytes:
    """RFC 8428 in CBOR: integer labels, decimal fractions, which are shorter than floats."""
    pack = senml(start, minutes, exact)
    return cbor2.dumps([{_SENML[label]: value for label, value in entry.items()} for entry in pack])


def senml_json(start: int, minutes: list[Minute]) -> bytes:
    """RFC 8428 in JSON."""
    return compact(senml(start, minutes, lambda channel, raw: raw / channel.per))


def plain(start: int, minutes: list[Minute], number: Callable[[Channel, int], Any]) -> dict[str, Any]:
    """What one writes without thinking: maps with names."""
    records = [
        {"seq": FIRST_SEQ + start + at, "t": time_of(start + at), "tq": TQ_NTP_HOUR}
        | {channel.name: number(channel, raw) for channel, raw in row.items()}
        for at, row in enumerate(minutes)
    ]
    return {"boot": BOOT, "records": records}


def scaled(channel: Channel, raw: int) -> int:
    """The integer as it is: the shortest form for CBOR and MessagePack."""
    return raw


def compact(value: Any) -> bytes:
    """JSON without blanks."""
    return json.dumps(value, separators=(",", ":")).encode()


FORMATS: dict[str, Encoder] = {
    "lumenair": lumenair,
    "senml_cbor": senml_cbor,
    "senml_json": senml_json,
    "cbor_text_keys": lambda start, minutes: cbor2.dumps(plain(start, minutes, scaled)),
    "json": lambda start, minutes: compact(plain(start, minutes, lambda channel, raw: raw / channel.per)),
    "messagepack": lambda start, minutes: bytes(msgpack.packb(plain(start, minutes, scaled))),
}


def publish_size(node: str, payload: int) -> int:
    """Bytes of an MQTT 3.1.1 PUBLISH with QoS 1 on the telemetry topic of `node`."""
    remaining = 2 + len(topics.up(node, "tele")) + 2 + payload
    return 1 + len(_variable(remaining)) + remaining


def _variable(length: int) -> list[int]:
    """The digits of a remaining length, MQTT 3.1.1 section 2.2.3."""
    return [length % 128, *_variable(length // 128)] if length > 127 else [length]


def sizes(encode: Encoder, minutes: list[Minute], batch: int, node: str = NODE) -> dict[str, float]:
    """Bytes per record at a batch size."""
    payloads = [len(encode(start, minutes[start : start + batch])) for start in range(0, len(minutes), batch)]
    packets = [publish_size(node, payload) for payload in payloads]
    return {"payload": round(sum(payloads) / len(minutes), 1), "mqtt": round(sum(packets) / len(minutes), 1)}


def default_batch() -> int:
    """The batch size that a node has without a configuration."""
    row = row_of("batch")
    assert row is not None
    return int(row[5])


def report(batches: Sequence[int] = BATCHES) -> dict[str, Any]:
    """The whole comparison."""
    minutes = day()
    batch = default_batch()
    return {
        "bench": "wire",
        "unit": "bytes per record",
        "records": len(minutes),
        "quantities": len(DAY),
        "seed": SEED,
        "bytes": {name: {n: sizes(encode, minutes, n) for n in batches} for name, encode in FORMATS.items()},
        "default_batch": batch,
        "at_default": sizes(lumenair, minutes, batch)["mqtt"],
        "at_default_longest_node_id": sizes(lumenair, minutes, batch, "n" * 32)["mqtt"],
        "bound": BOUND,
    }


if __name__ == "__main__":
    print(json.dumps(report()))
