"""Why a node started, which copy of its program runs, and what it says about that."""

import pytest

from fleet.flashing.remote import Remote
from hil_tests.conftest import Measure
from hil_tests.harness.board import BenchBoard
from hil_tests.harness.console import Console
from hil_tests.harness.node import Node
from protocol.messages import RESET_HARD, RESET_POWER_ON
from protocol.report import DAMAGED, NODE

BOOT_S = 12  # to the first message, by the budget of the design
ONLINE_S = 120
WATCHDOG_S = 60
TRIES = 3

# The pointer as node/core/slots.py has it: {1: good slot, 2: slot on trial, 3: tries}
POINTER = """\
import os
with open('/slot.tmp', 'wb') as file:
    file.write(b'\\xa3\\x01\\x61a\\x02\\x61b\\x03' + bytes(({tries},)))
os.rename('/slot.tmp', '/slot.cbor')
answer = {{}}
"""
COPY = """\
import os
def copy(source, target):
    os.mkdir(target)
    for row in os.ilistdir(source):
        name = '/' + row[0]
        if row[1] == 0x4000:
            copy(source + name, target + name)
        else:
            with open(source + name, 'rb') as old, open(target + name, 'wb') as new:
                while 1:
                    data = old.read(2048)
                    if not data:
                        break
                    new.write(data)
copy('/a', '/b')
answer = {}
"""


@pytest.mark.switch
def test_power_on_is_told_as_power_on(node: Node, board: BenchBoard, console: Console, measure: Measure) -> None:
    before = console.report().boot
    board.power_off()
    since = node.now()
    board.power_on()
    report = console.report(30, asking=False)
    measure("boot_to_report", (node.now() - since), "s", high=BOOT_S)
    assert (report.boot, report.cause, report.node) == (before + 1, RESET_POWER_ON, node.name)
    told = node.event("boot", ONLINE_S, since)
    assert told.fields["attributes"]["cause"] == RESET_POWER_ON
    state = node.state(ONLINE_S, since, online=True, boot=report.boot)
    measure("boot_to_online", (state.at_s - since) * node.rate, "s", high=ONLINE_S)
    assert node.settled().missing == 0


def test_a_restart_that_was_ordered_is_told_as_intended(node: Node, console: Console) -> None:
    before = console.report().boot
    since = node.now()
    node.command("reboot", delay_s=0)
    told = node.event("boot", ONLINE_S, since)
    attributes = told.fields["attributes"]
    assert (attributes["cause"], attributes["intended"], attributes["reason"]) == (RESET_HARD, True, "command reboot")
    assert console.report().boot == before + 1
    assert node.settled().missing == 0


@pytest.mark.slow
def test_a_slot_on_trial_is_kept_once_it_has_proved_itself(node: Node, board: BenchBoard, console: Console) -> None:
    board.spoil()
    remote = Remote(board.url)
    with console.lent("copy the program into slot b"):
        remote.ask(COPY)
        remote.ask(POINTER.format(tries=TRIES))
        remote.restart()
    since = node.now()
    assert console.report(30).slot == "b"
    node.state(ONLINE_S, since, online=True, slot="b")
    node.command("ping")
    node.sleep(30)
    node.command("reboot", delay_s=0)
    node.event("boot", ONLINE_S, since, slot="b")
    assert console.report(30).slot == "b"


@pytest.mark.slow
@pytest.mark.crash_ok
def test_a_slot_that_does_not_run_is_given_up_and_told(node: Node, board: BenchBoard, console: Console) -> None:
    """There is nothing in slot b: each try ends at a prompt, the watchdog ends that, and slot a runs again."""
    board.spoil()
    remote = Remote(board.url)
    with console.lent("point to an empty slot"):
        remote.ask(POINTER.format(tries=TRIES))
        remote.restart()
    since = node.now()
    for _ in range(TRIES):
        assert console.report(2 * WATCHDOG_S, asking=False).state == DAMAGED
    report = console.report(2 * WATCHDOG_S, asking=False)
    assert (report.state, report.slot) == (NODE, "a")
    told = node.event("boot", ONLINE_S, since)
    assert told.fields["attributes"]["reason"] == "reverted slot b"
