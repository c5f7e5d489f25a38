"""`fleet hil`: whole runs with their own pytest, two at a time, killed, interrupted; the list; the page."""

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fleet.hil import inventory, lock, results
from fleet.tests.cli_rig import run as command
from fleet.tests.hil_rig import FAILING, HANGING, SUITE, TOGETHER, make_bench, make_suites, read_json, until

Process = subprocess.Popen[str]


@pytest.fixture(autouse=True)
def locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(lock.VARIABLE, str(tmp_path / "locks"))


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    return make_bench(tmp_path / "bench")


@contextlib.contextmanager
def started(bench: Path, tests: Path, *words: str) -> Iterator[Process]:
    """`fleet hil run` as a process."""
    argv = [sys.executable, "-m", "fleet", "hil", "run", "--bench", str(bench), "--tests", str(tests), *words]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def holders(bench: Path) -> list[str]:
    """The boards that somebody holds."""
    return [board.id for board in inventory.load(bench).boards if lock.holder(board)]


def only_run(bench: Path) -> Path:
    """The directory of the only run."""
    (found,) = (bench.parent / "results").iterdir()
    return found


def error(process: Process) -> Any:
    assert process.stderr is not None
    return json.loads(process.stderr.read())["error"]


@pytest.mark.slow
def test_two_runs_at_once_never_touch_the_same_board(bench: Path, tmp_path: Path) -> None:
    tests = make_suites(tmp_path / "suites", alone=TOGETHER)
    with started(bench, tests, "-n", "4", "--json") as one, started(bench, tests, "-n", "4", "--json") as two:
        documents = [json.loads(process.communicate()[0])["run"] for process in (one, two)]
        assert [process.returncode for process in (one, two)] == [0, 0]
    assert [document["totals"]["passed"] for document in documents] == [12, 12]
    uses = [line.split() for line in (bench.parent / "ledger").read_text().splitlines()]
    assert len(uses) == 24
    by_board: dict[str, list[tuple[int, int, str]]] = {}
    for board, begin, end, run in uses:
        by_board.setdefault(board, []).append((int(begin), int(end), run))
    for spans in by_board.values():
        spans.sort()
        assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans)), spans
    first, second = ([use for use in uses if use[3] == document["run"]] for document in documents)
    for one_run, other in ((first, second), (second, first)):
        assert max(int(use[2]) for use in one_run) > min(int(use[2]) for use in other), "they ran at the same time"
    assert holders(bench) == []


@pytest.mark.slow
def test_a_killed_run_leaves_no_lock_behind(bench: Path, tmp_path: Path) -> None:
    hanging, tests = make_suites(tmp_path / "hang", hang=HANGING), make_suites(tmp_path / "well", well=SUITE)
    with started(bench, hanging, "-n", "2") as process:
        until(lambda: holders(bench))
        process.kill()
        until(lambda: not holders(bench), 10)
    assert [row["state"] for row in command("hil", "list", "--bench", bench, "--json").json["boards"]] == ["free"] * 3
    found = command("hil", "report", "--bench", bench, "--json").json["report"]["runs"]
    assert [(one["verdict"], one["ended"], one["infrastructure"]) for one in found] == [("infrastructure", "", 1)]
    for witness in (bench.parent / "witness").iterdir():
        witness.unlink()
    with started(bench, tests) as process:
        assert process.wait() == 0


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_brings_its_boards_into_order_and_is_kept(
    number: signal.Signals, bench: Path, tmp_path: Path
) -> None:
    with started(bench, make_suites(tmp_path / "hang", hang=HANGING), "-n", "1") as process:
        until(lambda: holders(bench))
        process.send_signal(number)
        assert process.wait() == 130
    assert holders(bench) == []
    assert not list((bench.parent / "witness").iterdir()), "the fixture has ended its work"
    run = read_json(only_run(bench) / "run.json")
    assert (run["exit_code"], bool(run["ended"])) == (2, True)
    assert (only_run(bench) / "report.html").exists()


@pytest.mark.slow
def test_a_failure_is_told_everywhere(bench: Path, tmp_path: Path) -> None:
    tests = make_suites(tmp_path / "suites", measures=FAILING)
    with started(bench, tests, "-n", "1", "--board", "air-2", "--json") as process:
        assert process.wait() == 1
        assert process.stdout is not None
        document = json.loads(process.stdout.read())["run"]
        said = error(process)
    assert said["message"] == "1 of 2 tests failed"
    assert document["report"] in said["hint"]
    assert document["totals"] == {"passed": 1, "failed": 1, "infrastructure": 0, "quarantined": 0, "skipped": 0}
    assert [row["board"] for row in document["boards"]] == ["air-2"]
    (problem,) = document["problems"]
    assert problem["test"].endswith("::test_it_measures")
    assert problem["message"].startswith("boot takes too long")
    run = read_json(Path(document["directory"]) / "run.json")
    assert run["asked"] == {"boards": ["air-2"], "count": 1, "wait": 1800}
    assert run["expected"] == 2
    junit = ET.parse(Path(document["directory"]) / "junit.xml").getroot()
    assert [case.get("name") for case in junit.iter("testcase")] == ["test_it_measures", "test_it_is_well"]
    assert "boot takes too long" in Path(document["report"]).read_text()


BROKEN = """
def test_a_board_does_not_come_up(request):
    hil = request.config.hil
    hil.recorder.board("air-3", "broken", "its loader does not answer")
    found = hil.recorder.test("x")
    found.use("air-3")
    found.end("infrastructure", 1, "air-3 is broken")
"""


@pytest.mark.slow
def test_a_board_that_cannot_be_brought_up_is_exit_code_6(bench: Path, tmp_path: Path) -> None:
    with started(bench, make_suites(tmp_path / "suites", broken=BROKEN), "-n", "1", "--json") as process:
        assert process.wait() == 6
        assert error(process)["failed"] == {"air-3": "its loader does not answer"}
        assert process.stdout is not None
        rows = json.loads(process.stdout.read())["run"]["boards"]
    assert [(row["board"], row["state"], row["infrastructure"]) for row in rows] == [
        ("air-1", "unused", 0), ("air-2", "unused", 0), ("air-3", "broken", 1),
    ]  # fmt: skip


DYING = """
import os, signal

def test_its_worker_dies(board, request):
    (request.config.hil.bench.directory / "witness" / board).unlink()
    os.kill(os.getpid(), signal.SIGKILL)

def test_it_is_well(board):
    pass
"""


@pytest.mark.slow
def test_a_worker_that_dies_is_the_fault_of_the_bench_and_frees_its_board(bench: Path, tmp_path: Path) -> None:
    with started(bench, make_suites(tmp_path / "suites", dying=DYING), "-n", "2", "--json") as process:
        assert process.wait() == 6
        assert list(error(process)["failed"]) == ["test_dying.py::test_its_worker_dies"]
        assert process.stdout is not None
        run = json.loads(process.stdout.read())["run"]
    assert (run["totals"]["passed"], run["totals"]["infrastructure"]) == (1, 1)
    assert "its process died" in run["problems"][0]["message"]
    assert holders(bench) == []


@pytest.mark.slow
def test_progress_and_the_table_for_people(bench: Path, tmp_path: Path) -> None:
    with started(bench, make_suites(tmp_path / "suites", measures=FAILING), "-n", "1") as process:
        out, err = process.communicate()
    assert out.splitlines()[0].split() == [
        "BOARD", "STATE", "PASSED", "FAILED", "INFRASTRUCTURE", "QUARANTINED", "SKIPPED", "REASON",
    ]  # fmt: skip
    assert "failed   test_measures.py::test_it_measures" in out
    assert "passed          air-1        test_measures.py::test_it_is_well" in err


REFUSED = {
    "a suite that is not there": (["--suite", "bot"], 3, "no suite bot", "there are alone"),
    "a board that is not there": (["--board", "air-9"], 3, "no board air-9", "air-1"),
    "no board fits": (["--tag", "poe"], 3, "no board of", "fleet hil list"),
    "no test fits": (["--", "-k", "nothing"], 3, "no test fits", "-k"),
    "pytest does not understand": (["--", "--no-such-option"], 1, "the suites could not be run", "pytest.log"),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_run(case: str, bench: Path, tmp_path: Path) -> None:
    words, code, message, hint = REFUSED[case]
    with started(bench, make_suites(tmp_path / "suites", alone=SUITE), "--json", *words) as process:
        assert process.wait() == code
        said = error(process)
    assert said["message"].startswith(message)
    assert hint in said["hint"]


def test_suites_that_do_not_exist(bench: Path, tmp_path: Path) -> None:
    found = command("hil", "run", "--bench", bench, "--tests", tmp_path / "none", "--json")
    assert (found.code, found.error["message"]) == (3, f"no suites in {tmp_path / 'none'}")


def test_no_bench(tmp_path: Path) -> None:
    for words in (["list"], ["run"], ["report"]):
        found = command("hil", *words, "--bench", tmp_path / "none.toml", "--json")
        assert (found.code, found.error["code"]) == (3, "not-found")


def test_the_list_says_who_has_what(tmp_path: Path) -> None:
    bench = make_bench(tmp_path / "bench")
    with bench.open("a") as file:
        file.write('quarantine = {reason = "relay sticks", since = 2026-11-22}\n')
        file.write('[[board]]\nid = "far"\nport = "socket://desk:4000"\ntags = ["far"]\npower = {driver = "rts"}\n')
        file.write('[[board]]\nid = "gone"\nport = "ttyUSB9"\n')
    held, *_ = inventory.load(bench).boards
    with lock.acquire(held):
        rows = command("hil", "list", "--bench", bench, "--json").json["boards"]
        table = command("hil", "list", "--bench", bench).out
    assert [(row["board"], row["state"]) for row in rows] == [
        ("air-1", "in use"), ("air-2", "free"), ("air-3", "quarantined"), ("far", "free"), ("gone", "absent"),
    ]  # fmt: skip
    assert f"pid {os.getpid()}" in rows[0]["why"]
    assert rows[2]["why"] == "relay sticks (since 2026-11-22)"
    assert "relay sticks" in table
    assert command("hil", "list", "--bench", bench, "--tag", "far", "-o", "name").out == "far\n"


def test_a_page_of_nothing(bench: Path) -> None:
    found = command("hil", "report", "--bench", bench, "--json")
    assert (found.code, found.error["message"]) == (3, "no run to report")


def test_the_page_of_the_runs_that_were_named_or_of_the_last(bench: Path, tmp_path: Path) -> None:
    home = bench.parent / "results"
    for day in ("2026-11-20", "2026-11-22", "2026-11-21"):
        directory = results.begin(home, results.Run(day, "desk", f"{day}T06:00:00Z"))
        results.Recorder(directory).test("test_a.py::test_it").end(results.PASSED, 1)
        results.end(directory, 0)
    last = command("hil", "report", "--bench", bench, "--last", "2", "--json").json["report"]
    assert [row["run"] for row in last["runs"]] == ["2026-11-21", "2026-11-22"]
    assert last["file"] == str(home / "report.html")
    named = command("hil", "report", home / "2026-11-22", home / "2026-11-20", "--out", tmp_path / "x.html")
    assert [line.split()[:3] for line in named.out.splitlines()[1:]] == [
        ["2026-11-20", "passed", "1"], ["2026-11-22", "passed", "1"],
    ]  # fmt: skip
    assert named.err.strip() == str(tmp_path / "x.html")
    assert "bench/results/2026-11-22/run.json" in (tmp_path / "x.html").read_text()
    beside = command("hil", "report", home / "2026-11-22", "--json").json["report"]["file"]
    assert beside == str(home / "report.html")
