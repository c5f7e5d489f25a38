"""Everything that nodes told about themselves in a span of their own time: records, heartbeats, starts.

One query each, over many nodes. `ts` counts, not arrival; what has no date yet (tq below TQ_RTC) is left out.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import cbor2
from sqlalchemy import Connection, Engine, Text, select, type_coerce

from fleet.rollout.canary import Beat, Interval, Start, Track
from fleet.store import schema
from fleet.store.dialect import reading
from fleet.store.nodes import keys_of
from protocol import events
from protocol.messages import Boot
from protocol.records import FLAG_PASS, TQ_RTC, Event

_RECORD = schema.record.c
_EVENT = schema.event.c
_LATEST = schema.latest.c
_BOOT = schema.boot.c
_BEAT = schema.heartbeat.c
_MANIFEST, _INTENDED = (next(row[0] for row in Boot.FIELDS if row[1] == name) for name in ("manifest", "intended"))


class Telemetry:
    """Queries for whoever compares nodes with each other."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def newest(self, nodes: Collection[str]) -> dict[str, tuple[int, int]]:
        """{node: (ts, received_ms) of its newest record}, of those that have a dated one. Cheap: one row for each."""
        with reading(self._engine) as connection:
            names = keys_of(connection, nodes)
            query = select(_LATEST.node, _LATEST.ts, _LATEST.received_ms).where(_LATEST.tq >= TQ_RTC)
            rows = connection.execute(query.where(_LATEST.node.in_(names))).all()
        return {names[row.node]: (row.ts, row.received_ms) for row in rows}

    def starts(self, nodes: Collection[str], since_ms: int = 0) -> dict[str, list[Start]]:
        """Boots of which the event arrived since then, by node, in the order of their numbers; also undated ones."""
        with reading(self._engine) as connection:
            names = keys_of(connection, nodes)
            found: dict[str, list[Start]] = {name: [] for name in names.values()}
            query = select(_EVENT.node, _EVENT.ts, _EVENT.boot, _EVENT.body)
            query = query.where(_EVENT.node.in_(names), _EVENT.code == events.BOOT, _EVENT.received_ms >= since_ms)
            for row in connection.execute(query.order_by(_EVENT.node, _EVENT.boot, _EVENT.seq)):
                found[names[row.node]].append(_start(row))
        return found

    def tracks(self, nodes: Collection[str], from_s: int, until_s: int) -> list[Track]:
        """What these nodes told of the time from `from_s` up to `until_s`, by node; also of those that told nothing."""
        with reading(self._engine) as connection:
            names = keys_of(connection, nodes)
            return [
                Track(
                    name,
                    tuple(_intervals(connection, key, from_s, until_s)),
                    tuple(_beats(connection, key, from_s, until_s)),
                    tuple(_starts(connection, key, from_s, until_s)),
                )
                for key, name in sorted(names.items(), key=lambda pair: pair[1])
            ]


def _intervals(connection: Connection, key: int, from_s: int, until_s: int) -> Iterable[Interval]:
    query = select(_RECORD.ts, _RECORD.interval_s, _RECORD.boot, _RECORD.body, _RECORD.received_ms)
    query = query.where(_RECORD.node == key, _RECORD.ts >= from_s, _RECORD.ts < until_s, _RECORD.tq >= TQ_RTC)
    for row in connection.execute(query.order_by(_RECORD.ts, _RECORD.boot, _RECORD.seq)):
        values = {channel: _sample(value) for channel, value in cbor2.loads(row.body)[3].items()}
        yield Interval(row.ts, row.interval_s, row.boot, values, row.received_ms // 1000)


def _sample(value: Any) -> tuple[int | None, int]:
    """(mean, flag) of a sample of SPEC 5.8."""
    return (value[0], value[1]) if isinstance(value, list) else (value, FLAG_PASS)


def _beats(connection: Connection, key: int, from_s: int, until_s: int) -> Iterable[Beat]:
    """Heartbeats of the boots of which it is known when they began."""
    at = (_BOOT.epoch_s + _BEAT.up_s).label("t_s")
    query = select(at, _BEAT.boot, type_coerce(_BEAT.health, Text).label("health"))
    query = query.where(_BEAT.node == key, _BOOT.node == key, _BOOT.boot == _BEAT.boot, _BOOT.tq >= TQ_RTC)
    query = query.where(at >= from_s, at < until_s).order_by(at, _BEAT.boot)
    for row in connection.execute(query):
        health: Mapping[str, Any] = json.loads(row.health)
        yield Beat(
            row.t_s, row.boot, health.get("mqtt_connects") or 0, health.get("heap_free"), health.get("ack_p95_ms")
        )


def _starts(connection: Connection, key: int, from_s: int, until_s: int) -> Iterable[Start]:
    query = select(_EVENT.ts, _EVENT.boot, _EVENT.body)
    query = query.where(_EVENT.node == key, _EVENT.code == events.BOOT, _EVENT.tq >= TQ_RTC)
    query = query.where(_EVENT.ts >= from_s, _EVENT.ts < until_s)
    return [_start(row) for row in connection.execute(query.order_by(_EVENT.ts, _EVENT.boot))]


def _start(row: Any) -> Start:
    """From its date, its boot and the body of its event."""
    attributes = Event.decode(row.body).attrs or {}
    manifest = attributes.get(_MANIFEST)
    intended = bool(attributes.get(_INTENDED))
    return Start(row.ts, row.boot, intended, manifest if isinstance(manifest, bytes) else b"")
