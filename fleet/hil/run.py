"""A run of the suites from beginning to end: a pytest of its own, its progress, its results, its page."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from fleet.errors import FleetError, NotFoundError
from fleet.hil import environment, inventory, power, report, results
from fleet.hil.inventory import Bench, Board
from fleet.hil.plan import Plan
from fleet.processes import tied

POLL_S = 0.2  # soon enough for a person
STOP_S = 90.0  # a test that is told to stop first brings its board into order
SUITES = "hil_tests"
JUNIT, LOG, PAGE = "junit.xml", "pytest.log", "report.html"
HISTORY = 20  # runs on the page
TAIL = 3000  # characters of pytest's own words in an error
_FAILED, _INTERRUPTED, _NOTHING = 1, 2, 5  # pytest's exit codes
# Each of these would reach into a run from outside: other ports for pytest-embedded, other options for pytest.
_FOREIGN = ("ESPPORT", "ESPBAUD", "PYTEST_ADDOPTS")


@dataclass(frozen=True)
class Order:
    """What to run: the suites in `tests`, all of them or those named, in `workers` processes (0 = one per board)."""

    plan: Plan
    tests: Path
    suites: tuple[str, ...] = ()
    workers: int = 0
    stop: bool = False  # at the first failure
    extra: tuple[str, ...] = ()  # arguments for pytest as they are


@dataclass(frozen=True)
class Progress:
    """How far a run is; `new` ended since the last time."""

    new: Sequence[results.Result]
    done: int
    expected: int  # 0 = not known yet


def run(order: Order, tell: Callable[[Progress], None]) -> tuple[Path, results.Run]:
    """Do it; the run's directory and the run. KeyboardInterrupt comes after everything was brought into order.

    FleetError when pytest itself could not work; what tests found is in the run and no error.
    """
    bench = inventory.load(order.plan.bench)
    boards = order.plan.choose(bench)
    if not boards:
        raise NotFoundError(f"no board of {bench.path} fits", hint="`fleet hil list` shows them all")
    paths = _paths(order)
    directory = results.begin(bench.results, _begin(order, bench, boards))
    code = None
    try:
        code = _pytest(_command(order, paths, directory, len(boards)), order.tests.absolute().parent, directory, tell)
    except KeyboardInterrupt:
        code = _INTERRUPTED
        raise
    finally:
        made = results.end(directory, code)
        report.write(results.runs(bench.results)[-HISTORY:], directory / PAGE)
    _complain(code, made, directory)
    return directory, made


def suites(tests: Path) -> dict[str, Path]:
    """The suites of a directory by name: `test_boot.py` is `boot`. NotFoundError when there are none."""
    found = {path.stem.removeprefix("test_"): path for path in sorted(tests.glob("test_*.py"))}
    if not found:
        raise NotFoundError(f"no suites in {tests}", hint="run this in the checkout, or name them with --tests")
    return found


def tally(run: results.Run) -> list[dict[str, Any]]:
    """A row per board: its state, why, and how many results of each outcome it had."""
    rows = []
    for row in report.boards([run]):
        counts = {outcome: sum(result.outcome == outcome for result in row.newest) for outcome in results.OUTCOMES}
        rows.append({"board": row.facts.id, "state": row.state, "reason": row.facts.reason, **counts})
    return sorted(rows, key=lambda row: str(row["board"]))


def to_report(paths: Sequence[Path], bench: Path, last: int, out: Path | None) -> tuple[list[Path], Path]:
    """(directories of the runs, oldest first; the file of their page): those named, else the last ones of a bench."""
    if paths:
        return sorted(paths, key=lambda path: path.absolute().name), out or paths[0].absolute().parent / PAGE
    home = inventory.load(bench).results
    return results.runs(home)[-last:], out or home / PAGE


def _paths(order: Order) -> list[Path]:
    known = suites(order.tests)
    for name in order.suites:
        if name not in known:
            raise NotFoundError(f"no suite {name} in {order.tests}", hint=f"there are {', '.join(known)}")
    return [known[name].absolute() for name in order.suites] or [order.tests.absolute()]


def _begin(order: Order, bench: Bench, boards: Sequence[Board]) -> results.Run:
    """The run as it is before anything happened."""
    asked = {key: value for key, value in asdict(order.plan).items() if key not in ("bench", "directory") and value}
    asked |= {"suites": order.suites} if order.suites else {}
    facts = tuple(_facts(board, order.plan.quarantined) for board in boards)
    found = environment.examine(order.tests)
    return results.Run("", bench=bench.about.name, asked=asked, environment=found, boards=facts)


def _facts(board: Board, use_quarantined: bool) -> results.BoardFacts:
    aside = None if use_quarantined else board.quarantine
    return results.BoardFacts(
        board.id,
        board.port,
        board.chip,
        board.kind,
        board.tags,
        power.name(board.power),
        state=results.QUARANTINED if aside else results.UNUSED,
        reason=f"{aside.reason} (since {aside.since})" if aside else "",
    )


def _command(order: Order, paths: Sequence[Path], directory: Path, boards: int) -> list[str]:
    """pytest's command line."""
    workers = order.workers or boards
    return [
        *(sys.executable, "-m", "pytest", *map(str, paths)),
        *replace(order.plan, bench=order.plan.bench.absolute(), directory=directory.absolute()).arguments(),
        *(("-n", str(workers)) if workers > 1 else ()),
        *(("--maxfail", "1") if order.stop else ()),
        *(f"--junitxml={directory.absolute() / JUNIT}", "-o", "junit_family=xunit1"),
        *("-p", "no:cacheprovider", "--color=no"),
        *order.extra,
    ]


def _pytest(command: Sequence[str], place: Path, directory: Path, tell: Callable[[Progress], None]) -> int:
    """Run it, and tell what it has done so far; its exit code."""
    environ = {name: value for name, value in os.environ.items() if name not in _FOREIGN}
    with (directory / LOG).open("wb") as log:
        child = subprocess.Popen(
            command,
            cwd=place,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            preexec_fn=tied(),
        )
    try:
        _follow(child, directory, tell)
    except BaseException:
        _stop(child)
        raise
    return child.returncode


def _follow(child: "subprocess.Popen[bytes]", directory: Path, tell: Callable[[Progress], None]) -> None:
    follower = results.Follower(directory)
    done = 0
    while True:
        over = child.poll() is not None  # asked first: what it wrote last is read once more
        new = follower.ended()
        done += len(new)
        tell(Progress(new, done, follower.expected))
        if over:
            return
        time.sleep(POLL_S)


def _stop(child: "subprocess.Popen[bytes]") -> None:
    """Let pytest end its tests in good order, as after Ctrl-C in its own terminal."""
    child.send_signal(signal.SIGINT)
    try:
        child.wait(STOP_S)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        child.kill()
        child.wait()


def _complain(code: int | None, run: results.Run, directory: Path) -> None:
    """Raise what kept pytest from testing."""
    if code == _NOTHING:
        raise NotFoundError("no test fits", hint="fewer of --suite, -k and --short")
    told = run.totals[results.FAILED] + run.totals[results.INFRASTRUCTURE]
    if code in (0, _INTERRUPTED) or (code == _FAILED and told):
        return
    said = (directory / LOG).read_text(errors="replace").strip()[-TAIL:]
    raise FleetError("the suites could not be run", cause=said, hint=f"all of it is in {directory / LOG}")
