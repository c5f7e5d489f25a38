"""Use case: one file from which a fleet can be brought back: configuration, keys, releases, a copy of the database.

The service may run meanwhile. Messages that the broker has and the database has not are not in it: nodes and broker
deliver them afterwards.
"""

import os
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from fleet import files
from fleet.config import Config
from fleet.errors import FleetError, NotAllowedError
from fleet.releases.archive import Archive
from fleet.store import Store

DATABASE = "fleet.db"


@dataclass(frozen=True)
class Backup:
    """What was written."""

    path: Path
    bytes: int
    records: int
    files: int


def create(config: Config, store: Store, target: Path) -> Backup:
    """Write `target`, a .tar.gz with the layout of a fleet directory, readable by its owner alone.

    NotAllowedError when it exists, FleetError when the copy of the database does not hold its own check.
    """
    if target.exists():
        raise NotAllowedError(f"{target} exists", hint="name another file")
    try:
        with tempfile.TemporaryDirectory(dir=target.absolute().parent, prefix=".fleet-backup-") as room:
            copy = Path(room) / DATABASE
            store.backup(copy)
            with Store.open(copy) as copied:
                fault = copied.check()
                records = copied.readings.count()
            if fault != "ok":
                raise FleetError("the copy of the database is broken", cause=fault, hint="check the disk: fleet doctor")
            part = Path(room) / "part"  # in a directory that is ours alone, until it is whole
            count = _pack(part, [(copy, DATABASE), *_members(config)])
            part.replace(target)
    except OSError as error:
        raise FleetError(f"cannot write {target}", cause=error.strerror or str(error)) from error
    return Backup(target, target.stat().st_size, records, count)


def _members(config: Config) -> list[tuple[Path, str]]:
    """(file, name in the archive) of the configuration, everything below ca/, certs/ and keys/, and of releases."""
    directories = (config.ca_dir, config.certs_dir, config.keys_dir)
    found = [config.file, *(path for one in directories if one.exists() for path in sorted(one.iterdir()))]
    found += sorted(Archive(config.releases_dir).paths())
    return [(path, str(path.relative_to(config.directory))) for path in found if path.is_file()]


def _pack(path: Path, members: list[tuple[Path, str]]) -> int:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, files.PRIVATE)
    with os.fdopen(handle, "wb") as raw:
        with tarfile.open(fileobj=raw, mode="w:gz", compresslevel=1) as archive:
            for source, name in members:
                archive.add(source, name)
        raw.flush()
        os.fsync(raw.fileno())
    return len(members)
