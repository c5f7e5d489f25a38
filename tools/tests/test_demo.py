"""The demonstration proves itself, ends when it is told to, and leaves nothing behind, even when it is killed."""

import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from tools.demo import plan
from tools.demo.__main__ import main
from tools.interpreter import ROOT

KEYS = {"nodes", "records", "lost", "duplicates", "first_record_s", "broker", "versions", "flashed", "esptool"}
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
def test_once_ends_by_itself_with_a_verdict(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.json"
    assert main(["--once", "--json", str(out), "--nodes", "3"]) == 0, capfd.readouterr()
    found = json.loads(out.read_text())
    assert found.keys() >= KEYS
    assert (found["nodes"], found["flashed"], found["lost"], found["duplicates"]) == (3, 3, 0, 0)
    assert all(count > 0 for count in found["records_by_node"].values())


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
