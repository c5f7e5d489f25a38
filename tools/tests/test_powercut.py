"""The power-cut matrix from the command line: a sample of every operation, a writer that is careless, one cut alone."""

import json
from pathlib import Path
from typing import Any

import pytest

from fleet.flashing import layout
from tools.interpreter import ROOT
from tools.powercut import flashing
from tools.powercut.__main__ import OPERATIONS, main
from tools.powercut.device.choice import Bad, Choice
from tools.powercut.workers import PROGRAM

CARELESS = """
import sys
sys.path[0:1] = [{root!r}, {root!r} + "/firmware"]
from node.board.files import Files

def write_atomic(self, path, data):
    self._make_folders(path)
    with open(self._root + path, "wb") as file:
        file.write(data[:9])
        file.flush()
        file.write(data[9:])

Files.write_atomic = write_atomic
from tools.powercut.device.main import main
main()
"""


def run(tmp_path: Path, *words: str, program: Path = PROGRAM) -> tuple[int, dict]:
    """(exit code, document) of the command."""
    out = tmp_path / "out.json"
    code = main([*words, "--json", str(out), "--images", str(tmp_path / "images")], program)
    return code, json.loads(out.read_text())


@pytest.mark.slow
def test_a_sample_of_every_operation_is_good(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, found = run(tmp_path, "--sample", "25", "--seed", "3")
    assert (code, found["bad"], found["failures"]) == (0, 0, []), capfd.readouterr()
    assert found["operations"].keys() == OPERATIONS.keys()
    assert all(row["cuts"] > 0 for row in found["operations"].values())
    assert found["cuts"] == sum(row["cuts"] for row in found["operations"].values())
    assert (found["seed"], found["sample"]) == (3, 25)
    out = capfd.readouterr().out
    assert "provisioning: " in out
    assert f"{found['cuts']} cuts, 0 bad" in out


def test_a_careless_writer_is_caught_and_the_cut_can_be_made_again(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "careless.py"
    program.write_text(CARELESS.format(root=str(ROOT)))
    code, found = run(tmp_path, "--only", "config", "--sample", "60", program=program)
    assert (code, found["bad"]) == (1, len(found["failures"]))
    first = found["failures"][0]
    assert Path(first["image"]).stat().st_size == 64 * 4096
    assert first["repeat"] in capfd.readouterr().err
    again = first["repeat"].split()[3:]
    assert run(tmp_path, *again, program=program)[0] == 1
    assert run(tmp_path, *again)[0] == 0


def test_a_worker_that_fails_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = tmp_path / "wrong.py"
    program.write_text("raise ValueError('no such thing')")
    assert main(["--only", "boots", "--images", str(tmp_path)], program) == 1
    assert "no such thing" in capsys.readouterr().err


class Fine(Choice):
    """Only the end of the last session, which writes the root, but every few bytes of it."""

    def keeps(self, number: int, size: int) -> list[int]:
        """The cuts to make in that operation."""
        return list(range(0, min(size, 1024), 7)) if number > self.count - 3 else []

    def plan(self, sizes: list[int]) -> None:
        """There are operations of these sizes."""
        self.count = len(sizes)


def cut_flashing(tmp_path: Path, **choice: Any) -> list[Bad]:
    """What the chosen cuts of flashing show."""
    return cut_flashing_by(tmp_path, Choice(**choice))


def cut_flashing_by(tmp_path: Path, choice: Choice) -> list[Bad]:
    """What the cuts that are chosen show."""
    found: list[Bad] = []
    chip = flashing.Chip(tmp_path / "flash.bin")
    flashing.Flashing(chip, choice, found.append, lambda: None).run(flashing.sessions())
    chip.close()
    return found


def test_a_board_is_whole_or_nothing_while_it_is_flashed(tmp_path: Path) -> None:
    assert cut_flashing(tmp_path, sample=60) == []


def test_a_root_that_is_written_in_part_makes_no_node(tmp_path: Path) -> None:
    assert cut_flashing_by(tmp_path, Fine()) == []


def test_a_root_that_comes_first_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = layout.pieces
    monkeypatch.setattr(layout, "pieces", lambda *parts: sorted(pieces(*parts), key=lambda piece: piece.offset))
    assert any("says that it runs" in bad.text for bad in cut_flashing(tmp_path, sample=200))


def test_a_root_that_stays_is_caught_and_one_cut_of_flashing_or_two_can_be_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "root", lambda offset: (offset, 0))
    found = cut_flashing(tmp_path, sample=60)
    for first in (next(bad for bad in found if not bad.again), next(bad for bad in found if bad.again)):
        again = cut_flashing(tmp_path, at=first.cut[0], keep=first.cut[1], again=first.again)[-1]
        assert (again.cut, again.again, again.text) == (first.cut, first.again, first.text)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--only", "dancing"], "invalid choice"),
        (["--at", "3"], "--at needs one --only"),
        (["--only", "boots", "--keep", "3"], "need --at"),
        (["--sample", "0"], "at least 1"),
        (["--only", "boots", "--at", "1", "--again", "x"], "invalid"),
    ],
)
def test_what_makes_no_sense_is_said(words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 2
    assert complaint in capsys.readouterr().err
