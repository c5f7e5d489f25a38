"""The writer of what the broker delivers: one transaction per batch of messages, on the driver itself.

SQLAlchemy costs twice the time per row here, so this file speaks SQL through the driver's executemany. The rows are
plain tuples in the order of the columns named beside them. What comes twice is stored once: see identity.py.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Engine

from fleet.errors import FleetError, UnreachableError
from fleet.store import dialect
from fleet.store.dating import anchor, date, refresh_latest
from fleet.store.identity import Verdict, verdict
from fleet.store.quota import Letter, LogRow, Quotas
from protocol import topics
from protocol.records import TQ_RTC

Row = TypeVar("Row", bound=tuple[Any, ...])

RecordRow = tuple[int, int, int, int, int, int, bytes, int]  # node, ts, boot, seq, tq, interval_s, body, received_ms
# node, boot, seq, ts, tq, code, phase, body, received_ms
EventRow = tuple[int, int, int, int, int, int, int, bytes, int]
LatestRow = tuple[int, int, int, int, int, int, dict[int, Any], int]  # as a record, with its samples for the body
StateRow = tuple[int, bool, int, int, str, str, int, int, int, str, bool, str, bytes]  # the columns of node_state
HealthRow = tuple[int, int, int, int, str]  # the columns of heartbeat
Anchor = tuple[int, int, int, int]  # node, boot, UTC in seconds at its begin, time quality of that
ReplyRow = tuple[int, int, str, bytes, int, str, int]  # status, code, text, result, replied_ms, id, node
# node, received_ms, boot, t_s, counter, stage, done, total, code, text, release, manifest, root, floor, spare, seen
UpdateRow = tuple[int, int, int, int, int, int, int, int, int, str, bytes, bytes, int, int, bytes, int]
ProvedRow = tuple[int, bytes, bytes, str, int, bytes, int]  # received_ms, nonce, manifest, slot, boot, base, node

_INSERT = {
    "record": "INSERT INTO record VALUES (?,?,?,?,?,?,?,?) ON CONFLICT DO NOTHING",
    "event": "INSERT INTO event VALUES (?,?,?,?,?,?,?,?,?) ON CONFLICT DO NOTHING",
}
_DUE = "INSERT INTO rollup_due (hour, node) VALUES (?,?) ON CONFLICT DO NOTHING"
_LATEST = """INSERT INTO latest VALUES (?,?,?,?,?,?,?,?) ON CONFLICT (node) DO UPDATE SET
    ts = excluded.ts, boot = excluded.boot, seq = excluded.seq, tq = excluded.tq, interval_s = excluded.interval_s,
    "values" = excluded."values", received_ms = excluded.received_ms WHERE excluded.ts >= latest.ts"""
_SEEN = "UPDATE node SET last_seen_ms = ? WHERE key = ? AND (last_seen_ms IS NULL OR last_seen_ms < ?)"
_LOG = "INSERT INTO node_log (node, received_ms, boot, up_ms, level, tag, text, dropped) VALUES (?,?,?,?,?,?,?,?)"
_HEARTBEAT = "INSERT INTO heartbeat VALUES (?,?,?,?,?) ON CONFLICT DO NOTHING"
# What is left of an earlier boot may come late. A boot that is not heard of again for 15 min was no boot: it gives way.
_STATE = """INSERT INTO node_state VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (node) DO UPDATE SET
    online = excluded.online, received_ms = excluded.received_ms, boot = excluded.boot, firmware = excluded.firmware,
    slot = excluded.slot, config_desired = excluded.config_desired, config_applied = excluded.config_applied,
    config_error = excluded.config_error, config_path = excluded.config_path, safe_mode = excluded.safe_mode,
    health = excluded.health, manifest = excluded.manifest
    WHERE excluded.boot >= node_state.boot OR excluded.received_ms >= node_state.received_ms + 900000"""
# The will is news about nothing but `online` (SPEC 6.4).
_OFFLINE = """INSERT INTO node_state VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (node) DO UPDATE SET
    online = excluded.online, received_ms = excluded.received_ms"""
# A reply may come twice and late; only the service closes a command without one, and then the node knows better.
_REPLY = """UPDATE command SET status = ?1, code = ?2, text = ?3, result = ?4, replied_ms = ?5
    WHERE id = ?6 AND node = ?7 AND ((status <= 2 AND status < ?1) OR (status = 5 AND replied_ms IS NULL))"""
# A Status may come twice, and after a later one: the later boot counts, within it the later time of the node (unknown
# is earlier than known), then counter, stage and bytes. What is not heard of again for 15 min gives way, as above.
# A refusal (stage 7) changes nothing on the node, and does not say all: floor and other slot are what they were.
_UPDATE = """INSERT INTO node_update (node, received_ms, boot, t_s, counter, stage, done, total, code, text, "release",
    manifest, root, floor, spare, seen) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (node) DO UPDATE SET
    received_ms = excluded.received_ms, boot = excluded.boot, t_s = excluded.t_s, counter = excluded.counter,
    stage = excluded.stage, done = excluded.done, total = excluded.total, code = excluded.code, text = excluded.text,
    "release" = excluded."release", manifest = excluded.manifest, root = excluded.root,
    floor = CASE WHEN excluded.stage = 7 THEN node_update.floor ELSE excluded.floor END,
    spare = CASE WHEN excluded.stage = 7 THEN node_update.spare ELSE excluded.spare END,
    seen = CASE WHEN excluded.seen > node_update.seen THEN excluded.seen ELSE node_update.seen END
    WHERE (excluded.boot, excluded.t_s, excluded.counter, excluded.stage, excluded.done)
        >= (node_update.boot, node_update.t_s, node_update.counter, node_update.stage, node_update.done)
    OR excluded.received_ms >= node_update.received_ms + 900000"""
# A proof counts when it answers the newest order to its node, so one that was kept from earlier proves nothing.
_PROVED = """UPDATE node_update SET proved_ms = ?1, proved_nonce = ?2, proved_manifest = ?3, proved_slot = ?4,
    proved_boot = ?5, proved_base = ?6
    WHERE node = ?7 AND (proved_nonce IS NULL OR proved_nonce <> ?2 OR proved_boot < ?5)
    AND EXISTS (SELECT 1 FROM campaign WHERE campaign.node = ?7 AND campaign.nonce = ?2)"""
_LETTER = """INSERT INTO dead_letter (digest, topic, payload, reason, received_ms, last_ms, count)
    VALUES (?,?,?,?,?,?,1)
    ON CONFLICT (digest) DO UPDATE SET count = dead_letter.count + 1, last_ms = excluded.last_ms"""

_TOPIC = {"record": "tele", "event": "event"}
_KEPT = {
    "record": "SELECT ts, body FROM record WHERE node = ? AND boot = ? AND seq = ?",
    "event": "SELECT ts, body FROM event WHERE node = ? AND boot = ? AND seq = ?",
}
_REDATE = {
    "record": "UPDATE record SET ts = ?, tq = ?, body = ? WHERE node = ? AND boot = ? AND seq = ?",
    "event": "UPDATE event SET ts = ?, tq = ?, body = ? WHERE node = ? AND boot = ? AND seq = ?",
}


class RowError(FleetError):
    """The database works and refuses one of these rows: trying the same again cannot help."""

    code = "row"


@dataclass(slots=True)
class Rows:
    """Everything that one batch of messages brings in."""

    records: list[RecordRow] = field(default_factory=list)
    events: list[EventRow] = field(default_factory=list)
    latest: dict[int, LatestRow] = field(default_factory=dict)  # by node
    states: list[StateRow] = field(default_factory=list)
    health: list[HealthRow] = field(default_factory=list)
    anchors: list[Anchor] = field(default_factory=list)
    logs: list[LogRow] = field(default_factory=list)
    replies: list[ReplyRow] = field(default_factory=list)
    updates: list[UpdateRow] = field(default_factory=list)
    proved: list[ProvedRow] = field(default_factory=list)  # proofs that hold
    letters: list[Letter] = field(default_factory=list)
    seen: dict[int, int] = field(default_factory=dict)  # node: received_ms


@dataclass(slots=True)
class Tally:
    """What became of the records and events of one batch."""

    stored: int = 0
    duplicates: int = 0
    dated: int = 0  # replaced by the same entry with its time
    conflicts: int = 0
    refused: int = 0  # letters, conflicts included


class Intake:
    """One connection that writes; for one thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._link: dialect.Hot | None = None
        self._quotas = Quotas()

    def write(self, rows: Rows) -> Tally:
        """Commit all of it or nothing. RowError: one row is at fault. UnreachableError: the database is; try later."""
        try:
            if self._link is None:
                self._link = dialect.Hot(self._engine)
            with self._link.transaction():
                return self._write(self._link, rows)
        except dialect.ROW_ERRORS as error:
            raise RowError("the database refuses a row", cause=str(error)) from error
        except dialect.DATABASE_ERRORS as error:
            self.close()
            raise UnreachableError("cannot write to the database", cause=str(error)) from error

    def close(self) -> None:
        """Give the connection back; the next write opens another."""
        if self._link is not None:
            link, self._link = self._link, None
            link.close()

    def _write(self, link: dialect.Hot, rows: Rows) -> Tally:
        once = _Once(link)
        if rows.records:
            link.many(_LATEST, [(*row[:6], json.dumps(row[6]), row[7]) for row in rows.latest.values()])
            once.insert("record", rows.records, _record_entry)
            link.many(_DUE, {(row[1] // 3600, row[0]) for row in rows.records if row[4] > 0})
        if rows.events:
            once.insert("event", rows.events, _event_entry)
        for state in rows.states:
            link.many(_STATE if state[1] else _OFFLINE, [state])
        link.many(_HEARTBEAT, rows.health)
        anchor(link, rows.anchors)
        date(link, _undated(rows))
        for node in once.stale:
            refresh_latest(link, node)
        link.many(_SEEN, [(at, node, at) for node, at in rows.seen.items()])
        link.many(_LOG, self._quotas.lines(rows.logs))
        link.many(_REPLY, rows.replies)
        link.many(_UPDATE, rows.updates)
        link.many(_PROVED, rows.proved)
        letters = self._quotas.letters(rows.letters + once.letters)
        link.many(_LETTER, [(_digest(letter), *letter, letter[3]) for letter in letters])
        once.tally.refused = len(letters)
        return once.tally


class _Entry(NamedTuple):
    """What records and events have in common."""

    identity: tuple[int, int, int]  # node, boot, seq
    ts: int
    tq: int
    body: bytes
    received_ms: int


def _record_entry(row: RecordRow) -> _Entry:
    node, ts, boot, seq, tq, _interval_s, body, received_ms = row
    return _Entry((node, boot, seq), ts, tq, body, received_ms)


def _event_entry(row: EventRow) -> _Entry:
    node, boot, seq, ts, tq, _code, _phase, body, received_ms = row
    return _Entry((node, boot, seq), ts, tq, body, received_ms)


class _Once:
    """Stores the entries of one transaction, each once."""

    def __init__(self, link: dialect.Hot) -> None:
        self._link = link
        self.tally = Tally()
        self.letters: list[Letter] = []  # conflicts
        self.stale: set[int] = set()  # nodes whose newest record has to be looked for

    def insert(self, table: str, rows: list[Row], entry: Callable[[Row], _Entry]) -> None:
        """Insert all at once; look at each only when some were there before."""
        stored = self._link.many(_INSERT[table], rows)
        self.tally.stored += stored
        if stored < len(rows):
            self.tally.duplicates += len(rows) - stored
            for row in rows:
                self._settle(table, entry(row))

    def _settle(self, table: str, new: _Entry) -> None:
        """Tell repetition, dating and conflict apart; what was just stored looks like its own repetition."""
        node = new.identity[0]
        kept_ts, kept = self._link.one(_KEPT[table], new.identity) or (new.ts, new.body)
        found = verdict(kept, new.body)
        if table == "record" and (kept_ts, kept) != (new.ts, new.body):
            self.stale.add(node)
        if found is Verdict.DATED:
            self.tally.duplicates -= 1
            self.tally.dated += 1
            self._link.many(_REDATE[table], [(new.ts, new.tq, new.body, *new.identity)])
            if table == "record":
                self._link.many(_DUE, [(kept_ts // 3600, node), (new.ts // 3600, node)])
        elif found is Verdict.CONFLICT:
            self.tally.duplicates -= 1
            self.tally.conflicts += 1
            (name,) = self._link.one("SELECT id FROM node WHERE key = ?", (node,)) or ("",)
            reason = f"conflict: boot {new.identity[1]} seq {new.identity[2]} is another entry"
            self.letters.append((topics.up(name, _TOPIC[table]), new.body, reason, new.received_ms))


def _undated(rows: Rows) -> set[tuple[int, int]]:
    """The (node, boot) whose entries may have something to date after this batch."""
    found = {(row[0], row[2]) for row in rows.records if row[4] < TQ_RTC}
    found |= {(row[0], row[1]) for row in rows.events if row[4] < TQ_RTC}
    return found | {(node, boot) for node, boot, _epoch_s, _tq in rows.anchors}


def _digest(letter: Letter) -> bytes:
    topic, payload, reason, _received_ms = letter
    return blake2b(b"\0".join((topic.encode(), reason.encode(), payload)), digest_size=16).digest()
