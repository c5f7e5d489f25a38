"""One user per board at a time: an exclusive flock on this machine, over processes, benches and people.

A board is locked by every name it has: its port as bench.toml writes it, and the device that this leads to now. The
first stays the same when the board is plugged in again as another device, the second when two benches name it
differently. A lock is a file in a directory that all users share. Its text says who holds it and means nothing unless
the flock is held; the kernel frees that however the holder ends, so nothing is ever left behind. The handle is not
inherited: what a test starts cannot keep the board. Nobody deletes a lock file, for somebody may be waiting at it.

A lock is not re-entrant: two parts of one process that both want a board are a mistake, and it shows. Several workers
of one run are users like any other; each takes what is free (`acquire_any`).
"""

import contextlib
import fcntl
import getpass
import json
import os
import socket
import stat
import sys
import time
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from fleet.errors import NotAllowedError, TimedOutError

VARIABLE = "FLEET_LOCKS"  # another directory for the locks
PLACES = (Path("/run/lock"), Path("/tmp"))  # noqa: S108 - shared by all users, as the boards are
SHARED_DIR = 0o1777
SHARED_FILE = 0o666
MAX_TEXT = 4096  # bytes that say who holds a lock
POLL_S = 0.05
GLANCE_S = 0.2  # `holder` takes a shared lock for a moment, which must not look like a user
_FLAGS = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK  # somebody may have put a link or a pipe there


class Lockable(Protocol):
    """What is locked of a board."""

    @property
    def id(self) -> str:
        """Its name on its bench."""

    @property
    def port(self) -> str:
        """Its port, a path or a URL."""


@dataclass(frozen=True)
class Holder:
    """Who holds a board."""

    pid: int = 0
    user: str = ""
    host: str = ""
    command: str = ""
    since: str = ""  # UTC, RFC 3339
    board: str = ""

    def __str__(self) -> str:
        who = f"{self.user}@{self.host}, pid {self.pid}" if self.pid else "somebody"
        return f"{who} since {self.since or 'an unknown time'}{f': {self.command}' if self.command else ''}"


@dataclass(frozen=True)
class Held:
    """A board that is ours until `release`; also a context manager's value."""

    board: str
    handles: tuple[int, ...]

    def release(self) -> None:
        """Let others have it."""
        for handle in self.handles:
            with contextlib.suppress(OSError):
                os.ftruncate(handle, 0)
            fcntl.flock(handle, fcntl.LOCK_UN)  # not by closing alone: a child may be between its fork and its exec
            os.close(handle)


def directory(environ: Mapping[str, str] | None = None) -> Path:
    """Where the locks of this machine are; made when it is missing. NotAllowedError when it cannot be shared."""
    given = (os.environ if environ is None else environ).get(VARIABLE)
    # By its mode and not by what we may do: root and everybody else must come to the same answer.
    place = next((place for place in PLACES if place.is_dir() and place.stat().st_mode & stat.S_IWOTH), PLACES[-1])
    path = Path(given) if given else place / "lumenair"
    try:
        path.mkdir(parents=bool(given))
        path.chmod(SHARED_DIR)  # mkdir obeys the umask
    except FileExistsError:
        if not given and not stat.S_ISDIR(path.lstat().st_mode):  # a link leads to a place that nobody chose
            raise NotAllowedError(f"{path} is no directory", hint=f"remove it, or set {VARIABLE}") from None
    except OSError as error:
        raise NotAllowedError(f"cannot make {path}", hint=f"set {VARIABLE}", cause=error.strerror or "") from error
    return path


@contextlib.contextmanager
def acquire(board: Lockable, timeout_s: float = 0.0, place: Path | None = None) -> Iterator[Held]:
    """Have a board to oneself for the length of a `with`; TimedOutError says who has it instead."""
    with acquire_any([board], 1, timeout_s, place) as held:
        yield held[0]


@contextlib.contextmanager
def acquire_any(
    boards: Sequence[Lockable], count: int = 1, timeout_s: float = 0.0, place: Path | None = None
) -> Iterator[list[Held]]:
    """Have `count` of these boards to oneself, the first that are free: all at once or none, so nobody waits in a ring.

    Hold nothing else while waiting. TimedOutError says who has them instead.
    """
    held = take(boards, count, timeout_s, place)
    try:
        yield held
    finally:
        for one in held:
            one.release()


def take(boards: Sequence[Lockable], count: int = 1, timeout_s: float = 0.0, place: Path | None = None) -> list[Held]:
    """The same without a `with`: the caller releases each."""
    where = place or directory()
    end = time.monotonic() + max(timeout_s, GLANCE_S)
    while True:
        held: list[Held] = []
        for board in boards:
            one = _try(board, where) if len(held) < count else None
            held += [one] if one else []
        if len(held) == count:
            return held
        for one in held:
            one.release()
        if time.monotonic() >= end:
            raise _in_use(boards, where, timeout_s)
        time.sleep(POLL_S)


def holder(board: Lockable, place: Path | None = None) -> Holder | None:
    """Who holds a board; None when it is free."""
    where = place or directory()
    for name in _names(board):
        with contextlib.suppress(FileNotFoundError):
            handle = _opened(where / name, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return _read(handle)
            finally:
                os.close(handle)
    return None


def _try(board: Lockable, where: Path) -> Held | None:
    handles: list[int] = []
    try:
        for name in _names(board):
            handles.append(_open(where / name))
            fcntl.flock(handles[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, NotAllowedError) as error:
        for handle in handles:
            os.close(handle)
        if isinstance(error, NotAllowedError):
            raise
        return None
    text = json.dumps(asdict(_ourselves(board.id))).encode()[:MAX_TEXT]
    for handle in handles:
        os.ftruncate(handle, 0)
        os.pwrite(handle, text, 0)
    return Held(board.id, tuple(handles))


def _open(path: Path) -> int:
    """The lock file, made when it is missing.

    Not with O_CREAT alone: in a directory with the sticky bit the kernel refuses that for a file of somebody else.
    """
    with contextlib.suppress(FileNotFoundError):
        return _opened(path, os.O_RDWR)
    with contextlib.suppress(FileExistsError):
        handle = _opened(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        os.fchmod(handle, SHARED_FILE)  # open obeys the umask
        return handle
    return _opened(path, os.O_RDWR)


def _opened(path: Path, flags: int) -> int:
    """A file with no other name, for who writes to it would write to something of a user; NotAllowedError.

    FileNotFoundError and FileExistsError are left to the caller.
    """
    hint = f"remove it, or set {VARIABLE} to a directory that all users of the bench can write"
    try:
        handle = os.open(path, flags | _FLAGS, SHARED_FILE)
    except (FileNotFoundError, FileExistsError):
        raise
    except OSError as error:
        raise NotAllowedError(f"cannot use {path}", hint=hint, cause=error.strerror or "") from error
    found = os.fstat(handle)
    if stat.S_ISREG(found.st_mode) and found.st_nlink == 1:
        return handle
    os.close(handle)
    raise NotAllowedError(f"cannot use {path}", hint=hint, cause="it is something else than a lock")


def _names(board: Lockable) -> list[str]:
    """The file names of a board's locks, in an order that is the same for everybody."""
    return sorted({f"{sha256(name.encode()).hexdigest()[:24]}.lock" for name in canonical(board.port)})


def canonical(port: str) -> set[str]:
    """Every name of a port that stands for the board: host and port of a URL; a path, and where it leads now."""
    if "://" not in port:
        return {os.path.abspath(port), os.path.realpath(port)}
    url = urllib.parse.urlsplit(port)
    host = "127.0.0.1" if url.hostname == "localhost" else url.hostname or ""
    try:
        return {f"{host}:{url.port}"}
    except ValueError:
        return {port}


def _read(handle: int) -> Holder:
    try:
        tree = json.loads(os.pread(handle, MAX_TEXT, 0))
        words = [_shown(str(tree[name])) for name in ("user", "host", "command", "since", "board")]
        return Holder(int(tree["pid"]), *words)
    except (
        ValueError,
        TypeError,
        KeyError,
        OverflowError,
        RecursionError,
    ):  # it has just been taken, or somebody wrote something else
        return Holder()


def _shown(text: str) -> str:
    """A terminal must not obey what somebody wrote."""
    return "".join(char if char.isprintable() else "?" for char in text)


def _ourselves(board: str) -> Holder:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in some containers
        user = str(os.getuid())
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])[:1000]
    return Holder(os.getpid(), user, socket.gethostname(), command, since, board)


def _in_use(boards: Sequence[Lockable], where: Path, timeout_s: float) -> TimedOutError:
    found = [f"{board.id} is held by {who}" for board in boards if (who := holder(board, where))]
    names = ", ".join(board.id for board in boards) or "that fits"
    return TimedOutError(
        f"no free board within {timeout_s:g} s: {names}", hint="wait, or ask who holds it", cause="; ".join(found)
    )
