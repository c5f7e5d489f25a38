"""`fleet hil`: the boards of a bench, the suites on them, and the page that shows what came of it."""

import contextlib
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fleet.cli.base import Group, is_plain
from fleet.cli.options import output_option
from fleet.cli.output import Column, Output, View
from fleet.cli.types import Span
from fleet.cli.visible import visible
from fleet.errors import FleetError, PartlyFailedError

if TYPE_CHECKING:
    from fleet.hil.inventory import Board
    from fleet.hil.results import Result, Run
    from fleet.hil.run import Order, Progress

_STATES = {"free": "green", "in use": "yellow", "absent": "red", "quarantined": "magenta", "broken": "red"}
_OUTCOMES = {"passed": "green", "failed": "red", "infrastructure": "yellow", "quarantined": "magenta"}
BOARDS = View(
    "boards",
    (
        Column("board", "BOARD"),
        Column("chip", "CHIP"),
        Column("kind", "KIND"),
        Column("state", "STATE", colour=lambda state: _STATES.get(state, "")),
        Column("why", "WHY", wrap=True),
        Column("power", "POWER"),
        Column("tags", "TAGS", " ".join),
        Column("fixtures", "FIXTURES", " ".join),
        Column("port", "PORT"),
        Column("notes"),
    ),
    id="board",
)
TALLY = View(
    "boards",
    (
        Column("board", "BOARD"),
        Column("state", "STATE", colour=lambda state: _STATES.get(state, "")),
        Column("passed", "PASSED", right=True),
        Column("failed", "FAILED", right=True, colour=lambda count: "red" if count else ""),
        Column("infrastructure", "INFRASTRUCTURE", right=True, colour=lambda count: "yellow" if count else ""),
        Column("quarantined", "QUARANTINED", right=True),
        Column("skipped", "SKIPPED", right=True),
        Column("reason", "REASON", wrap=True),
    ),
    id="board",
)
PROBLEMS = View(
    "problems",
    (
        Column("outcome", "OUTCOME", colour=lambda outcome: _OUTCOMES.get(outcome, "")),
        Column("test", "TEST"),
        Column("board", "BOARD"),
        Column("message", "MESSAGE", wrap=True),
    ),
    id="test",
)
RUN = View(
    "run",
    (
        Column("run", "run"),
        Column("verdict", "verdict", colour=lambda verdict: _OUTCOMES.get(verdict, "")),
        Column("bench", "bench"),
        Column("started", "started"),
        Column("ended", "ended"),
        Column("totals", "totals"),
        Column("report", "report"),
        Column("directory", "directory"),
    ),
    id="run",
)
RUNS = View(
    "runs",
    (
        Column("run", "RUN"),
        Column("verdict", "VERDICT", colour=lambda verdict: _OUTCOMES.get(verdict, "")),
        Column("passed", "PASSED", right=True),
        Column("failed", "FAILED", right=True),
        Column("infrastructure", "INFRASTRUCTURE", right=True),
        Column("quarantined", "QUARANTINED", right=True),
        Column("skipped", "SKIPPED", right=True),
        Column("ended"),
        Column("directory"),
    ),
    id="run",
)
REPORT = View("report", (Column("file"),), id="file")
_PATH = click.Path(path_type=Path)
_WAIT = 1800
_LAST = 20


@click.group("hil", cls=Group)
def command() -> None:
    """Test nodes on the boards of a bench, real or virtual."""


_bench_option = click.option(
    "--bench", metavar="FILE", type=_PATH, default=Path("bench.toml"), help="The bench; default ./bench.toml."
)


def _several(flag: str, metavar: str, text: str) -> Callable[[Any], Any]:
    return click.option(flag, f"{flag.strip('-')}s", metavar=metavar, multiple=True, help=text)


@command.command("list", examples=("fleet hil list", "fleet hil list --bench lab/bench.toml --tag poe --json"))
@_bench_option
@_several("--tag", "TAG", "Only boards with this tag; may be given several times.")
@output_option
def show(bench: Path, tags: tuple[str, ...], out: Output) -> None:
    """List the boards of a bench, and who uses them.

    STATE: free, in use (WHY says by whom), quarantined (WHY says since when), absent (its port is not there).
    """
    from fleet.hil import inventory

    found = inventory.load(bench)
    out.rows(BOARDS, map(_board, found.select(tags=tags)), empty="No board fits.")


@command.command(
    "run",
    examples=(
        "fleet hil run",
        "fleet hil run --suite boot --suite power_cuts --board air-desk --count 3",
        "fleet hil run --bench lab/bench.toml --tag nightly -n 4 --json",
        "fleet hil run --short -- -k 'reports and not lamp'",
    ),
)
@_bench_option
@_several("--board", "ID", "Only this board; may be given several times.")
@_several("--tag", "TAG", "Only boards with this tag; may be given several times.")
@_several("--chip", "CHIP", "Only boards with this chip; may be given several times.")
@_several("--kind", "KIND", "Only air or light boards.")
@_several("--suite", "NAME", "Only this suite; may be given several times.")
@click.option("--count", metavar="N", type=click.IntRange(1, 1000), default=1, help="Run every test N times.")
@click.option(
    "-n", "workers", metavar="N", type=click.IntRange(1, 256), help="At most N tests at a time; default: one per board."
)
@click.option("--short", is_flag=True, help="Leave out what takes long.")
@click.option("--quarantined", is_flag=True, help="Use boards in quarantine too; what fails there does not count.")
@click.option("--keep-going/--stop", default=True, help="Go on after a failure (default), or stop at the first.")
@click.option("--wait", type=Span(), default=_WAIT, help="For a board that somebody else uses; default 30min.")
@click.option(
    "--tests", metavar="DIR", type=_PATH, default=Path("hil_tests"), help="Where the suites are; default ./hil_tests."
)
@click.argument("words", metavar="[-- PYTEST ARGUMENTS]", nargs=-1)
@output_option
def run(
    bench: Path,
    boards: tuple[str, ...],
    tags: tuple[str, ...],
    chips: tuple[str, ...],
    kinds: tuple[str, ...],
    suites: tuple[str, ...],
    count: int,
    workers: int | None,
    short: bool,
    quarantined: bool,
    keep_going: bool,
    wait: int,
    tests: Path,
    words: tuple[str, ...],
    out: Output,
) -> None:
    """Run the suites on the boards of a bench.

    Every board is locked while a test uses it. A test fails because of the node alone; what the bench is to blame for
    (a board that does not answer) is counted as infrastructure. Exit code 1 when a test failed, 6 when none did but a
    board could not be brought up.
    """
    from fleet.hil import run as running
    from fleet.hil.plan import Plan

    plan = Plan(bench, None, boards, tags, chips, kinds, count, wait, short, quarantined)
    order = running.Order(plan, tests, suites, workers or 0, not keep_going, words)
    directory, done = _run(order, out)
    _show(done, directory, out)
    _verdict(done, directory / running.PAGE)


@command.command(
    "report",
    examples=(
        "fleet hil report",
        "fleet hil report --last 100 --out bench.html",
        "fleet hil report results/2026-11-22T06-46-50Z-4f2a --json",
    ),
)
@click.argument("paths", metavar="[RUN]...", nargs=-1, type=_PATH)
@_bench_option
@click.option("--last", metavar="N", type=click.IntRange(1, 1000), default=_LAST, help="So many runs; default 20.")
@click.option("--out", "to", metavar="FILE", type=_PATH, help="The page; default report.html beside the runs.")
@output_option
def write_report(paths: tuple[Path, ...], bench: Path, last: int, to: Path | None, out: Output) -> None:
    """Write what runs found as an HTML page.

    It shows failures, boards, tests, flakiness and measurements with their limits. RUN is a directory of a run; without
    one the last runs of the bench are taken.
    """
    from fleet.hil import report as page
    from fleet.hil import run as running

    found, target = running.to_report(paths, bench, last, to)
    shown = page.write(found, target)
    rows = [_run_row(one, directory) for directory, one in shown]
    if out.form == "table":
        out.rows(RUNS, rows)
        out.note(f"\n{target}")
    else:
        out.record(REPORT, {"file": str(target)}, [("runs", RUNS, rows)])


def _run(order: "Order", out: Output) -> "tuple[Path, Run]":
    """Run it, show how far it is; SIGTERM ends it in good order as Ctrl-C does."""
    from fleet.hil import run as running

    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with _progress(out) as tell:
            return running.run(order, tell)
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _progress(out: Output) -> "Iterator[Callable[[Progress], None]]":
    """A line on stderr per test that ended; on a terminal a bar below them."""
    if out.form != "table":
        yield lambda _: None
    elif is_plain(sys.stderr):
        yield _echo
    else:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar
        from rich.text import Text

        columns = TextColumn("tests"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
        with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("", total=None)

            def tell(progress: "Progress") -> None:
                for one in progress.new:
                    bar.console.print(Text(_told(one), style=_OUTCOMES.get(one.outcome, "")))
                bar.update(task, total=progress.expected or None, completed=progress.done)

            yield tell


def _echo(progress: "Progress") -> None:
    for one in progress.new:
        click.echo(_told(one), err=True)


def _told(result: "Result") -> str:
    """`failed          air-1  test_boot.py::test_x  12.1 s: why`."""
    why = f": {result.message.splitlines()[0]}" if result.message else ""
    return visible(
        f"{result.outcome:<15} {' '.join(result.boards) or '-':<12} {result.test}  {result.seconds:.1f} s{why}"
    )


def _show(run: "Run", directory: Path, out: Output) -> None:
    from fleet.hil import report
    from fleet.hil import run as running

    tally, problems = running.tally(run), list(map(_problem, report.attention(run)))
    if out.form != "table":
        out.record(RUN, _row(run, directory), [("boards", TALLY, tally), ("problems", PROBLEMS, problems)])
        return
    out.rows(TALLY, tally)
    if problems:
        out.lines([""])
        out.rows(PROBLEMS, problems)
    out.note(f"\n{run.verdict}: {directory / running.PAGE}")


def _verdict(run: "Run", page: Path) -> None:
    """Say by the exit code what came of it."""
    failed = run.totals["failed"]
    if failed:
        raise FleetError(f"{failed} of {len(run.results)} tests failed", hint=f"why: {page}")
    if run.broken:
        raise PartlyFailedError("not every board could be brought up", run.broken, hint=f"why: {page}")
    if run.totals["infrastructure"]:
        blamed = {result.test: result.message for result in run.results if result.outcome == "infrastructure"}
        raise PartlyFailedError("the bench kept tests from their end", blamed, hint=f"why: {page}")


def _board(board: "Board") -> Mapping[str, Any]:
    from fleet.hil import lock, power

    state, why = "free", ""
    holder = lock.holder(board)
    if board.quarantine:
        state, why = "quarantined", f"{board.quarantine.reason} (since {board.quarantine.since})"
    elif holder:
        state, why = "in use", str(holder)
    elif "://" not in board.port and not Path(board.port).exists():
        state, why = "absent", "there is no such port now"
    return {
        "board": board.id,
        "chip": board.chip,
        "kind": board.kind,
        "state": state,
        "why": why,
        "power": power.name(board.power),
        "tags": board.tags,
        "fixtures": board.fixtures,
        "port": board.port,
        "notes": board.notes,
    }


def _row(run: "Run", directory: Path) -> dict[str, Any]:
    return {
        "run": run.id,
        "verdict": run.verdict,
        "bench": run.bench,
        "started": run.started,
        "ended": run.ended,
        "totals": run.totals,
        "report": str(directory / "report.html"),
        "directory": str(directory),
    }


def _run_row(run: "Run", directory: Path) -> dict[str, Any]:
    return {"run": run.id, "verdict": run.verdict, "ended": run.ended, "directory": str(directory), **run.totals}


def _problem(result: "Result") -> dict[str, Any]:
    return {
        "outcome": result.outcome,
        "test": result.test,
        "board": " ".join(result.boards),
        "message": result.message,
    }
