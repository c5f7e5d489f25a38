"""The fixtures. A test asks for `board` (a locked board whose loader answers) or `node` (one that reports), and for
what it does to them; it never names a service, a port or a kind of board.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pytest_embedded_serial.dut import SerialDut  # type: ignore[import-untyped]

from fleet.hil import results
from hil_tests.harness import artefacts
from hil_tests.harness.assign import Seat
from hil_tests.harness.board import BenchBoard
from hil_tests.harness.city import City
from hil_tests.harness.console import Console
from hil_tests.harness.console_log import ConsoleLog
from hil_tests.harness.keys import CONSOLE, ENDED, QUARANTINED, RECORD, SEAT, SESSION
from hil_tests.harness.line import Line
from hil_tests.harness.node import Node
from hil_tests.harness.session import Session
from hil_tests.harness.stimulus import Stimulus
from hil_tests.harness.verdict import QuarantineError
from hil_tests.harness.wire import Wire

pytest_plugins = ["hil_tests.harness.plugin"]

Measure = Callable[..., results.Measurement]

# Short enough for a test, the same on every board: a record every ten seconds, sent at once.
SETTINGS = {
    "interval_s": 10,
    "batch": 1,
    "heartbeat_s": 30,
    "backoff_max_s": 10,
    "start_jitter_s": 0,
    "report_s": 10,
}


@pytest.fixture(scope="session")
def bench(request: pytest.FixtureRequest) -> Session:
    """This process of the run."""
    return request.config.stash[SESSION]


@pytest.fixture
def record(request: pytest.FixtureRequest) -> results.Test:
    """What is written down about this test."""
    found: results.Test = request.node.stash[RECORD]
    return found


@pytest.fixture
def measure(request: pytest.FixtureRequest, record: results.Test) -> Measure:
    """measure(name, value, unit, low=None, high=None): kept in results and JUnit; beyond a limit the test fails."""

    def measured(
        name: str, value: float, unit: str, low: float | None = None, high: float | None = None
    ) -> results.Measurement:
        found = record.measure(name, value, unit, low, high)
        request.node.user_properties.append(found.property())
        assert found.ok, f"{name}: {found}"
        return found

    return measured


@pytest.fixture
def board(request: pytest.FixtureRequest, bench: Session, record: results.Test) -> Iterator[BenchBoard]:
    """A board that fits the markers of the test, for this test alone; its loader has answered."""
    seat: Seat = request.node.stash[SEAT]
    if not seat.boards:
        raise QuarantineError(seat.why) if seat.aside else pytest.skip.Exception(seat.why)
    record.use(seat.boards[0].id)
    found = bench.board(seat)
    record.use(found.id)
    request.node.user_properties.append(("board", found.id))
    request.node.stash[QUARANTINED] = found.row.quarantine is not None
    stimulus = found.stimulus()
    yield found
    if request.node.stash[ENDED]["outcome"] == results.FAILED:
        artefacts.keep(found, record, bench)
        found.spoil()
    if stimulus:
        stimulus.well()
    found.power_on()


@pytest.fixture
def city(request: pytest.FixtureRequest, bench: Session) -> Iterator[City]:
    """The fleet of this run: broker, service, database. A test marked `alone` has it to itself."""
    found = bench.city
    board = request.getfixturevalue("board") if "board" in request.fixturenames else None
    with bench.run.city_in_use(alone=request.node.get_closest_marker("alone") is not None):
        yield found
        if board is not None:
            found.heal(board.id)


@pytest.fixture
def firmware(request: pytest.FixtureRequest) -> Path | None:
    """Where the program of the nodes comes from, unless it is this checkout."""
    given = request.config.getoption("--node-firmware")
    return Path(given) if given else None


@pytest.fixture
def wire(city: City, record: results.Test) -> Iterator[Wire]:
    """Everything that nodes say while the test runs."""
    found = Wire(city.config)
    yield found
    found.close()
    record.attach("wire.log", found.text())


@pytest.fixture
def node(
    request: pytest.FixtureRequest,
    bench: Session,
    board: BenchBoard,
    city: City,
    wire: Wire,
    firmware: Path | None,
) -> Iterator[Node]:
    """The board as a node of the city, with SETTINGS: flashed and provisioned unless an earlier test has done it."""
    with bench.breaking(board):
        name = board.to_app(city, firmware)
    console: Console = request.getfixturevalue("console")
    console.log.note(f"node {name}")
    deadly = request.node.get_closest_marker("crash_ok") is None
    found = Node(name, board.row.kind, city, wire, board.rate(), console.log.crashes if deadly else list)
    if not board.standing.settings:
        found.configure(**SETTINGS)
    found.changed.clear()
    board.settle(name, True)
    yield found
    if found.changed & SETTINGS.keys():
        board.settle(name, False)


@pytest.fixture
def console(dut: SerialDut, serial: Line, msg_queue: ConsoleLog, board: BenchBoard) -> Console:
    """The serial console of the board, from now on to the end of the test."""
    return Console(dut, serial, msg_queue, board)


@pytest.fixture
def stimulus(board: BenchBoard) -> Stimulus:
    """What this bench can do to the board from outside; say what is needed with `@pytest.mark.fixtures(...)`."""
    found = board.stimulus()
    if found is None:
        pytest.skip("no fixture: nothing on this bench can do that to the board")
    return found


# pytest-embedded's own fixtures, with our classes. It has a process and a queue between processes for each test, and
# one more for each session; what they do, a ConsoleLog does in place.


@pytest.fixture(scope="session", autouse=True)
def _mp_manager() -> None:
    """No process for queues."""


@pytest.fixture
def _pexpect_logfile(record: results.Test) -> str:
    """What `expect` reads."""
    return str(record.directory() / "console.raw")


@pytest.fixture
def _listener(msg_queue: ConsoleLog) -> Any:
    """No process that writes that file: the ConsoleLog has made it."""
    return SimpleNamespace(start=lambda: None)


@pytest.fixture
def msg_queue(request: pytest.FixtureRequest, record: results.Test, _pexpect_logfile: str) -> Iterator[ConsoleLog]:
    """Where the serial line puts what it reads."""
    log = ConsoleLog(Path(_pexpect_logfile), record.directory() / "console.log")
    request.node.stash[CONSOLE] = log
    yield log
    log.close()
    record.attach("console.log")


@pytest.fixture
def serial(msg_queue: ConsoleLog, board: BenchBoard) -> Iterator[Line]:
    """The serial line of the board."""
    line = Line(board.url, msg_queue=msg_queue)
    board.listen(line)
    yield line
    board.listen(None)
    line.close()
