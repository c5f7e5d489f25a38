"""A release as a directory: what `fleet release build` makes, and what is carried to whoever signs.

One that is read may come from anybody. Links, devices and files that do not belong to it are refused, so what was
looked at is what gets signed, and all of it.
"""

import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from fleet import files
from fleet.errors import FleetError, NotAllowedError, NotFoundError, VerificationError
from fleet.releases import contents
from fleet.releases.contents import Contents
from protocol.manifest import MAX_FILES
from protocol.trust import Signed

_MOST = 2 * MAX_FILES  # files and folders
_AGAIN = "build or copy it again"


def load(directory: Path) -> Contents:
    """The release in a directory; NotFoundError when there is none, VerificationError when anything is not in order."""
    entries = set(_entries(directory))
    if contents.RELEASE not in entries:
        raise NotFoundError(f"no release in {directory}", hint="name a directory that `fleet release build` made")

    def fetch(name: str, _: bytes, most: int) -> bytes:
        return _read(directory / name, most)

    try:
        found = contents.load(_read(directory / contents.RELEASE, Signed.MAX_SIZE), fetch)
    except VerificationError as error:
        raise VerificationError(f"{directory}: {error.message}", error.hint or _AGAIN, error.cause) from error
    extra = entries - {contents.RELEASE, *found.parts()}
    if extra:
        raise VerificationError(
            f"{directory}: there is more than belongs to the release",
            cause="\n".join(sorted(extra)[:10]),
            hint="remove it: what nobody looks at must not travel with a release",
        )
    return found


def write(top: Path, release: Contents) -> tuple[Path, bool]:
    """Make `top`/ID, whole or not at all; (the directory, whether it is new).

    The same release that is there already is left as it is, signatures and all; NotAllowedError for another one.
    """
    target = top / release.id
    if target.exists():
        if load(target).digest != release.digest:
            raise NotAllowedError(f"{target} holds another release", hint="name another place, or remove it first")
        return target, False
    room = top / f".{release.id}.{secrets.token_hex(4)}"
    try:
        room.mkdir(parents=True)
        for name, data in {contents.RELEASE: release.signed.encode(), **release.parts()}.items():
            (room / name).parent.mkdir(parents=True, exist_ok=True)
            (room / name).write_bytes(data)
        room.rename(target)
    except OSError as error:
        shutil.rmtree(room, ignore_errors=True)
        raise FleetError(f"cannot write {target}", cause=error.strerror or str(error)) from error
    return target, True


def replace_envelope(directory: Path, signed: Signed) -> None:
    """Put an envelope with other signatures in the place of the one that is there."""
    files.replace(directory / contents.RELEASE, signed.encode(), files.PUBLIC)


def _entries(directory: Path) -> Iterator[str]:
    """The paths of all files below a directory; VerificationError for anything but files and folders that hold some."""
    folders, count = [""], 0
    while folders:
        folder = folders.pop()
        found = _scanned(directory, folder)
        count += len(found)
        if count > _MOST or (folder and not found):
            raise VerificationError(
                f"{directory} is no release", cause="it holds too much, or empty folders", hint=_AGAIN
            )
        for entry in found:
            path = f"{folder}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                folders.append(f"{path}/")
            elif entry.is_file(follow_symlinks=False):
                yield path
            else:
                raise VerificationError(f"{directory}: {path} is no file", cause="a link or a device", hint=_AGAIN)


def _scanned(directory: Path, folder: str) -> list[os.DirEntry[str]]:
    found: list[os.DirEntry[str]] = []
    try:
        with os.scandir(directory / folder) as entries:
            for entry in entries:
                found.append(entry)
                if len(found) > _MOST:
                    break
    except (FileNotFoundError, NotADirectoryError):
        raise NotFoundError(f"there is no directory {directory / folder}", hint="check the name") from None
    except OSError as error:
        raise FleetError(f"cannot read {directory / folder}", cause=error.strerror or str(error)) from error
    return found


def _read(path: Path, most: int) -> bytes:
    """A file of at most so many bytes; VerificationError when it is none, or has more."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            data = file.read(most + 1) if stat.S_ISREG(os.fstat(handle).st_mode) else None
    except FileNotFoundError:
        raise VerificationError(f"{path.name} is missing", hint=_AGAIN) from None
    except OSError as error:
        raise VerificationError(f"{path.name} cannot be read", cause=error.strerror or str(error)) from error
    if data is None or len(data) > most:
        raise VerificationError(f"{path.name} is no file, or has more than {most} bytes", hint=_AGAIN)
    return data
