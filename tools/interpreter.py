"""Which MicroPython the tests, tools and simulations run: $MICROPYTHON, else the one in the environment of Python."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_VERSION = "import sys; print('.'.join(str(x) for x in sys.implementation[1][:3]))"


def micropython() -> str:
    """Path of a unix MicroPython; raises FileNotFoundError with what to do when there is none."""
    wanted = os.environ.get("MICROPYTHON", "micropython")
    path = shutil.which(wanted, path=str(Path(sys.executable).parent)) or shutil.which(wanted)
    if path is None:
        raise FileNotFoundError(f"no {wanted}: install the requirements (make setup) or set MICROPYTHON to a binary")
    return path


def version() -> str:
    """Of that MicroPython, as 1.26.0."""
    words = [micropython(), "-c", _VERSION]
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=30).stdout.strip()
