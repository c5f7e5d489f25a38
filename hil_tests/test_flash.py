"""From a board with anything on it to a node that reports, in one command; and what must not get lost on the way."""

import shutil
from pathlib import Path

import pytest

from fleet.flashing import firmware as sources
from hil_tests.conftest import SETTINGS, Measure
from hil_tests.harness.board import BenchBoard
from hil_tests.harness.city import City, CommandError
from hil_tests.harness.console import Console
from hil_tests.harness.node import Node

REWRITTEN_PC = 15  # of all bytes, when one module has changed
ONLINE_S = 120


def test_an_erased_board_becomes_a_node_in_one_command(
    board: BenchBoard, city: City, firmware: Path | None, measure: Measure
) -> None:
    board.spoil()
    name = board.new_name()
    done = city.board(*board.flash_words(city, name, firmware), "--erase", "--yes")
    (row,) = done["boards"]
    measure("flash_bytes", row["written"], "By")
    measure("flash_time", float(row["seconds"]), "s", high=300)
    report = board.report()
    assert report is not None
    assert (report.node, report.kind, report.board, report.state) == (name, board.row.kind, board.pins, "node")
    assert (report.manifest, report.fw) == (row["manifest"], row["version"])
    assert city.fleet("node", "show", name)["node"]["standing"] == "accepted"
    board.settle(name, False)


@pytest.mark.crash_ok
def test_a_board_that_has_it_all_is_left_alone(
    node: Node, board: BenchBoard, city: City, console: Console, firmware: Path | None
) -> None:
    assert node.settled().missing == 0
    with console.lent("flash it again"):
        done = city.board(*board.update_words(firmware), "--yes")
    (row,) = done["boards"]
    assert (row["result"], row["node"], row["written"]) == ("unchanged", node.name, 0)
    node.state(ONLINE_S, node.now(), online=True)


@pytest.mark.crash_ok
def test_records_that_wait_are_not_flashed_over(
    node: Node, board: BenchBoard, city: City, console: Console, firmware: Path | None
) -> None:
    city.cut(board.id)
    node.sleep(5 * SETTINGS["interval_s"])
    assert console.report().waiting
    with console.lent("flash it, which must be refused"), pytest.raises(CommandError) as refused:
        city.board(*board.update_words(firmware), "--force")
    assert refused.value.code == "not-allowed"
    city.heal(board.id)
    assert node.settled().missing == 0


@pytest.mark.crash_ok
def test_a_change_of_one_module_is_a_small_one(
    node: Node, board: BenchBoard, city: City, console: Console, firmware: Path | None, tmp_path: Path, measure: Measure
) -> None:
    """Another program, the same node: identity, settings and records are there afterwards."""
    board.spoil()
    before = console.report()
    assert node.settled().missing == 0
    changed = _changed(firmware or sources.directory(), tmp_path)
    with console.lent("flash a program with one module changed"):
        done = city.board(*board.update_words(changed), "--yes")
    (row,) = done["boards"]
    measure("rewritten", 100 * row["written"] / row["size"], "%", high=REWRITTEN_PC)
    after = console.report()
    assert (after.node, after.state) == (node.name, "node")
    assert after.manifest not in ("", before.manifest)
    assert after.boot > before.boot
    node.state(ONLINE_S, node.now(), online=True)
    assert node.command("read_config")["interval_s"] == SETTINGS["interval_s"]
    assert node.settled().missing == 0


def _changed(top: Path, scratch: Path) -> Path:
    """A copy of the sources in which one line of one module is another."""
    copy = scratch / "firmware"
    leave = shutil.ignore_patterns("tests", "__pycache__")
    shutil.copytree(top, copy, ignore=leave)
    shutil.copytree(top.parent / "protocol", scratch / "protocol", ignore=leave)
    module = copy / "node" / "core" / "backoff.py"
    module.write_text(module.read_text() + "\n_CHANGED = (1,)\n")
    return copy
