"""What N runs amount to: per test, per board, per measurement. Pure."""

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from fleet.hil.results import (
    BROKEN,
    FAILED,
    INFRASTRUCTURE,
    OUTCOMES,
    PASSED,
    QUARANTINED,
    READY,
    SKIPPED,
    UNUSED,
    BoardFacts,
    Measurement,
    Result,
    Run,
)

_DECIDES = (PASSED, FAILED)
_WORST = (FAILED, INFRASTRUCTURE, QUARANTINED, PASSED, SKIPPED)


@dataclass(frozen=True)
class Row:
    """One test over the runs: `history` has the results of each, oldest run first, empty where it was not run."""

    test: str
    history: tuple[tuple[Result, ...], ...]

    @property
    def suite(self) -> str:
        """`test_boot` of `hil_tests/test_boot.py::test_x`."""
        return self.test.partition("::")[0].rsplit("/", 1)[-1].removesuffix(".py")

    @property
    def name(self) -> str:
        """The rest."""
        return self.test.partition("::")[2] or self.test

    @property
    def results(self) -> list[Result]:
        """All of them, oldest first."""
        return [result for results in self.history for result in results]

    @property
    def newest(self) -> tuple[Result, ...]:
        """The results of the newest run that had it."""
        return next((results for results in reversed(self.history) if results), ())

    @property
    def outcome(self) -> str:
        """The worst of the newest."""
        return worst(self.newest)

    @property
    def is_current(self) -> bool:
        """Whether the newest run had it."""
        return bool(self.history and self.history[-1])

    @property
    def is_flaky(self) -> bool:
        """Whether it came back: passed, failed, passed, or the other way round; within one run (--count) or over them.

        A test that fails since a change, or was repaired, is not flaky.
        """
        by_board: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for result in self.results:
            if result.outcome in _DECIDES:
                by_board[result.boards].append(result.outcome)
        return any(changes(outcomes) > 1 for outcomes in by_board.values()) or any(
            _mixed(results) for results in self.history
        )

    @property
    def rate(self) -> float | None:
        """Which share of the results that decide passed; None without any."""
        found = Counter(result.outcome for result in self.results if result.outcome in _DECIDES)
        return found[PASSED] / found.total() if found else None

    @property
    def seconds(self) -> list[float | None]:
        """How long it took in each run (median); None where it was not run to its end."""
        return [_median(result.seconds for result in results if result.outcome in _DECIDES) for results in self.history]


@dataclass(frozen=True)
class Point:
    """One measured value: in which run (index), by which result."""

    run: int
    result: Result
    measurement: Measurement


@dataclass(frozen=True)
class Series:
    """One measurement of one test over the runs; the limits are those of the newest."""

    test: str
    name: str
    points: tuple[Point, ...]

    @property
    def newest(self) -> Measurement:
        """The last value."""
        return self.points[-1].measurement

    @property
    def boards(self) -> list[str]:
        """Which boards it was measured on."""
        return sorted({" ".join(point.result.boards) for point in self.points})

    @property
    def bad(self) -> int:
        """How many values are beyond the limits that held for them."""
        return sum(not point.measurement.ok for point in self.points)


@dataclass(frozen=True)
class BoardRow:
    """One board over the runs: what it is now, and what happened on it in each."""

    facts: BoardFacts
    history: tuple[tuple[Result, ...], ...]
    states: tuple[str, ...]  # per run; "" = it was not part of it

    @property
    def newest(self) -> tuple[Result, ...]:
        """The results of the newest run."""
        return self.history[-1] if self.history else ()

    @property
    def state(self) -> str:
        """Its state in the newest run; a board that gave results was ready, whether it said so or not."""
        return READY if self.facts.state == UNUSED and self.newest else self.facts.state


def rows(runs: Sequence[Run]) -> list[Row]:
    """A row per test: suites in the order in which the newest run came to them, their tests by name."""
    found: dict[str, list[list[Result]]] = {}
    for index, run in enumerate(runs):
        for result in run.results:
            found.setdefault(result.test, [[] for _ in runs])[index].append(result)
    made = [Row(test, tuple(map(tuple, history))) for test, history in found.items()]
    newest = [Row(result.test, ()).suite for result in runs[-1].results]
    order = {suite: place for place, suite in reversed(list(enumerate(newest)))}
    return sorted(made, key=lambda row: (order.get(row.suite, len(newest)), row.suite, row.test))


def series(runs: Sequence[Run]) -> list[Series]:
    """A series per test and measurement; those that were beyond a limit last come first."""
    found: dict[tuple[str, str], list[Point]] = defaultdict(list)
    for index, run in enumerate(runs):
        for result in run.results:
            for measurement in result.measurements:
                found[result.test, measurement.name].append(Point(index, result, measurement))
    made = [Series(test, name, tuple(points)) for (test, name), points in found.items()]
    last = len(runs) - 1
    return sorted(made, key=lambda one: (not _is_bad_in(one, last), one.test, one.name))


def boards(runs: Sequence[Run]) -> list[BoardRow]:
    """A row per board of any of the runs, as the newest run that had it knew it."""
    facts: dict[str, BoardFacts] = {}
    for run in runs:
        facts |= {board.id: board for board in run.boards}
    made = []
    for board_id, known in facts.items():
        history = tuple(tuple(result for result in run.results if board_id in result.boards) for run in runs)
        states = tuple(next((board.state for board in run.boards if board.id == board_id), "") for run in runs)
        made.append(BoardRow(known if states[-1] else _gone(known), history, states))
    return sorted(made, key=lambda row: (row.state not in (BROKEN, QUARANTINED), row.facts.id))


def attention(run: Run) -> list[Result]:
    """What somebody has to look at in a run: failures, then the bench's own faults."""
    wanted = [result for result in run.results if result.outcome in (FAILED, INFRASTRUCTURE)]
    return sorted(wanted, key=lambda result: (_WORST.index(result.outcome), result.test, result.repeat))


def worst(results: Iterable[Result]) -> str:
    """The outcome that counts among several; skipped when there are none."""
    found = {result.outcome for result in results}
    return next((outcome for outcome in _WORST if outcome in found), SKIPPED)


def count(results: Iterable[Result]) -> dict[str, int]:
    """How many of each outcome, those with none left out."""
    found = Counter(result.outcome for result in results)
    return {outcome: found[outcome] for outcome in OUTCOMES if found[outcome]}


def changes(outcomes: Sequence[str]) -> int:
    """How often neighbours differ."""
    return sum(one != two for one, two in itertools.pairwise(outcomes))


def _mixed(results: Sequence[Result]) -> bool:
    """Whether one board gave different answers within one run."""
    seen: dict[tuple[str, ...], str] = {}
    decided = [result for result in results if result.outcome in _DECIDES]
    return any(seen.setdefault(result.boards, result.outcome) != result.outcome for result in decided)


def _is_bad_in(one: Series, run: int) -> bool:
    return any(point.run == run and not point.measurement.ok for point in one.points)


def _gone(facts: BoardFacts) -> BoardFacts:
    """A board that the newest run did not have."""
    return BoardFacts(facts.id, facts.port, facts.chip, facts.kind, facts.tags, facts.power)


def _median(values: Iterable[float]) -> float | None:
    found = list(values)
    return median(found) if found else None
