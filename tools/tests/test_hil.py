"""Acceptance of the bench: the short form of the suites passes, and who is to blame is told apart."""

import json
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from tools import virtual_bench
from tools.interpreter import ROOT
from tools.virtual_bench import Bench, Seat

pytestmark = pytest.mark.slow

PATIENCE_S = 600.0  # of a machine with much else to do
BROKEN = "raise ValueError('broken on purpose')"


def bench(*words: str, directory: Path) -> int:
    """The exit code of the command, as a person types it."""
    command = [sys.executable, "-m", "tools.virtual_bench", "--dir", str(directory), *words]
    return subprocess.run(command, cwd=ROOT, timeout=PATIENCE_S, check=False).returncode


def newest(directory: Path) -> Path:
    """The directory of the last run."""
    return max((directory / "runs").glob("*/run.json")).parent


def run_of(directory: Path) -> dict[str, Any]:
    """What the last run found."""
    found: dict[str, Any] = json.loads((newest(directory) / "run.json").read_text())
    return found


def test_the_short_form_passes_and_is_written_down(tmp_path: Path) -> None:
    code = bench("--short", directory=tmp_path)
    found = run_of(tmp_path)
    wrong = [
        f"{one['outcome']} {one['test']}: {one['message']}" for one in found["results"] if one["outcome"] != "passed"
    ]
    assert code == 0, "\n".join(wrong)
    assert not wrong
    assert found["verdict"] == "passed"
    suites = {one["test"].split("::")[0] for one in found["results"]}
    assert suites == {path.name for path in (ROOT / "hil_tests").glob("test_*.py")}
    assert {board for one in found["results"] for board in one["boards"]} == {"air-1", "air-2", "light-1", "light-2"}
    measured = [row for one in found["results"] for row in one["measurements"]]
    assert measured
    assert all(row["unit"] for row in measured)
    assert (newest(tmp_path) / "report.html").stat().st_size > 10_000
    cases = ET.parse(newest(tmp_path) / "junit.xml").getroot().iter("testcase")
    properties = {row.get("name", "") for case in cases for row in case.iter("property")}
    assert {f"measurement.{row['name']}" for row in measured} <= properties


def test_a_broken_driver_is_the_products_fault_and_a_mute_board_the_benchs(tmp_path: Path) -> None:
    firmware = tmp_path / "checkout" / "firmware"
    shutil.copytree(ROOT / "firmware", firmware, ignore=shutil.ignore_patterns("tests", "__pycache__"))
    shutil.copytree(ROOT / "protocol", tmp_path / "checkout" / "protocol", ignore=shutil.ignore_patterns("tests"))
    driver = firmware / "node" / "drivers" / "cse7766.py"
    text = driver.read_text()
    assert "before = self.frames" in text
    driver.write_text(text.replace("before = self.frames", BROKEN))
    seats = [
        Seat("air-1", "air", "esp32"),
        Seat("air-2", "air", "esp32", ("mute", 1)),
        Seat("light-1", "light", "esp32"),
    ]
    words = ("--suite", "telemetry", "--", f"--node-firmware={firmware}", "-k", "in_its_records or obeys")
    code = virtual_bench.carry_out(Bench(tmp_path, seats, words=words))
    found = run_of(tmp_path)
    assert code == 1
    by_board: dict[str, set[str]] = {"air-1": set(), "air-2": set(), "light-1": set()}
    for one in found["results"]:
        by_board[one["boards"][0]].add(one["outcome"])
    assert by_board == {"air-1": {"passed"}, "air-2": {"infrastructure"}, "light-1": {"failed"}}
    boards = {board["id"]: board["state"] for board in found["boards"]}
    assert boards == {"air-1": "ready", "air-2": "broken", "light-1": "ready"}
    blamed = [one for one in found["results"] if one["outcome"] == "failed"]
    assert all("broken on purpose" in f"{one['message']}{one['detail']}" for one in blamed)
    assert all(
        {"console.log", "flash.bin.gz", "broker.log"} <= {row["name"] for row in one["artefacts"]} for one in blamed
    )
