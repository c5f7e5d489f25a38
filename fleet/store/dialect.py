"""What differs between databases: how to connect, lock, back up, and which errors mean "try again later".

SQLite is the default and the only one that is wired up; everything else in `fleet.store` is portable SQL.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Update, create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError

from fleet.errors import UnreachableError, UsageError

BUSY_MS = 5000  # how long a writer waits for another one; transactions here last some milliseconds
_WAL_MAX = 64 << 20  # bytes that the write-ahead log keeps after a long reader made it grow
_CACHE_KB = 32768  # of the writer: the pages at which 10 000 nodes go on writing
_IMMEDIATE = "fleet_immediate"


def engine(where: str) -> Engine:
    """An engine for a URL or for the path of an SQLite file, which is made when it is missing."""
    url = make_url(where) if "://" in where else make_url("sqlite://").set(database=str(Path(where)))
    if url.get_backend_name() != "sqlite":
        raise UsageError(
            f"no support for {url.get_backend_name()} yet", hint="leave store.url empty, or name an SQLite file"
        )
    made = create_engine(url, connect_args={"timeout": BUSY_MS / 1000, "isolation_level": None})
    event.listen(made, "connect", _on_connect)
    event.listen(made, "begin", _on_begin)
    return made


def _on_connect(connection: Any, _record: object) -> None:
    # WAL: readers never wait for the writer. FULL: a commit is on the disk before its messages are acknowledged.
    for line in ("journal_mode = WAL", "synchronous = FULL", "temp_store = MEMORY", f"journal_size_limit = {_WAL_MAX}"):
        connection.execute(f"PRAGMA {line}")


def _on_begin(connection: Connection) -> None:
    immediate = connection.get_execution_options().get(_IMMEDIATE)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


@contextmanager
def writing(made: Engine) -> Iterator[Connection]:
    """A transaction that holds the write lock from its start, so that it never fails half-way for want of it."""
    with translated(), made.connect().execution_options(**{_IMMEDIATE: True}) as connection, connection.begin():
        yield connection


@contextmanager
def reading(made: Engine) -> Iterator[Connection]:
    """A transaction that sees one state of the database, whatever is written meanwhile."""
    with translated(), made.connect() as connection, connection.begin():
        yield connection


@contextmanager
def translated() -> Iterator[None]:
    """Database errors as UnreachableError."""
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        cause = str(error.orig) if isinstance(error, DBAPIError) else str(error)
        raise UnreachableError("the database does not do what it should", cause=cause, hint=_hint(cause)) from error


def _hint(cause: str) -> str:
    for sign, hint in (
        ("no such table", "run `fleet serve` or `fleet init` once: they bring the database to the newest schema"),
        ("locked", "another program holds the database: wait for it, or end it"),
        ("full", "make room on the disk"),
        ("readonly", "give this user the right to write the fleet directory"),
        ("unable to open", "check that the fleet directory exists and belongs to this user"),
        ("not a database", "restore the newest backup, or move the file away: `fleet init` makes an empty one"),
        ("malformed", "restore the newest backup; `fleet doctor` checks a database"),
    ):
        if sign in cause:
            return hint
    return "look at the log, then try again"


# Errors that say something about one row, not about the database: trying again cannot help.
ROW_ERRORS: tuple[type[Exception], ...] = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.ProgrammingError,
    sqlite3.InterfaceError,
    sqlite3.NotSupportedError,
    OverflowError,
    UnicodeEncodeError,
)
DATABASE_ERRORS: tuple[type[Exception], ...] = (sqlite3.Error,)  # everything else that a driver raises: try again


def backup(made: Engine, target: Path) -> None:
    """A consistent copy, made while others write."""
    with translated(), made.connect() as connection:
        raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        raw.execute("VACUUM INTO ?", (str(target),))


def optimize(made: Engine) -> None:
    """Refresh the query planner's statistics and fold the write-ahead log back."""
    with translated(), made.connect() as connection:
        raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        raw.execute("PRAGMA optimize")
        raw.execute("PRAGMA wal_checkpoint(PASSIVE)")


def check(made: Engine) -> str:
    """ "ok", or what SQLite's own check found."""
    with reading(made) as connection:
        return str(connection.execute(text("PRAGMA quick_check(1)")).scalar_one())


def many(connection: Connection, statement: Update, rows: Sequence[Mapping[str, Any]]) -> None:
    """Run a statement for every row as the driver takes it: no value is converted, and it costs a third."""
    compiled = statement.compile(dialect=connection.dialect)
    values = itemgetter(*(compiled.positiontup or ()))
    connection.exec_driver_sql(str(compiled), [values(row) for row in rows])


class Hot:
    """The driver's own connection, for the writer of the hot path. Statements are SQL with `?` for values."""

    def __init__(self, made: Engine) -> None:
        self._held = made.raw_connection()
        raw = self._held.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        self._raw = raw
        self._raw.execute(f"PRAGMA cache_size = -{_CACHE_KB}")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, with the write lock from the start."""
        self._raw.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._raw.execute("COMMIT")
        finally:
            if self._raw.in_transaction:
                self._raw.execute("ROLLBACK")

    def many(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> int:
        """Run a statement for every row; how many rows it changed."""
        return self._raw.executemany(statement, rows).rowcount

    def one(self, statement: str, values: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """The first row of a query, or None."""
        found: tuple[Any, ...] | None = self._raw.execute(statement, values).fetchone()
        return found

    def all(self, statement: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        """Every row of a query."""
        return self._raw.execute(statement, values).fetchall()

    def close(self) -> None:
        """Give the connection up: it is not used again."""
        self._held.invalidate()
