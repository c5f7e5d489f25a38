"""Results: written by several processes at once, merged whatever died, read again in any version."""

import json
import math
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.errors import FleetError, NotFoundError
from fleet.hil import results
from fleet.hil.results import BoardFacts, Measurement, Recorder, Result, Run
from fleet.tests.hil_rig import read_json, until

BOARDS = (BoardFacts("air-1", "/dev/ttyUSB0", "esp32", "air", ("poe",)), BoardFacts("air-2"))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return results.begin(tmp_path, Run("", bench="desk", boards=BOARDS, asked={"count": 3}, environment={"host": "h"}))


def test_a_run_from_beginning_to_end(run: Path) -> None:
    recorder = Recorder(run, "gw0")
    recorder.expect(1)
    recorder.board("air-1", results.READY, mac="24:0a:c4:00:00:01", firmware="0.2.0")
    test = recorder.test("test_boot.py::test_it[a/b]", repeat=2, seed=7)
    test.use("air-1")
    assert test.measure("boot", 2.5, "s", high=4).ok
    assert test.attach("serial log", "boot\n").read_text() == "boot\n"
    test.end(results.PASSED, 1.23456, " fine \n")
    recorder.close()
    ended = results.end(run, 0)
    assert ended == results.load(run)
    (one,) = ended.results
    assert re.fullmatch(r"artefacts/test_it-a-b-2-[0-9a-f]{6}/serial-log", one.artefacts[0].path)
    assert (run / one.artefacts[0].path).read_text() == "boot\n"
    assert replace(one, started="", artefacts=()) == Result(
        "test_boot.py::test_it[a/b]", ("air-1",), results.PASSED, 1.235, "", 2, "fine", "", 7,
        (Measurement("boot", 2.5, "s", None, 4),), (), "gw0",
    )  # fmt: skip
    assert ended.boards[0] == replace(BOARDS[0], state="ready", mac="24:0a:c4:00:00:01", firmware="0.2.0")
    assert (ended.bench, ended.verdict, ended.expected, ended.exit_code) == ("desk", results.PASSED, 1, 0)
    document = read_json(run / "run.json")
    assert document["totals"] == ended.totals
    assert (document["verdict"], document["schema"]) == ("passed", 1)


WORKER = """
import sys
from pathlib import Path
from fleet.hil import results
recorder = results.Recorder(Path(sys.argv[1]), sys.argv[2])
print("on", flush=True)
for number in range(200):
    test = recorder.test(f"test_x.py::test_{sys.argv[2]}_{number}")
    test.use("air-1")
    test.measure("n", number, "1")
    test.end("passed", 0.1, detail="x" * 5000)
test = recorder.test("test_x.py::test_last")
test.use("air-2")
print("last", flush=True)
sys.stdin.read()
"""


def test_several_processes_write_at_once_and_one_is_killed(run: Path) -> None:
    words = [sys.executable, "-c", WORKER, str(run)]
    workers = [
        subprocess.Popen([*words, f"gw{n}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for n in range(3)
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert [worker.stdout.readline(), worker.stdout.readline()] == ["on\n", "last\n"]
        worker.send_signal(signal.SIGKILL)
        worker.communicate()
    merged = results.end(run, None)
    assert merged.totals[results.PASSED] == 600
    died = [one for one in merged.results if one.outcome == results.INFRASTRUCTURE]
    assert [(one.test, one.boards) for one in died] == [("test_x.py::test_last", ("air-2",))] * 3
    assert "did not end" in died[0].message


@given(st.binary(max_size=200), st.integers(0, 400))
def test_a_torn_or_damaged_part_costs_its_own_lines_only(rubbish: bytes, cut: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        made = results.begin(Path(place), Run("", boards=BOARDS))
        recorder = Recorder(made, "gw0")
        recorder.test("a").end(results.PASSED, 1)
        recorder.close()
        part = made / "parts" / "gw1-1.jsonl"
        line = b'{"kind": "ended", "test": "b", "outcome": "passed", "seconds": 1}\n'
        part.write_bytes(rubbish + b"\n" + line[:cut])
        found = {one.test for one in results.load(made).results}
        assert found >= {"a"}
        assert ("b" in found) == (cut >= len(line) - 1)


def test_what_is_known_of_a_board_is_kept_and_broken_is_for_good(run: Path) -> None:
    one, two = Recorder(run, "gw0"), Recorder(run, "gw1")
    one.board("air-1", results.READY, mac="24:0a", firmware="1")
    assert two.broken() == {}
    two.board("air-1", results.BROKEN, "its loader does not answer")
    assert one.broken() == {"air-1": "its loader does not answer"}
    one.board("air-1", results.READY)
    one.board("new-1", results.READY)
    merged = results.end(run, 0)
    found = {board.id: board for board in merged.boards}
    assert (found["air-1"].state, found["air-1"].reason, found["air-1"].mac) == (
        "broken", "its loader does not answer", "24:0a",
    )  # fmt: skip
    assert found["new-1"].state == "ready"
    assert merged.broken == {"air-1": "its loader does not answer"}
    assert merged.verdict == results.INFRASTRUCTURE


VERDICTS = {
    "one failure outweighs all": (["passed", "failed", "infrastructure"], "failed"),
    "the bench's fault is not the product's": (["passed", "infrastructure"], "infrastructure"),
    "a board in quarantine decides nothing": (["passed", "quarantined", "skipped"], "passed"),
    "nothing that decides": (["skipped", "quarantined"], "skipped"),
    "nothing at all": ([], "skipped"),
}


@pytest.mark.parametrize("case", VERDICTS)
def test_verdicts(case: str) -> None:
    outcomes, verdict = VERDICTS[case]
    run = Run("x", ended="z", results=tuple(Result(str(n), outcome=one) for n, one in enumerate(outcomes)))
    assert run.verdict == verdict


def test_a_run_that_never_ended_is_no_success(run: Path) -> None:
    Recorder(run).test("a").end(results.PASSED, 1)
    assert results.load(run).verdict == results.INFRASTRUCTURE


MEASUREMENTS = {
    "within": (Measurement("a", 2, "s", 1, 3), True, "2 s (ok 1 .. 3)"),
    "at the limit": (Measurement("a", 3, "s", 1, 3), True, "3 s (ok 1 .. 3)"),
    "above": (Measurement("a", 3.5, "s", None, 3), False, "3.5 s (NOT <= 3)"),
    "below": (Measurement("a", 0, "1", 1, None), False, "0 (NOT >= 1)"),
    "without limits": (Measurement("a", 1234567, "By"), True, "1.23457e+06 By"),
}


@pytest.mark.parametrize("case", MEASUREMENTS)
def test_measurements(case: str) -> None:
    measurement, ok, text = MEASUREMENTS[case]
    assert (measurement.ok, str(measurement)) == (ok, text)
    assert measurement.property() == ("measurement.a", text)


def test_measured_values_are_numbers(run: Path) -> None:
    test = Recorder(run).test("a")
    assert test.measure("a", Decimal("1.5"), "V", high=Decimal(2)) == Measurement("a", 1.5, "V", None, 2)
    assert isinstance(test.measure("b", 3.0).value, int)
    for value in (math.nan, math.inf, Decimal("nan")):
        with pytest.raises(ValueError, match="is no measurement"):
            test.measure("c", value)


def test_texts_are_bounded(run: Path) -> None:
    test = Recorder(run).test("a")
    end = test.end(results.FAILED, 1, "m" * 10**6, "d" * 10**6 + "the end")
    assert len(end.message) == 4000
    assert len(end.detail) == 20000
    assert end.detail.endswith("the end"), "what went wrong stands at the end of a traceback"
    for _ in range(1000):
        test.measure("n", 1)
    with pytest.raises(ValueError, match="more than 1000"):
        test.measure("n", 1)


def test_names_of_files_stay_within_the_run(run: Path) -> None:
    test = Recorder(run).test("test_x.py::test_[../../../etc/passwd]")
    path = test.attach("../../evil name", b"x")
    assert path.resolve().is_relative_to(run / "artefacts")
    assert path.name == "..-..-evil-name"


def test_progress_is_what_is_new(run: Path) -> None:
    recorder = Recorder(run, "gw0")
    follower = results.Follower(run)
    assert (follower.ended(), follower.expected) == ([], 0)
    recorder.expect(2)
    recorder.test("a").end(results.PASSED, 1)
    part = next((run / "parts").iterdir())
    with part.open("ab") as file:
        file.write(b'{"kind": "ended", "test":')
    assert [one.test for one in follower.ended()] == ["a"]
    with part.open("ab") as file:
        file.write(b' "b"}\n')
    assert [one.test for one in follower.ended()] == ["b"]
    assert (follower.ended(), follower.expected) == ([], 2)


def test_runs_are_listed_by_their_begin(tmp_path: Path) -> None:
    for name in ("2026-11-22T06-00-00Z-aaaa", "2026-11-21T06-00-00Z-bbbb"):
        results.begin(tmp_path, Run(name))
    (tmp_path / "something else").mkdir()
    assert [path.name[:10] for path in results.runs(tmp_path)] == ["2026-11-21", "2026-11-22"]


def test_documents_of_other_versions_are_read(run: Path) -> None:
    results.end(run, 0)
    tree = read_json(run / "run.json") | {"schema": 2, "colour": "green"}
    (run / "run.json").write_text(json.dumps(tree))
    assert results.load(run).bench == "desk"
    (run / "run.json").write_text('{"id": "x", "results": [{"test": "a", "new": 1}]}')
    assert results.load(run).results == (Result("a"),)


DAMAGE = {
    "no JSON": b"{",
    "no object": b"[]",
    "a result without a name": b'{"id": "x", "results": [{}]}',
    "no results but a number": b'{"id": "x", "results": 7}',
    "text that is none": b"\xff\xfe",
    "a board that is a word": b'{"id": "x", "boards": ["a"]}',
    "a board in a state that is none": b'{"id": "x", "boards": [{"id": "a", "state": "odd"}]}',
    "a test with an outcome that is none": b'{"id": "x", "results": [{"test": "a", "outcome": "odd"}]}',
    "an outcome that is a list": b'{"id": "x", "results": [{"test": "a", "outcome": ["passed"]}]}',
    "seconds that are a text": b'{"id": "x", "results": [{"test": "a", "seconds": "1"}]}',
    "seconds without end": b'{"id": "x", "results": [{"test": "a", "seconds": 1e999}]}',
    "a value that is no number": b'{"results": [{"test": "a", "measurements": [{"name": "m", "value": NaN}]}]}',
    "a number that nothing can show": b'{"id": "x", "results": [{"test": "a", "seed": 1' + b"0" * 400 + b"}]}",
    "an artefact without a path": b'{"id": "x", "results": [{"test": "a", "artefacts": [{"name": "m"}]}]}',
    "a begin that is no time": b'{"id": "x", "started": "yesterday"}',
    "an environment that is a list": b'{"id": "x", "environment": ["a"]}',
    "brackets without end": b"[" * 100_000,
}


@pytest.mark.parametrize("case", DAMAGE)
def test_a_damaged_document_is_one_error(case: str, run: Path) -> None:
    (run / "run.json").write_bytes(DAMAGE[case])
    with pytest.raises(FleetError, match="damaged"):
        results.load(run)


def test_a_directory_that_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="is no run of a bench"):
        results.load(tmp_path)


def test_two_runs_of_one_second_are_two(tmp_path: Path) -> None:
    assert len({results.begin(tmp_path, Run("")) for _ in range(20)}) == 20
    assert until(lambda: os.listdir(tmp_path))


def test_a_line_of_other_types_costs_itself_only(run: Path) -> None:
    (run / "parts" / "gw0-1.jsonl").write_text(
        '{"kind": "ended", "test": 7}\n{"kind": "expected", "count": "many"}\n{"kind": "board", "id": [1]}\n'
        '{"kind": "ended", "test": "a", "outcome": "odd"}\n{"kind": "ended", "test": "b", "seconds": 1}\n'
    )
    assert [one.test for one in results.load(run).results] == ["b"]
    assert [one.test for one in results.Follower(run).ended()] == ["b"]
