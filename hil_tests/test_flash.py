"""From a board with anything on it to a node that reports, in one command."""

from pathlib import Path

import pytest

from hil_tests.conftest import Measure
from hil_tests.harness.board import BenchBoard
from hil_tests.harness.city import City, CommandError
from hil_tests.harness.node import Node

REWRITTEN_PC = 15  # of a flash with one module changed (issue 3, acceptance 5)


def test_an_erased_board_becomes_a_node_in_one_command(
    board: BenchBoard, city: City, firmware: Path | None, measure: Measure
) -> None:
    board.spoil()
    city.fleet("board", "erase", "--port", board.url, "--yes", own=False)
    name = board.new_name()
    done = city.fleet(*board.flash_words(city, name, firmware), "--yes")
    (row,) = done["boards"]
    measure("flash_bytes", row["written"], "By")
    measure("flash_time", row["seconds"], "s", high=300)
    report = board.report()
    assert report is not None
    assert (report.node, report.kind, report.board, report.state) == (name, board.row.kind, board.pins, "node")
    assert report.manifest == row["manifest"]
    board.settle(name, False)


def test_a_board_that_has_it_all_is_not_written_again(
    board: BenchBoard, node: Node, city: City, firmware: Path | None
) -> None:
    """The same command once more changes nothing, and the node keeps its identity and its records."""
    board.close_console()


@pytest.mark.crash_ok
def test_records_that_wait_are_not_flashed_over(
    board: BenchBoard, node: Node, city: City, firmware: Path | None
) -> None:
    city.cut(board.id)
    with pytest.raises(CommandError) as refused:
        city.fleet(*board.flash_words(city, node.name, firmware))
    assert refused.value.code == "not-allowed"
