"""What a release changes against another one, and what a node has to fetch for it."""

from dataclasses import dataclass

from fleet.releases import delta
from fleet.releases.contents import Contents
from fleet.releases.delta import Program

ADDED, CHANGED, REMOVED = "added", "changed", "removed"


@dataclass(frozen=True)
class Change:
    """One file that is not the same; sizes in bytes, None where it is not there."""

    kind: str
    path: str
    before: int | None
    after: int | None


def changes(new: Contents, old: Contents) -> list[Change]:
    """Every file that differs, by path."""
    found = []
    for path in sorted({*new.files, *old.files}):
        before, after = old.files.get(path), new.files.get(path)
        if before != after:
            kind = ADDED if before is None else REMOVED if after is None else CHANGED
            sizes = [None if data is None else len(data) for data in (before, after)]
            found.append(Change(kind, path, *sizes))
    return found


def full_bytes(release: Contents) -> int:
    """What a node fetches that has nothing of use."""
    return len(delta.full(_program(release)))


def delta_bytes(new: Contents, old: Contents) -> int:
    """What a node fetches that runs `old`."""
    return len(delta.delta(_program(new), _program(old)))


def _program(release: Contents) -> Program:
    return Program(release.manifest, release.files)
