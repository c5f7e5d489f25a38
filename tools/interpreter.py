"""Which MicroPython the tests, tools and simulations run: $MICROPYTHON, else the one in the environment of Python."""

import os
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def micropython() -> str:
    """Path of a unix MicroPython; raises FileNotFoundError with what to do when there is none."""
    wanted = os.environ.get("MICROPYTHON", "micropython")
    path = shutil.which(wanted, path=str(Path(sys.executable).parent)) or shutil.which(wanted)
    if path is None:
        raise FileNotFoundError(f"no {wanted}: install the requirements (make setup) or set MICROPYTHON to a binary")
    return path
