"""Releases that were published. What they consist of is in the archive; a row is never deleted."""

import difflib
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import Connection, Engine, Row, insert, select, update

from fleet.errors import NotAllowedError, NotFoundError, UsageError
from fleet.store import audit, schema
from fleet.store.audit import Act, body_of
from fleet.store.dialect import reading, writing

_RELEASE = schema.release.c
_LEAST = 8  # hexadecimal digits that may stand for a digest


@dataclass(frozen=True, slots=True)
class Published:
    """A release as it was published."""

    digest: bytes  # SHA-256 of the release document: what campaigns name
    product: str
    version: str
    sequence: int
    manifest: bytes  # SHA-256 of its manifest: what nodes report
    size: int  # bytes of all files of the slot
    base: bytes  # SHA-256 of the base image that comes with it, or b""
    envelope: bytes  # encoded Signed with the release document
    published_s: int
    published_by: str
    yanked_s: int | None = None  # no new campaign may name it since then
    yanked_by: str = ""
    yanked_reason: str = ""

    @property
    def id(self) -> str:
        """What people call it: `air-1.4.0`."""
        return f"{self.product}-{self.version}"


_COLUMNS = tuple(_RELEASE[field.name] for field in fields(Published))


class Releases:
    """Queries about published releases."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def all(self, product: str = "") -> list[Published]:
        """All, or those of one product; the newest of each product first."""
        query = select(*_COLUMNS).order_by(_RELEASE.product, _RELEASE.sequence.desc())
        with reading(self._engine) as connection:
            rows = connection.execute(query.where(_RELEASE.product == product) if product else query)
            return [_published(row) for row in rows]

    def get(self, name: "str | bytes") -> Published:
        """The release of a digest, an id, or at least 8 hexadecimal digits that a digest begins with; NotFoundError."""
        with reading(self._engine) as connection:
            return _get(connection, name)

    def find(self, digest: bytes) -> Published | None:
        """The release of a digest, or None."""
        with reading(self._engine) as connection:
            return _of_digest(connection, digest)

    def by_manifest(self, manifest: bytes) -> Published | None:
        """The release whose manifest that is, or None."""
        query = select(*_COLUMNS).where(_RELEASE.manifest == manifest).order_by(_RELEASE.sequence.desc())
        with reading(self._engine) as connection:
            row = connection.execute(query).first()
        return None if row is None else _published(row)

    def check(self, release: Published, older: bool = False) -> bool:
        """What `add` would answer; nothing is kept."""
        with reading(self._engine) as connection:
            there = _of_digest(connection, release.digest)
            if there is None:
                _refuse_twice(connection, release, older)
            return there is None or there.envelope != release.envelope

    def add(self, release: Published, older: bool = False) -> bool:
        """Keep a release; False when it was there with the same envelope. New signatures replace the envelope.

        NotAllowedError when its version or sequence stands for other bytes, or its sequence is not above every other of
        its product, which `older` permits.
        """
        with writing(self._engine) as connection:
            there = _of_digest(connection, release.digest)
            if there is not None:
                envelope = update(schema.release).where(_RELEASE.digest == release.digest)
                connection.execute(envelope.values(envelope=release.envelope))
                return there.envelope != release.envelope
            _refuse_twice(connection, release, older)
            values = {field.name: getattr(release, field.name) for field in fields(release)}
            connection.execute(insert(schema.release).values(**values))
            figures = body_of({"digest": release.digest, "sequence": release.sequence})
            act = Act(release.published_s, release.published_by, "publish", f"release {release.id}", "", figures)
            audit.append(connection, act)
        return True

    def yank(self, name: "str | bytes", now_s: int, actor: str, reason: str) -> Published:
        """No new campaign may name it from now on; NotAllowedError when that was said before."""
        with writing(self._engine) as connection:
            found = _get(connection, name)
            if found.yanked_s is not None:
                raise NotAllowedError(
                    f"{found.id} was yanked before", cause=f"by {found.yanked_by}: {found.yanked_reason}"
                )
            yanked = {"yanked_s": now_s, "yanked_by": actor, "yanked_reason": reason}
            connection.execute(update(schema.release).where(_RELEASE.digest == found.digest).values(**yanked))
            audit.append(connection, Act(now_s, actor, "yank", f"release {found.id}", reason))
            return _get(connection, found.digest)


def _of_digest(connection: Connection, digest: bytes) -> Published | None:
    row = connection.execute(select(*_COLUMNS).where(_RELEASE.digest == digest)).first()
    return None if row is None else _published(row)


def _get(connection: Connection, name: "str | bytes") -> Published:
    if isinstance(name, bytes):
        there = _of_digest(connection, name)
        if there is None:
            raise NotFoundError(f"no release {name.hex()} was published", hint="`fleet release list` shows all")
        return there
    known = {row.id: row for row in map(_published, connection.execute(select(*_COLUMNS)))}
    if name in known:
        return known[name]
    found = [row for row in known.values() if len(name) >= _LEAST and row.digest.hex().startswith(name.lower())]
    if len(found) > 1:
        raise UsageError(f"{name} is the begin of several digests", hint=f"say {' or '.join(row.id for row in found)}")
    if not found:
        near = difflib.get_close_matches(name, known, 3)
        hint = f"did you mean {' or '.join(near)}?" if near else "`fleet release list` shows all"
        raise NotFoundError(f"no release {name} was published", hint=hint)
    return found[0]


def _refuse_twice(connection: Connection, release: Published, older: bool) -> None:
    of_product = [_published(row) for row in connection.execute(select(*_COLUMNS)) if row.product == release.product]
    for row in of_product:
        if row.version == release.version:
            raise NotAllowedError(
                f"{row.id} was published with other contents",
                hint="what was published stays as it was: give the new one a new version",
                cause=f"digest {row.digest.hex()}, not {release.digest.hex()}",
            )
        if row.sequence == release.sequence:
            raise NotAllowedError(
                f"sequence {row.sequence} is that of {row.id}", hint="build it with another one: --sequence"
            )
    newest = max((row.sequence for row in of_product), default=0)
    if release.sequence < newest and not older:
        raise NotAllowedError(
            f"a newer release of {release.product} was published",
            cause=f"sequence {newest}, and {release.id} has {release.sequence}",
            hint="build it with a sequence above that, or publish it as what it is: an older one, with --older",
        )


def _published(row: Row[Any]) -> Published:
    return Published(**row._mapping)
