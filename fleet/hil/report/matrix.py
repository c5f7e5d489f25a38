"""Boards, tests and measurements over all runs of the page."""

from collections.abc import Sequence

from fleet.export import symbol
from fleet.hil.report import charts, figures
from fleet.hil.report.figures import BoardRow, Row, Series
from fleet.hil.report.html import Safe, el
from fleet.hil.report.parts import MARKS, Shown, legend, mark, result_in_full, section, tags
from fleet.hil.report.wording import full, limits, readable, several, test_name
from fleet.hil.results import SKIPPED, Result, Run

PORT = 32  # characters of a port's name in a card


def boards(shown: Sequence[Shown]) -> Safe | None:
    """A card per board."""
    runs = [one.run for one in shown]
    cards = [_board(row, runs) for row in figures.boards(runs)]
    return (
        section("boards", "Boards", several(len(cards), "board"), el("div", *cards, class_="cards")) if cards else None
    )


def tests(shown: Sequence[Shown]) -> Safe | None:
    """A line per test with its history; unfolded: what is known of the newest results."""
    rows = figures.rows([one.run for one in shown])
    if not rows:
        return None
    suites: dict[str, list[Row]] = {}
    for row in rows:
        suites.setdefault(row.suite, []).append(row)
    parts = [
        el("div", el("h3", readable(name)), *(_test(row, shown) for row in of), class_="suite")
        for name, of in suites.items()
    ]
    flaky = sum(row.is_flaky for row in rows)
    note = f"{several(len(rows), 'test')} over {several(len(shown), 'run')}{f', {flaky} flaky' if flaky else ''}"
    return section("tests", "Tests", note, legend(), *parts)


def measurements(shown: Sequence[Shown]) -> Safe | None:
    """A plot per measurement."""
    runs = [one.run for one in shown]
    found = figures.series(runs)
    names = sorted({board.id for run in runs for board in run.boards})
    bad = sum(one.bad > 0 for one in found)
    note = f"{len(found)} over {several(len(runs), 'run')}{f', {bad} with values beyond a limit' if bad else ''}"
    cards = el("div", *(_measurement(one, runs, names) for one in found), class_="cards wide")
    return section("measurements", "Measurements", note, cards) if found else None


def _board(row: BoardRow, runs: Sequence[Run]) -> Safe:
    facts, counts = row.facts, figures.count(row.newest)
    what = [facts.chip, facts.kind, facts.mac, f"firmware {facts.firmware}" if facts.firmware else ""]
    said = ", ".join(f"{number} {outcome}" for outcome, number in counts.items()) or "no test in the newest run"
    return el(
        "article",
        el("h3", facts.id, el("span", MARKS[row.state], " ", row.state, class_=f"pill t-{row.state}")),
        el("p", facts.reason, class_="reason") if facts.reason else None,
        el("p", " · ".join(filter(None, what)), class_="facts"),
        el("p", _end(facts.port), class_="facts", title=facts.port),
        charts.bar(counts) if counts else None,
        el("p", said, class_="facts"),
        charts.strip([_worst(results) for results in row.history], runs) if len(runs) > 1 else None,
        tags(facts.tags),
        class_="card item",
        data_text=" ".join([facts.id, facts.chip, facts.kind, facts.mac, row.state, *facts.tags]).lower(),
    )


def _end(port: str) -> str:
    """The end of a port's name, where names of ports differ."""
    return port if len(port) <= PORT else f"…{port[1 - PORT :]}"


def _worst(results: Sequence[Result]) -> tuple[Result, ...]:
    """The results of a run on a board as one, or none."""
    outcome = figures.worst(results)
    return tuple(result for result in results if result.outcome == outcome)[:1]


def _test(row: Row, shown: Sequence[Shown]) -> Safe:
    outcome = row.outcome if row.is_current else SKIPPED
    seconds = [value for value in row.seconds if value is not None]
    summary = el(
        "summary",
        mark(outcome),
        el(
            "span",
            readable(row.name),
            el("span", "flaky", class_="pill flaky") if row.is_flaky else None,
            class_="name",
        ),
        el("span", charts.strip(row.history, [one.run for one in shown]), class_="history"),
        el("span", "" if row.rate is None else f"{row.rate:.0%}", class_="n", title="passed, of those that decide"),
        el("span", f"{seconds[-1]:.1f} s" if seconds else "", class_="n"),
        el("span", charts.line(row.seconds), class_="history", title="how long it took"),
    )
    of = next(one for one, results in zip(reversed(shown), reversed(row.history), strict=True) if results)
    where = sorted({board for result in row.newest for board in result.boards})
    kinds = f"{outcome}{' flaky' if row.is_flaky else ''}"
    words = " ".join([row.test, test_name(row.test), kinds, *where]).lower()
    full = [_newest(of, result) for result in row.newest]
    return el("details", summary, *full, class_="test item", data_text=words, data_kind=kinds)


def _newest(of: Shown, result: Result) -> Safe:
    """One of the newest results of a test."""
    words = [*result.boards, *([f"#{result.repeat}"] if result.repeat > 1 else [])]
    title = el("h4", mark(result.outcome), " ", result.outcome, " ", tags(words))
    said = el("p", result.message, class_="message") if result.message else None
    return el("div", title, said, *result_in_full(of, result))


def _measurement(one: Series, runs: Sequence[Run], boards: Sequence[str]) -> Safe:
    newest = one.newest
    value = el(
        "span",
        full(newest.value),
        el("small", symbol(newest.unit)),
        class_=f"value{'' if newest.ok else ' t-failed'}",
    )
    kept = el("span", limits(newest) or "no limits", class_="key")
    keys = [
        el("span", el("i", class_=charts.hue(name, boards)), name or "no board", class_="key") for name in one.boards
    ]
    return el(
        "article",
        el("h3", one.name.replace("_", " "), value),
        el("p", test_name(one.test), class_="facts", title=one.test),
        charts.plot(one, runs, boards),
        el("p", kept, *keys, class_="keys"),
        class_="card item",
        data_text=" ".join([one.name, one.test, *one.boards, "failed" if one.bad else ""]).lower(),
    )
