"""A program that hangs is ended by the watchdog, and one that keeps dying is run with less of itself."""

import pytest

from hil_tests.conftest import Measure
from hil_tests.harness.board import BenchBoard
from hil_tests.harness.console import Console
from hil_tests.harness.node import Node
from protocol.messages import RESET_HARD, RESET_WATCHDOG

WATCHDOG_S = 60
SAFE_AFTER = 5  # bad ends in a row
STEADY_S = 600  # a run that lasted this long was no bad one
ONLINE_S = 120

pytestmark = pytest.mark.crash_ok


def test_the_watchdog_restarts_a_program_that_hangs(
    node: Node, board: BenchBoard, console: Console, measure: Measure
) -> None:
    before = console.report().boot
    console.stop_program()
    console.type("while True: pass")
    began = node.now()
    report = console.report(2 * WATCHDOG_S, asking=False)
    measure("bitten", (node.now() - began) * node.rate, "s", high=1.5 * WATCHDOG_S + 10 * node.rate)
    assert (report.boot, report.cause) == (before + 1, RESET_WATCHDOG)
    told = node.event("boot", ONLINE_S, began)
    assert told.fields["attributes"]["cause"] == RESET_WATCHDOG
    assert not told.fields["attributes"].get("intended", False)
    assert node.settled().missing == 0
    board.spoil()  # one bad end is on its account now


@pytest.mark.slow
def test_a_node_that_keeps_dying_goes_into_safe_mode_and_out_of_it(
    node: Node, board: BenchBoard, console: Console
) -> None:
    board.spoil()
    began = node.now()
    before = console.report().boot
    for number in range(1, SAFE_AFTER + 1):
        console.stop_program()
        console.type("import machine; machine.reset()")
        report = console.report(30, asking=False)
        assert (report.boot, report.cause) == (before + number, RESET_HARD)
    node.event("safe_mode", ONLINE_S, began)
    node.state(ONLINE_S, began, online=True, safe_mode=True)
    assert node.command("ping")["up_s"] >= 0  # it still can be reached
    if node.kind == "light":
        assert node.command("set_level", level=200, seconds=60) == {"level": 200, "seconds": 60}
    node.sleep(STEADY_S)
    since = node.now()
    node.command("reboot", delay_s=0)
    node.state(ONLINE_S, since, online=True, safe_mode=False)
