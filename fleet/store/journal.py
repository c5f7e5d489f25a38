"""The books: events and log lines of nodes, messages that were refused, and the service's own figures."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sqlalchemy import Engine, delete, func, insert, select

from fleet.store import schema
from fleet.store.dialect import reading, writing
from fleet.store.nodes import FEW, key_of, keys_of
from protocol.records import Event

_EVENT = schema.event.c
_LOG = schema.node_log.c
_LETTER = schema.dead_letter.c
_STAT = schema.service_stat.c


@dataclass(frozen=True, slots=True)
class EventView:
    """Something that happened at a node; `protocol.registry` has name and severity of the code."""

    node: str
    boot: int
    seq: int
    t_s: int
    tq: int
    code: int
    phase: int
    attrs: Mapping[int, Any]
    received_ms: int


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a node's log. `key` grows; `dropped` counts lines before it that were not sent."""

    key: int
    node: str
    received_ms: int
    boot: int
    up_ms: int
    level: int
    tag: str
    text: str
    dropped: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message, or one entry of a batch, that was refused; the same one again only counts."""

    key: int
    topic: str
    payload: bytes
    reason: str
    received_ms: int
    last_ms: int
    count: int


class Journal:
    """Queries about events, logs, refused messages and figures."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def events(
        self, nodes: Iterable[str] | None = None, since_s: int = 0, limit: int = 1000, code: int | None = None
    ) -> list[EventView]:
        """The newest events of some nodes or of all, newest first; with `code` those alone."""
        with reading(self._engine) as connection:
            names = keys_of(connection, nodes)
            query = select(schema.event).where(_EVENT.ts >= since_s)
            if code is not None:
                query = query.where(_EVENT.code == code)
            query = query.order_by(_EVENT.ts.desc(), _EVENT.node, _EVENT.boot.desc(), _EVENT.seq.desc())
            if len(names) <= FEW:
                query = query.where(_EVENT.node.in_(names)).limit(limit)
            found = connection.execute(query.execution_options(yield_per=1000))
            rows = list(islice((row for row in found if row.node in names), limit))
        return [
            EventView(
                names[row.node], row.boot, row.seq, row.ts, row.tq, row.code, row.phase,
                Event.decode(row.body).attrs or {}, row.received_ms,
            )
            for row in rows
        ]  # fmt: skip

    def logs(self, node: str, after: int = 0, limit: int = 200) -> list[LogLine]:
        """The newest lines of a node with a key above `after`, oldest first; call again with the last key to follow."""
        with reading(self._engine) as connection:
            key = key_of(connection, node)
            query = select(schema.node_log).where(_LOG.node == key, _LOG.key > after)
            rows = connection.execute(query.order_by(_LOG.key.desc()).limit(limit)).all()
        return [LogLine(**{**row._mapping, "node": node}) for row in reversed(rows)]

    def dead_letters(self, limit: int = 100) -> list[DeadLetter]:
        """What was refused, newest first."""
        columns = [column for column in schema.dead_letter.c if column.name != "digest"]
        with reading(self._engine) as connection:
            query = select(*columns).order_by(_LETTER.last_ms.desc(), _LETTER.key.desc()).limit(limit)
            return [DeadLetter(**row._mapping) for row in connection.execute(query)]

    def refused(self) -> dict[str, int]:
        """{reason: how many messages or entries} over all that is kept."""
        query = select(_LETTER.reason, func.sum(_LETTER.count)).group_by(_LETTER.reason).order_by(_LETTER.reason)
        with reading(self._engine) as connection:
            return {row[0]: int(row[1]) for row in connection.execute(query)}

    def add_figures(self, t_ms: int, figures: Mapping[str, Any]) -> None:
        """Keep the service's figures of one moment."""
        with writing(self._engine) as connection:
            connection.execute(delete(schema.service_stat).where(_STAT.t_ms == t_ms))  # the clock was set back
            connection.execute(insert(schema.service_stat).values(t_ms=t_ms, figures=dict(figures)))

    def newest_figures(self, since_ms: int = 0) -> tuple[int, Mapping[str, Any]] | None:
        """(time in ms, figures) of the service as it wrote them last, unless that was before `since_ms`."""
        with reading(self._engine) as connection:
            query = select(schema.service_stat).where(_STAT.t_ms >= since_ms).order_by(_STAT.t_ms.desc()).limit(1)
            row = connection.execute(query).one_or_none()
        return None if row is None else (row.t_ms, row.figures)

    def figures(self, since_ms: int = 0) -> list[tuple[int, Mapping[str, Any]]]:
        """(time in ms, figures) of the service since then, oldest first; the last one is the present."""
        with reading(self._engine) as connection:
            query = select(schema.service_stat).where(_STAT.t_ms >= since_ms).order_by(_STAT.t_ms)
            return [(row.t_ms, row.figures) for row in connection.execute(query)]
