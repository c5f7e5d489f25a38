"""Where the sources of a release come from: the commit, and its time, which stands for the time of the build."""

import os
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

DIRTY = "-dirty"
_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Origin:
    """`commit` is empty and `time_s` 0 when the sources are in no repository."""

    commit: str = ""  # with DIRTY behind it when a source differs from it
    time_s: int = 0  # of the commit, seconds since 1970 UTC


def of(listing: Path, sources: Iterable[Path]) -> Origin:
    """The origin of `sources`, which the file `listing` lists. A copy inside of some other repository has none."""
    top = listing.resolve().parent
    said = _git(top, "show", "-s", "--format=%H %ct", "HEAD").split()
    if len(said) != 2 or not _git(top, "ls-files", "--", listing.name):
        return Origin()
    files = [str(path.resolve()) for path in (listing, *sources)]
    changed = _git(top, "status", "--porcelain", "--untracked-files=all", "--ignored=matching", "--", *files)
    return Origin(said[0] + (DIRTY if changed else ""), int(said[1]))


def _git(top: Path, *words: str) -> str:
    """What git says about a directory; nothing when it knows nothing about it, or is not there."""
    command = ["git", "-C", str(top), *words]
    environ = {**os.environ, "GIT_LITERAL_PATHSPECS": "1", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(command, capture_output=True, env=environ, timeout=_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace") if done.returncode == 0 else ""
