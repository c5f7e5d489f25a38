"""The hooks: options, which test runs where, whose fault a failure is, and what is written down about it."""

import re
import time
from collections.abc import Generator, Iterator
from typing import Any

import pytest

from fleet.hil import plan as plans
from fleet.hil import results
from hil_tests.harness import assign, scheduling
from hil_tests.harness.keys import CONSOLE, ENDED, QUARANTINED, RECORD, SEAT, SESSION
from hil_tests.harness.scheduling import BoardScheduling
from hil_tests.harness.session import Session
from hil_tests.harness.verdict import InfrastructureError, QuarantineError

# The order of the suites: what needs no node first, what leaves a board in pieces last.
SUITES = (
    "flash",
    "provision",
    "boot",
    "telemetry",
    "sensors",
    "lamp",
    "outages",
    "watchdog",
    "power_cuts",
    "soak",
)
_PLAIN = (AssertionError, InfrastructureError, QuarantineError, pytest.fail.Exception)  # their text says it all
_REPEAT = "repeat"
_REPEATED = re.compile(rf"-?{_REPEAT}-(\d+)")


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of `fleet hil run`, and those of single suites."""
    plans.add_options(parser)
    group = parser.getgroup("suites", "single suites")
    group.addoption("--soak", type=float, default=None, metavar="SECONDS", help="of a node's time (600, short 60)")
    group.addoption("--cuts", type=int, default=None, metavar="N", help="power cuts of each kind (5, short 1)")
    group.addoption("--seed", type=int, default=None, metavar="N", help="of the power cuts; default: a new one")
    group.addoption("--node-firmware", default="", metavar="DIR", help="other sources of the program to flash")


def pytest_configure(config: pytest.Config) -> None:
    """Begin the run, or join the one that the first process has begun."""
    if not config.option.collectonly:
        config.stash[SESSION] = found = Session(config, getattr(config, "workerinput", {}).get("hil"))
        # pytest-embedded wants places, and leaves nothing there that we need.
        config.option.root_logdir = config.option.cache_dir = str(found.run.directory)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of xdist what run it belongs to."""
    node.workerinput["hil"] = node.config.stash[SESSION].ticket


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """What came of it."""
    if SESSION in session.config.stash:
        session.config.stash[SESSION].exit_code = int(exitstatus)


def pytest_unconfigure(config: pytest.Config) -> None:
    """End what this process began, however far it got."""
    if SESSION in config.stash:
        config.stash[SESSION].close()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """--hil-count: every test so often."""
    count = plans.of(metafunc.config).count
    if count > 1:
        metafunc.fixturenames.append(_REPEAT)
        numbers = range(1, count + 1)
        metafunc.parametrize(_REPEAT, numbers, ids=[f"{_REPEAT}-{number}" for number in numbers])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> BoardScheduling:
    """All tests of one board go to one worker."""
    return BoardScheduling(config, log, config.stash[SESSION].run.directory)


@pytest.hookimpl(trylast=True)  # after -k and -m have chosen
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what takes long if so asked; order the suites; give each test its board."""
    if config.getoption("--hil-short"):
        slow = [item for item in items if item.get_closest_marker("slow")]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in slow]
    items.sort(key=lambda item: _suite(item))
    found = config.stash.get(SESSION, None)
    if found is None:
        return
    seated = [item for item in items if assign.BOARD_FIXTURES & {*getattr(item, "fixturenames", ())}]
    given = assign.seats(found.boards, [_needs(item) for item in seated], found.plan.quarantined)
    for item, seat in zip(seated, given, strict=True):
        item.stash[SEAT] = seat
    boards = {item.nodeid: seat.boards[0].id for item, seat in zip(seated, given, strict=True) if seat.boards}
    scheduling.write(found.run.directory, boards)
    found.recorder.expect(len(items))


def _suite(item: pytest.Item) -> int:
    name = item.path.stem.removeprefix("test_")
    return SUITES.index(name) if name in SUITES else len(SUITES)


def _needs(item: pytest.Item) -> assign.Needs:
    def words(name: str) -> tuple[str, ...]:
        return tuple(word for marker in item.iter_markers(name) for word in marker.args)

    switch = item.get_closest_marker("switch") is not None
    return assign.Needs(words("kind"), words("chip"), words("tags"), words("fixtures"), switch)


# -- one test --


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Write down when a test begins and how it ended."""
    found = item.config.stash[SESSION]
    name, repeat = _identity(item)
    item.stash[RECORD] = record = found.recorder.test(name, repeat, found.seed)
    item.stash[ENDED] = {"outcome": results.PASSED, "message": "", "detail": ""}
    began = time.monotonic()
    try:
        return (yield)
    finally:
        record.end(seconds=time.monotonic() - began, **item.stash[ENDED])


def _identity(item: pytest.Item) -> tuple[str, int]:
    """A test's name without what --hil-count adds to it, and which repetition it is."""
    number = _REPEATED.search(item.nodeid)
    return _REPEATED.sub("", item.nodeid).replace("[]", "").replace("[-", "["), int(number[1]) if number else 1


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """A crash on the console fails a test, unless it is marked `crash_ok`."""
    try:
        result = yield
    except Exception as error:
        for crash in _crashes(item):
            error.add_note(f"on the console: {crash}")
        raise
    found = _crashes(item)
    if found:
        pytest.fail(f"crash on the console: {found[0]}" + (f" (and {len(found) - 1} more)" if found[1:] else ""))
    return result


def _crashes(item: pytest.Item) -> list[str]:
    if item.get_closest_marker("crash_ok") or CONSOLE not in item.stash:
        return []
    return item.stash[CONSOLE].crashes()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What is the bench's fault, or happened on a board in quarantine, is no failure."""
    report = yield
    error = call.excinfo.value if call.excinfo else None
    outcome: str = report.outcome
    if report.failed and isinstance(error, InfrastructureError):
        outcome = results.INFRASTRUCTURE
    elif report.failed and (isinstance(error, QuarantineError) or item.stash.get(QUARANTINED, False)):
        outcome = results.QUARANTINED
    ended = item.stash[ENDED]
    if outcome != results.PASSED and _rank(outcome) > _rank(ended["outcome"]):
        message = _message(report, error)
        ended.update(outcome=outcome, message=message, detail=report.longreprtext)
    if report.failed and outcome != results.FAILED:
        report.outcome = "skipped"
        report.longrepr = (str(item.path), item.location[1] or 0, f"{outcome}: {_message(report, error)}")
    return report


def _rank(outcome: str) -> int:
    """What outweighs what when a test has trouble more than once."""
    order = (results.PASSED, results.SKIPPED, results.QUARANTINED, results.INFRASTRUCTURE, results.FAILED)
    return order.index(outcome)


def _message(report: pytest.TestReport, error: BaseException | None) -> str:
    if report.skipped and isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    lines = str(error).strip().splitlines() if error else []
    name = "" if error is None or isinstance(error, _PLAIN) else type(error).__name__
    where = f"{report.when}: " if report.when != "call" else ""
    return where + ": ".join(filter(None, (name, lines[0] if lines else "")))
