"""Who decided or did what, and why. Entries are never changed; each holds the hash of the one before it.

Whoever takes an entry away, changes one or puts one in between has to make every later one anew, which a copy of the
newest hash, kept elsewhere, shows.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from hashlib import sha256
from typing import Any

import cbor2
from sqlalchemy import Connection, Engine, insert, select

from fleet.errors import VerificationError
from fleet.store import schema
from fleet.store.dialect import reading, writing

_AUDIT = schema.audit.c
FIRST = bytes(32)  # what the first entry follows
_AT_ONCE = 1000  # entries that are in memory


@dataclass(frozen=True, slots=True)
class Act:
    """What somebody did or decided."""

    at_s: int
    actor: str  # a person at a machine, or "fleet" for the service
    action: str  # "start", "step", "node update" ...
    object: str  # "rollout 7", "node air-1", "release air-1.4.0"
    why: str = ""
    body: bytes = b""  # CBOR, to derive it again or to look closer


@dataclass(frozen=True, slots=True)
class Entry:
    """An act in the chain."""

    seq: int  # from 1, without a gap
    at_s: int
    actor: str
    action: str
    object: str
    why: str
    body: bytes
    prev: bytes
    hash: bytes


_COLUMNS = tuple(_AUDIT[field.name] for field in fields(Entry))


def hash_of(seq: int, act: Act, prev: bytes) -> bytes:
    """SHA-256 over the hash before and the canonical CBOR of everything else."""
    rest = [seq, act.at_s, act.actor, act.action, act.object, act.why, act.body]
    return sha256(prev + cbor2.dumps(rest, canonical=True)).digest()


def body_of(values: Mapping[str, Any]) -> bytes:
    """The body of an act that people did: its figures and names."""
    return cbor2.dumps(dict(values), canonical=True)


class Audit:
    """Queries about what was done."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def append(self, act: Act) -> Entry:
        """Write it down behind everything else."""
        with writing(self._engine) as connection:
            return append(connection, act)[0]

    def entries(self, about: str = "", after: int = 0, limit: int = -1) -> Iterator[Entry]:
        """Those about one thing, or all, oldest first, from behind the number `after`; -1 = as many as there are."""
        while limit:
            count = _AT_ONCE if limit < 0 else min(limit, _AT_ONCE)
            query = select(*_COLUMNS).where(_AUDIT.seq > after).order_by(_AUDIT.seq).limit(count)
            with reading(self._engine) as connection:
                rows = connection.execute(query.where(_AUDIT.object == about) if about else query)
                found = [Entry(*row) for row in rows]
            yield from found
            if len(found) < count:
                return
            after = found[-1].seq
            limit = limit - count if limit > 0 else limit

    def newest(self) -> Entry | None:
        """The last one; its hash stands for all."""
        with reading(self._engine) as connection:
            return _newest(connection)

    def verify(self, last: int = 0) -> int:
        """Check the chain, or its `last` entries; how many were. VerificationError names the first that is wrong."""
        newest = self.newest()
        if newest is None:
            return 0
        after = max(0, newest.seq - last) if last else 0
        seq, prev, count = after, b"" if after else FIRST, 0
        for entry in self.entries(after=after):
            seq, count = seq + 1, count + 1
            prev = prev or entry.prev  # of a part: what came before is taken as it is
            fault = _fault(entry, seq, prev)
            if fault:
                hint = "somebody changed the database: compare with the newest backup"
                raise VerificationError(f"entry {seq} of the audit log {fault}", hint=hint)
            prev = entry.hash
        return count


def append(connection: Connection, *acts: Act) -> list[Entry]:
    """Write them down, within the transaction of what they tell."""
    before = _newest(connection) if acts else None
    last, prev = (before.seq, before.hash) if before else (0, FIRST)
    made = []
    for seq, act in enumerate(acts, last + 1):
        told = act.at_s, act.actor, act.action, act.object, act.why, act.body
        made.append(Entry(seq, *told, prev, hash_of(seq, act, prev)))
        prev = made[-1].hash
    if made:
        rows = [{field.name: getattr(entry, field.name) for field in fields(entry)} for entry in made]
        connection.execute(insert(schema.audit), rows)
    return made


def _newest(connection: Connection) -> Entry | None:
    row = connection.execute(select(*_COLUMNS).order_by(_AUDIT.seq.desc()).limit(1)).first()
    return None if row is None else Entry(*row)


def _fault(entry: Entry, seq: int, prev: bytes) -> str:
    if entry.seq != seq:
        return "is missing"
    if entry.prev != prev:
        return "does not follow the one before it"
    act = Act(entry.at_s, entry.actor, entry.action, entry.object, entry.why, entry.body)
    return "" if entry.hash == hash_of(seq, act, prev) else "was changed"
