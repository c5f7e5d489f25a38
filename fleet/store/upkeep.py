"""Housekeeping: hourly statistics, and giving up what is old. Short transactions, so that the writer never waits long.

Statistics count the means of dated records whose flag is *pass* or *suspect*; every record weighs the same.
An hour is due when a record in it was stored or dated, and is then computed anew from all its records. Retention
removes whole hours that are not due. A record that arrives later than that is added to the statistics of its hour
and not kept, so nothing is counted twice and nothing is lost.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import cbor2
from sqlalchemy import Connection, Engine, Row, and_, delete, func, insert, select, update

from fleet.store import dialect, schema
from fleet.store.dialect import reading, writing
from protocol.records import FLAG_PASS, FLAG_SUSPECT, TQ_UPTIME

_RECORD = schema.record.c
_ROLLUP = schema.rollup_1h.c
_DUE = schema.rollup_due.c
_BOOT = schema.boot.c
_DATED = _RECORD.tq != TQ_UPTIME
_EVENT = schema.event.c
_NODE = schema.node.c
_LETTER = schema.dead_letter.c
_LOG = schema.node_log.c
_DAY_S = 86400
LETTERS = 100_000  # refused messages that are kept, of the whole fleet
LINES = 10_000  # log lines that are kept, of one node
HOURS_AT_ONCE = 50  # (node, hour) pairs of one transaction, about 3 000 records: some 20 ms
_COUNTED = (FLAG_PASS, FLAG_SUSPECT)

Statistics = dict[int, tuple[int, int, int, int]]  # channel: n, low, high, total


@dataclass(frozen=True, slots=True)
class Limits:
    """What is older is given up, in days."""

    raw_days: int = 30
    rollup_days: int = 3650
    event_days: int = 3650
    log_days: int = 30


class Upkeep:
    """The jobs. Each does a bounded piece and says whether there is more."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def roll_up(self, until_s: int) -> bool:
        """Compute some hours that are due and ended by `until_s`; True when more are left."""
        with writing(self._engine) as connection:
            query = select(_DUE.hour, _DUE.node, _NODE.kept_hour).join(schema.node, _NODE.key == _DUE.node)
            query = query.where(_DUE.hour < until_s // 3600).order_by(_DUE.hour, _DUE.node).limit(HOURS_AT_ONCE)
            found = connection.execute(query).all()
            for hour, node, kept_hour in found:
                if hour < kept_hour:
                    _add_late(connection, node, hour)
                else:
                    _replace(connection, node, hour, _statistics(connection, node, hour))
                connection.execute(delete(schema.rollup_due).where(_DUE.hour == hour, _DUE.node == node))
        return len(found) == HOURS_AT_ONCE

    def prune(self, now_s: int, limits: Limits) -> bool:
        """Give up some hours of records that are older than `limits` and not due; True when more are left."""
        horizon = now_s // 3600 - 24 * limits.raw_days
        oldest = select(_RECORD.ts).where(_RECORD.node == _NODE.key, _DATED).order_by(_RECORD.ts).limit(1)
        candidates = select(_NODE.key, oldest.scalar_subquery().label("ts")).subquery().c
        with reading(self._engine) as connection:
            query = select(candidates.key, candidates.ts).where(candidates.ts < horizon * 3600).limit(HOURS_AT_ONCE)
            found = connection.execute(query).all()
        with writing(self._engine) as connection:
            done = [_prune_hour(connection, node, ts // 3600) for node, ts in found]
        return any(done)

    def trim(self, now_s: int, limits: Limits) -> None:
        """Give up old events, health, logs, finished commands, refused messages and figures."""
        events_s = now_s - limits.event_days * _DAY_S
        logs_s = now_s - limits.log_days * _DAY_S
        table = schema
        with writing(self._engine) as connection:
            for what, over in (
                (table.heartbeat, table.heartbeat.c.received_ms < logs_s * 1000),
                (table.node_log, table.node_log.c.received_ms < logs_s * 1000),
                (table.command, and_(table.command.c.issued_s < logs_s, table.command.c.status > 2)),
                (table.dead_letter, table.dead_letter.c.last_ms < logs_s * 1000),
                (table.service_stat, table.service_stat.c.t_ms < (now_s - _DAY_S) * 1000),
            ):
                connection.execute(delete(what).where(over))
            _prune_events(connection, events_s)

    def bound_letters(self) -> int:
        """Give up the oldest refused messages beyond LETTERS, of which a node gone mad can send no end; how many."""
        with writing(self._engine) as connection:
            newest = connection.scalar(select(func.max(_LETTER.key))) or 0
            return connection.execute(delete(schema.dead_letter).where(_LETTER.key <= newest - LETTERS)).rowcount

    def bound_logs(self) -> int:
        """Give up the oldest log lines beyond LINES of every node; how many."""
        counts = select(_LOG.node).group_by(_LOG.node).having(func.count() > LINES)
        with reading(self._engine) as connection:
            nodes = connection.scalars(counts).all()
        given_up = 0
        for node in nodes:
            keep = select(_LOG.key).where(_LOG.node == node).order_by(_LOG.key.desc()).offset(LINES).limit(1)
            with writing(self._engine) as connection:
                over = and_(_LOG.node == node, _LOG.key <= keep.scalar_subquery())
                given_up += connection.execute(delete(schema.node_log).where(over)).rowcount
        return given_up

    def trim_hourly(self, now_s: int, limits: Limits) -> None:
        """Give up old hourly statistics, one node at a time; once a day is enough."""
        horizon = now_s // 3600 - 24 * limits.rollup_days
        with reading(self._engine) as connection:
            nodes = connection.scalars(select(_NODE.key)).all()
        for node in nodes:
            with writing(self._engine) as connection:
                connection.execute(delete(schema.rollup_1h).where(_ROLLUP.node == node, _ROLLUP.hour < horizon))

    def optimize(self) -> None:
        """Refresh the database's own statistics; once a day is enough."""
        dialect.optimize(self._engine)

    def due(self) -> int:
        """Hours whose statistics are behind."""
        with reading(self._engine) as connection:
            return connection.scalar(select(func.count()).select_from(schema.rollup_due)) or 0


def _statistics(connection: Connection, node: int, hour: int) -> Statistics:
    """Of the records of one hour of one node that are here."""
    within = and_(_RECORD.node == node, _RECORD.ts >= hour * 3600, _RECORD.ts < (hour + 1) * 3600, _RECORD.tq > 0)
    means: dict[int, list[int]] = defaultdict(list)
    for body in connection.scalars(select(_RECORD.body).where(within)):
        for channel, sample in cbor2.loads(body)[3].items():
            mean, flag = sample[:2] if isinstance(sample, list) else (sample, FLAG_PASS)
            if mean is not None and flag in _COUNTED:
                means[channel].append(mean)
    return {channel: (len(found), min(found), max(found), sum(found)) for channel, found in means.items()}


def _replace(connection: Connection, node: int, hour: int, statistics: Statistics) -> None:
    connection.execute(delete(schema.rollup_1h).where(_ROLLUP.node == node, _ROLLUP.hour == hour))
    rows = [
        {"node": node, "channel": channel, "hour": hour, "n": n, "low": low, "high": high, "total": total}
        for channel, (n, low, high, total) in statistics.items()
    ]
    if rows:
        connection.execute(insert(schema.rollup_1h), rows)


def _add_late(connection: Connection, node: int, hour: int) -> None:
    """Fold records that came after their hour was given up into its statistics, and give them up too."""
    merged = _statistics(connection, node, hour)
    for row in connection.execute(select(schema.rollup_1h).where(_ROLLUP.node == node, _ROLLUP.hour == hour)):
        n, low, high, total = merged.get(row.channel, (0, row.low, row.high, 0))
        merged[row.channel] = (n + row.n, min(low, row.low), max(high, row.high), total + row.total)
    _replace(connection, node, hour, merged)
    _give_up(connection, node, hour)


def _prune_hour(connection: Connection, node: int, hour: int) -> bool:
    """Give up the records of one hour, unless it became due again."""
    due = select(_DUE.hour).where(_DUE.node == node, _DUE.hour == hour)
    if connection.scalar(due) is not None:
        return False
    _give_up(connection, node, hour)
    connection.execute(update(schema.node).where(_NODE.key == node, _NODE.kept_hour <= hour).values(kept_hour=hour + 1))
    return True


def _give_up(connection: Connection, node: int, hour: int) -> None:
    """Remove the records of one hour that have a date or never will."""
    within = and_(_RECORD.node == node, _RECORD.ts >= hour * 3600, _RECORD.ts < (hour + 1) * 3600, _DATED)
    counts = select(_RECORD.node, _RECORD.boot, func.count(), func.max(_RECORD.seq)).where(within)
    _count_pruned(connection, connection.execute(counts.group_by(_RECORD.node, _RECORD.boot)).all())
    connection.execute(delete(schema.record).where(within))


def _prune_events(connection: Connection, before_s: int) -> None:
    within = and_(_EVENT.ts < before_s, _EVENT.tq != TQ_UPTIME)
    counts = select(_EVENT.node, _EVENT.boot, func.count(), func.max(_EVENT.seq)).where(within)
    _count_pruned(connection, connection.execute(counts.group_by(_EVENT.node, _EVENT.boot)).all())
    connection.execute(delete(schema.event).where(within))


def _count_pruned(connection: Connection, gone: Iterable[Row[int, int, int, int]]) -> None:
    """Keep how many entries of each (node, boot) were removed, so that they do not count as missing."""
    for node, boot, n, seq in gone:
        at = and_(_BOOT.node == node, _BOOT.boot == boot)
        before = connection.execute(select(_BOOT.pruned, _BOOT.pruned_seq).where(at)).one_or_none()
        if before is None:
            connection.execute(insert(schema.boot).values(node=node, boot=boot, tq=0, pruned=n, pruned_seq=seq))
        else:
            change = {"pruned": before.pruned + n, "pruned_seq": max(before.pruned_seq, seq)}
            connection.execute(update(schema.boot).where(at).values(**change))
