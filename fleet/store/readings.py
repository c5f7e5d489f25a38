"""Records: the newest of each node, ranges of time, hourly statistics, and whether any is missing."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import cbor2
from sqlalchemy import Engine, Row, func, select, union_all

from fleet.model import Reading
from fleet.store import schema
from fleet.store.dialect import reading
from fleet.store.nodes import FEW, keys_of
from protocol.records import FLAG_PASS

_RECORD = schema.record.c
_EVENT = schema.event.c
_LATEST = schema.latest.c
_ROLLUP = schema.rollup_1h.c
_BOOT = schema.boot.c


@dataclass(frozen=True, slots=True)
class Hour:
    """Statistics of one channel over one hour: of the means of the records that begin in it and passed (upkeep.py)."""

    node: str
    channel: int
    t_s: int  # start of the hour
    n: int
    low: int
    high: int
    total: int  # total / n is the mean


@dataclass(frozen=True, slots=True)
class Account:
    """How complete one boot of one node is. Records and events share one run of seq, which begins at 0."""

    node: str
    boot: int
    stored: int  # records and events here
    pruned: int  # records that retention removed
    last_seq: int

    @property
    def missing(self) -> int:
        """Entries below the newest that never arrived: still on the node, on their way, or lost."""
        return self.last_seq + 1 - self.stored - self.pruned


class Readings:
    """Queries about measured values."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def latest(self, nodes: Iterable[str] | None = None) -> list[Reading]:
        """The newest record of some nodes or of all, one reading per channel, by node and channel."""
        with reading(self._engine) as connection:
            names = keys_of(connection, nodes)
            query = select(schema.latest)
            if len(names) <= FEW:
                query = query.where(_LATEST.node.in_(names))
            rows = connection.execute(query).all()
        found = [(names[row.node], row) for row in rows if row.node in names]
        return [
            made for node, row in sorted(found, key=_first) for made in _readings(node, row, row._mapping["values"])
        ]

    def range(
        self,
        nodes: Iterable[str] | None,
        from_s: int,
        to_s: int,
        channels: Collection[int] | None = None,
        dated: bool = False,
    ) -> Iterator[Reading]:
        """Readings whose interval begins in [from_s, to_s), by node and time; `dated` leaves out those with tq 0.

        Rows are read while the caller iterates, so a year of a large fleet needs no memory.
        """
        with reading(self._engine) as connection:
            names = keys_of(connection, nodes)
            for key, name in sorted(names.items(), key=lambda pair: pair[1]):
                query = select(schema.record).where(_RECORD.node == key, _RECORD.ts >= from_s, _RECORD.ts < to_s)
                query = query.where(_RECORD.tq > 0) if dated else query
                query = query.order_by(_RECORD.ts, _RECORD.boot, _RECORD.seq)
                for row in connection.execute(query.execution_options(yield_per=1000)):
                    yield from _readings(name, row, cbor2.loads(row.body)[3], channels)

    def hourly(
        self, nodes: Iterable[str] | None, from_s: int, to_s: int, channels: Collection[int] | None = None
    ) -> Iterator[Hour]:
        """Hourly statistics of the hours that begin in [from_s, to_s), by node, channel and time."""
        with reading(self._engine) as connection:
            names = keys_of(connection, nodes)
            for key, name in sorted(names.items(), key=lambda pair: pair[1]):
                query = select(schema.rollup_1h).where(_ROLLUP.node == key)
                query = query.where(_ROLLUP.hour >= -(-from_s // 3600), _ROLLUP.hour < -(-to_s // 3600))
                if channels is not None:
                    query = query.where(_ROLLUP.channel.in_(channels))
                for row in connection.execute(query.order_by(_ROLLUP.channel, _ROLLUP.hour)):
                    yield Hour(name, row.channel, row.hour * 3600, row.n, row.low, row.high, row.total)

    def count(self) -> int:
        """Records here."""
        with reading(self._engine) as connection:
            return connection.scalar(select(func.count()).select_from(schema.record)) or 0

    def accounts(self, nodes: Iterable[str] | None = None) -> list[Account]:
        """How complete every boot of some nodes or of all is, by node and boot."""
        records, events = (select(of.node, of.boot, of.seq) for of in (_RECORD, _EVENT))
        pruned = select(schema.boot).where(_BOOT.pruned > 0)
        with reading(self._engine) as connection:
            names = keys_of(connection, nodes)
            if len(names) <= FEW:
                records, events = records.where(_RECORD.node.in_(names)), events.where(_EVENT.node.in_(names))
                pruned = pruned.where(_BOOT.node.in_(names))
            of = union_all(records, events).subquery("entries").c
            counts = select(of.node, of.boot, func.count().label("stored"), func.max(of.seq).label("last_seq"))
            gone = {(row.node, row.boot): row for row in connection.execute(pruned)}
            rows = connection.execute(counts.group_by(of.node, of.boot)).all()
        kept = {(row.node, row.boot): row for row in rows}
        made = [
            _account(names[at[0]], at[1], kept.get(at), gone.get(at))
            for at in kept.keys() | gone.keys()
            if at[0] in names
        ]
        return sorted(made, key=lambda account: (account.node, account.boot))


def _account(node: str, boot: int, kept: Row[Any] | None, gone: Row[Any] | None) -> Account:
    last = max(kept.last_seq if kept else -1, gone.pruned_seq if gone else -1)
    return Account(node, boot, kept.stored if kept else 0, gone.pruned if gone else 0, last)


def _readings(
    node: str, row: Row[Any], values: Mapping[Any, Any], channels: Collection[int] | None = None
) -> Iterator[Reading]:
    """The samples of SPEC 5.8 in `values` as readings; keys are integers, or their text in JSON."""
    for key, value in values.items():
        channel = int(key)
        if channels is None or channel in channels:
            sample = value if isinstance(value, list) else [value, FLAG_PASS]
            yield Reading(node, row.boot, row.seq, row.ts, row.tq, row.interval_s, channel, *sample)


def _first(pair: tuple[str, Any]) -> str:
    return pair[0]
