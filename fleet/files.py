"""Writing files so that nobody ever sees half of one, and a secret is never readable by others, not for a moment."""

import contextlib
import errno
import fcntl
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from fleet.errors import FleetError, NotAllowedError

PRIVATE = 0o600
PUBLIC = 0o644
PRIVATE_DIR = 0o700
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS)  # what FAT says, which most sticks have


def make_private_dir(path: Path) -> None:
    """A directory that only its owner may enter, and those above it that are missing; what exists is left as it is."""
    if not path.parent.exists():
        make_private_dir(path.parent)
    path.mkdir(mode=PRIVATE_DIR, exist_ok=True)


def write_new(path: Path, data: bytes, mode: int = PRIVATE) -> None:
    """Create `path` whole; NotAllowedError when it exists: a key is never overwritten."""
    temporary = _write_beside(path, data, mode)
    try:
        _take_place(temporary, path)
    except FileExistsError:
        raise NotAllowedError(
            f"{path} exists", hint="move it away first if you are sure that nothing needs it"
        ) from None
    except OSError as error:
        raise FleetError(f"cannot write {path}", cause=error.strerror or str(error)) from error
    finally:
        temporary.unlink(missing_ok=True)
    _sync_dir(path.parent)


def replace(path: Path, data: bytes, mode: int = PRIVATE) -> None:
    """Put `data` in the place of `path`, whole or not at all, also over a power cut."""
    temporary = _write_beside(path, data, mode)
    try:
        temporary.replace(path)
    except OSError as error:
        temporary.unlink()
        raise FleetError(f"cannot write {path}", cause=error.strerror or str(error)) from error
    _sync_dir(path.parent)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file, which is made; waits for whoever holds it. The kernel frees it however we end."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
    except OSError as error:
        raise FleetError(f"cannot write {path}", cause=error.strerror or str(error)) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _take_place(temporary: Path, path: Path) -> None:
    """Give a file its name; FileExistsError when something is called so."""
    try:
        os.link(temporary, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE))
        temporary.replace(path)


def _write_beside(path: Path, data: bytes, mode: int) -> Path:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise FleetError(f"cannot write {path}", cause=error.strerror or str(error)) from error
    return temporary


def _sync_dir(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
