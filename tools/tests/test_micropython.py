"""Every test of shared and device code once more, under the interpreter of the board: one process per file."""

import subprocess

import pytest

from tools import upytest
from tools.interpreter import ROOT, micropython

pytestmark = pytest.mark.slow

FILES = [path for folder in upytest.FOLDERS for path in upytest.find(f"{ROOT}/{folder}")]


@pytest.mark.parametrize("path", [path.removeprefix(f"{ROOT}/") for path in FILES])
def test_under_micropython(path: str) -> None:
    command = [micropython(), "-X", "heapsize=4M", "tools/upytest.py", path]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=540)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith(" passed, 0 failed")
