"""Power fails within a flash operation: afterwards the node boots, has identity and records, and says the truth.

Here the cuts are a sample on whole boards, and `--seed` repeats them; every single operation is `make powercut`.
"""

import random
from dataclasses import dataclass

import pytest

from hil_tests.conftest import Measure
from hil_tests.harness.board import BenchBoard
from hil_tests.harness.city import City, CommandError
from hil_tests.harness.console import Console
from hil_tests.harness.node import Node
from hil_tests.harness.session import Session
from hil_tests.harness.stimulus import CUT, Stimulus

ONLINE_S = 240
REPORT_S = 60
RECORDS = 40  # flash operations of a few records
DOCUMENT = 10  # of one document that is replaced
BLOCK = 4096  # bytes: a torn write leaves so many at most
CUTS = 5
CUTS_SHORT = 1

pytestmark = [pytest.mark.fixtures(CUT), pytest.mark.crash_ok]


@dataclass(frozen=True)
class Cutter:
    """Chooses where power fails; the same for the same --seed."""

    chance: random.Random
    stimulus: Stimulus
    console: Console
    measure: Measure
    count: int  # so often

    def arm(self, most: int) -> int:
        """Power will fail within one of the next `most` flash operations; which one."""
        after, keep = self.chance.randint(1, most), self.chance.choice([None, 0, self.chance.randrange(BLOCK)])
        self.measure("cut_operation", after, "1")
        self.measure("cut_bytes", -1 if keep is None else keep, "By")  # -1: all of it is done
        self.console.log.note(f"power will fail within operation {after}, {keep} bytes of it done")
        self.stimulus.cut(after, keep)
        return after


@pytest.fixture
def cutter(
    request: pytest.FixtureRequest, bench: Session, node: Node, stimulus: Stimulus, console: Console, measure: Measure
) -> Cutter:
    """For this test."""
    given: int | None = request.config.getoption("--cuts")
    count = (CUTS_SHORT if bench.plan.short else CUTS) if given is None else given
    return Cutter(random.Random(f"{bench.seed} {request.node.name}"), stimulus, console, measure, count)


def back(node: Node, board: BenchBoard, console: Console, boot: int) -> None:
    """Power returns: the node boots by itself as who it is, comes online, and nothing of it is missing."""
    since = node.now()
    board.power_on()
    report = console.report(REPORT_S, asking=False)
    assert (report.node, report.state, report.slot) == (node.name, "node", "a")
    assert report.boot >= boot
    node.state(ONLINE_S, since, online=True, boot=report.boot)
    account = node.settled(ONLINE_S)
    assert account.missing == 0, f"{account.missing} entries are lost"


def test_power_fails_while_records_are_kept(node: Node, board: BenchBoard, console: Console, cutter: Cutter) -> None:
    for _ in range(cutter.count):
        boot = console.report().boot
        after = cutter.arm(RECORDS)
        assert cutter.stimulus.wait("off"), f"operation {after} never came"
        back(node, board, console, boot)


def test_power_fails_while_a_configuration_is_changed(
    node: Node, board: BenchBoard, city: City, console: Console, cutter: Cutter
) -> None:
    for number in range(cutter.count):
        boot = console.report().boot
        after = cutter.arm(DOCUMENT)
        city.fleet("node", "config", "set", node.name, f"heartbeat_s={31 + number}", "--yes")
        assert cutter.stimulus.wait("off"), f"operation {after} never came"
        back(node, board, console, boot)
        node.configure(heartbeat_s=60 + number)
        assert node.command("read_config")["heartbeat_s"] == 60 + number


@pytest.mark.slow  # whoever writes the identity waits long for a board without power
def test_power_fails_while_an_identity_is_written(
    node: Node, board: BenchBoard, city: City, console: Console, cutter: Cutter
) -> None:
    """The board is afterwards who it was, or who it is to be; doing it again makes it good."""
    for _ in range(cutter.count):
        with console.lent("provision"):
            cutter.arm(DOCUMENT)
            try:
                city.board(*board.provision_words(city, node.name), "--yes")
            except CommandError as error:
                console.log.note(f"provision: {error.message}")
        cutter.stimulus.wait("off", 1)
        board.power_on()
        report = console.report(REPORT_S)
        assert (report.node, report.state) == (node.name, "node")
        with console.lent("provision again"):
            city.board(*board.provision_words(city, node.name), "--yes")
        node.state(ONLINE_S, node.now(), online=True)
        assert node.settled(ONLINE_S).missing == 0
