"""What is installed from a wheel can flash boards: the firmware's sources are in it, and nothing of the tests."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
CODE = "from fleet.flashing import firmware; print(firmware.directory(), firmware.load().manifest)"


@pytest.mark.slow
def test_the_firmware_of_a_wheel_is_that_of_the_checkout(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(site)
    assert not [name for name in names if name.startswith("firmware/") and ("tests" in name or "__pycache__" in name)]
    said = []
    for top in (site, ROOT):
        done = subprocess.run([sys.executable, "-c", CODE], cwd=top, check=True, capture_output=True, text=True)
        said.append(done.stdout.split())
    assert said[0][0] == str(site / "firmware")
    assert said[0][1] == said[1][1]
