"""The demonstration proves itself, ends when it is told to, and leaves nothing behind, even when it is killed."""

import asyncio
import io
import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from fleet.model import Reading
from fleet.rollout import draft
from fleet.rollout.plan import OnFailure
from protocol import channels
from tools.demo import plan, table
from tools.demo.__main__ import main
from tools.demo.story import plan_text
from tools.interpreter import ROOT

KEYS = {"records", "first_record_s", "broker", "versions", "esptool", "seconds"}
PATIENCE_S = 90.0


def processes_of(directory: Path) -> list[int]:
    """Processes whose command line names something below `directory`."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and os.fsencode(directory) in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:  # it ended meanwhile
            continue
    return [pid for pid in found if pid != os.getpid()]


async def started(directory: Path) -> asyncio.subprocess.Process:
    """A demonstration whose six nodes, broker and service run."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tools.demo", "--keep", str(directory)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    async for line in process.stdout:
        if b"online" in line:
            return process
    raise AssertionError(f"it ended with {await process.wait()}")


def end_by(number: signal.Signals, directory: Path) -> int:
    """The exit code of a demonstration that gets a signal; by then nothing of it runs."""

    async def run() -> int:
        async with asyncio.timeout(PATIENCE_S):
            process = await started(directory)
            assert len(processes_of(directory)) >= 9
            process.send_signal(number)
            code = await process.wait()
            end = time.monotonic() + 10
            while processes_of(directory) and time.monotonic() < end:
                await asyncio.sleep(0.05)
            assert processes_of(directory) == []
            return code

    return asyncio.run(run())


@pytest.mark.slow
def test_a_good_release_goes_everywhere_and_a_bad_one_stays_with_the_first(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.json"
    assert main(["--once", "--json", str(out)]) == 0, capfd.readouterr()
    found = json.loads(out.read_text())
    assert found.keys() >= KEYS
    assert (found["nodes"], found["flashed"], found["lost"], found["duplicates"]) == (6, 6, 0, 0)
    assert all(count > 0 for count in found["records_by_node"].values())
    assert found["good_release_proved"] == 6
    assert found["bad_release_exposed"] == 2, "one of each kind"
    assert found["bad_release_halted_s"] > 0
    assert "4 were never touched" in capfd.readouterr().out


@pytest.mark.slow
def test_ctrl_c_ends_everything_and_is_no_failure(tmp_path: Path) -> None:
    assert end_by(signal.SIGINT, tmp_path / "demo") == 0


@pytest.mark.slow
def test_a_killed_demonstration_leaves_no_process(tmp_path: Path) -> None:
    assert end_by(signal.SIGKILL, tmp_path / "demo") == -signal.SIGKILL


def test_a_computer_that_is_too_small_says_how_many_nodes_it_holds(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:  1000000 kB\nMemAvailable:  920000 kB\n")
    plan.check_memory(10, meminfo)
    with pytest.raises(plan.TooLargeError, match="try --nodes 10"):
        plan.check_memory(11, meminfo)
    plan.check_memory(1000, tmp_path / "absent")


def test_of_six_nodes_four_measure_air_and_two_light_the_street() -> None:
    assert [seat.node for seat in plan.seats(6, 1)] == ["air-1", "air-2", "air-3", "air-4", "light-1", "light-2"]
    assert plan.rate_for(6) == 60
    assert plan.rate_for(100) == 6


def test_nodes_begin_on_a_morning_long_enough_ago() -> None:
    morning = 20000 * 86400 + plan.MORNING_S
    assert plan.begin_s(morning + 3600, 3600) == morning
    assert plan.begin_s(morning + 3599, 3600) == morning - 86400
    assert plan.begin_s(morning + 86400, 3600) == morning


def test_the_plan_that_is_started_is_a_careful_one() -> None:
    found = draft.load(plan_text("9.1.0", ["air-9.1.0", "light-9.1.0"], 60), "demo")
    canary, rest = found.plan.waves
    assert found.releases == ("air-9.1.0", "light-9.1.0")
    assert (canary.count, canary.per_kind, canary.judged) == (1, True, True)
    assert (rest.count, rest.share, rest.where) == (0, 0, "")
    assert found.plan.on_failure is OnFailure.UNDO


def test_the_table_fits_80_columns() -> None:
    mass = Reading("air-10", 1, 1, 0, 4, 60, channels.PM25, 1234, 1)
    level = Reading("light-10", 1, 1, 0, 4, 60, channels.LEVEL_ACTUAL, 200, 1)
    rows = [
        table.Line("air-10", "air", False, "9.1.0", "downloading", 12345, 0, {channels.PM25: mass}),
        table.Line("light-10", "light", True, "9.1.0", "untouched", 12345, 0, {channels.LEVEL_ACTUAL: level}),
    ]
    terminal = Console(width=80, record=True, file=io.StringIO())
    terminal.print(table.render(rows, ["a headline"]))
    text = terminal.export_text()
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "…" not in text
    assert "PM2.5 123.4 µg/m³" in text
    assert "level 100.0 %" in text


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--nodes", "0"], "at least 1"),
        (["--rate", "0.5"], "at least 1"),
        (["--keep", "."], "name a new directory"),
        (["--nodes", "1000000"], "try --nodes"),
    ],
)
def test_what_cannot_be_done_is_said_at_once(
    words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 2
    assert complaint in capsys.readouterr().err
