"""Power fails within a flash operation: afterwards the node boots, has identity and records, and says the truth.

Here the cuts are a sample on whole boards, and `--seed` repeats them; every single operation is `make powercut`.
"""

import random

import pytest

from hil_tests.harness.board import BenchBoard
from hil_tests.harness.city import City, CommandError
from hil_tests.harness.console import Console
from hil_tests.harness.node import Node
from hil_tests.harness.session import Session
from hil_tests.harness.stimulus import CUT, Stimulus

ONLINE_S = 240
CUTS = 5
CUTS_SHORT = 1
OPERATIONS = 40  # flash operations of a few records, or of a change of configuration
BLOCK = 4096  # bytes: a torn write leaves so many at most

pytestmark = [pytest.mark.fixtures(CUT), pytest.mark.crash_ok]


@pytest.fixture
def chance(request: pytest.FixtureRequest, bench: Session) -> random.Random:
    """The cuts of a test, the same for the same --seed."""
    return random.Random(f"{bench.seed} {request.node.originalname}")


@pytest.fixture
def cuts(request: pytest.FixtureRequest) -> int:
    """How many."""
    given: int | None = request.config.getoption("--cuts")
    return (CUTS_SHORT if request.config.getoption("--hil-short") else CUTS) if given is None else given


def planned(chance: random.Random, most: int) -> tuple[int, int | None]:
    """The operation within which power fails, and how many bytes of it are done (None = all of it)."""
    return chance.randint(1, most), chance.choice([None, 0, chance.randrange(BLOCK)])


def back(node: Node, board: BenchBoard, console: Console, boots: int) -> None:
    """Power returns: the node boots by itself as who it is, comes online, and nothing of it is missing."""
    since = node.now()
    board.power_on()
    report = console.report(60, asking=False)
    assert (report.node, report.state, report.slot) == (node.name, "node", "a")
    assert report.boot >= boots
    node.state(ONLINE_S, since, online=True, boot=report.boot)
    account = node.settled(ONLINE_S)
    assert account.missing == 0, f"{account.missing} entries are lost"


def test_power_fails_while_records_are_kept(
    node: Node, board: BenchBoard, console: Console, stimulus: Stimulus, chance: random.Random, cuts: int
) -> None:
    for _ in range(cuts):
        boots = console.report().boot
        after, keep = planned(chance, OPERATIONS)
        console.log.note(f"power fails within operation {after}, {keep} bytes of it done")
        stimulus.cut(after, keep)
        assert stimulus.wait("off"), f"operation {after} never came"
        back(node, board, console, boots)


def test_power_fails_while_a_configuration_is_changed(
    node: Node, board: BenchBoard, city: City, console: Console, stimulus: Stimulus, chance: random.Random, cuts: int
) -> None:
    for number in range(cuts):
        boots = console.report().boot
        after, keep = planned(chance, OPERATIONS // 4)
        console.log.note(f"power fails within operation {after}, {keep} bytes of it done")
        stimulus.cut(after, keep)
        city.fleet("node", "config", "set", node.name, f"heartbeat_s={31 + number}", "--yes")
        assert stimulus.wait("off"), f"operation {after} never came"
        back(node, board, console, boots)
        node.configure(heartbeat_s=40 + number)
        assert node.command("read_config")["heartbeat_s"] == 40 + number


def test_power_fails_while_an_identity_is_written(
    node: Node, board: BenchBoard, city: City, console: Console, stimulus: Stimulus, chance: random.Random, cuts: int
) -> None:
    """The board is afterwards who it was, or who it is to be; doing it again makes it good."""
    for _ in range(cuts):
        after, keep = planned(chance, OPERATIONS // 4)
        console.log.note(f"power fails within operation {after}, {keep} bytes of it done")
        stimulus.cut(after, keep)
        with console.lent("provision"):
            try:
                city.board(*board.provision_words(city, node.name), "--yes")
            except CommandError as error:
                console.log.note(f"provision: {error.message}")
        if stimulus.wait("off", 5):
            board.power_on()
        report = console.report(60)
        assert (report.node, report.state) == (node.name, "node")
        with console.lent("provision again"):
            city.board(*board.provision_words(city, node.name), "--yes")
        since = node.now()
        node.state(ONLINE_S, since, online=True)
        assert node.settled(ONLINE_S).missing == 0
