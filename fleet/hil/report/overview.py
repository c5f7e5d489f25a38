"""The newest run at the top of the page, and all runs at its end."""

from collections.abc import Sequence

from fleet.hil.report import charts, figures
from fleet.hil.report.html import Safe, el
from fleet.hil.report.parts import MARKS, SHORT, Shown, mark, pairs, result_in_full, section, tags
from fleet.hil.report.wording import lasted, several, test_name, when
from fleet.hil.results import FAILED, INFRASTRUCTURE, OUTCOMES, PASSED, SKIPPED, Result, Run

VERDICTS = {
    PASSED: "passed",
    FAILED: "failed",
    INFRASTRUCTURE: "the bench had trouble",
    SKIPPED: "nothing was tested",
}
FILES = {"json": "run.json", "junit": "junit.xml", "log": "pytest.log"}
UNFOLDED = 3  # failures that are open from the start


def head(shown: Sequence[Shown]) -> Safe:
    """What the newest run came to."""
    newest = shown[-1].run
    commit, host = (str(newest.environment.get(name, "")) for name in ("commit", "host"))
    facts = [f"{when(newest)} UTC", lasted(newest), f"commit {commit[:SHORT]}" if commit else "", host]
    title = el("div", el("h1", newest.bench or "bench"), el("p", " · ".join(filter(None, facts)), class_="facts"))
    return el("header", title, _verdict(newest), _totals(newest))


def attention(shown: Sequence[Shown]) -> Safe | None:
    """What failed in the newest run, with everything that is known about it."""
    found = figures.attention(shown[-1].run)
    items = [_problem(shown[-1], result, number < UNFOLDED) for number, result in enumerate(found)]
    return (
        section("attention", "To look at", f"{several(len(items), 'result')} of the newest run", *items)
        if items
        else None
    )


def history(shown: Sequence[Shown]) -> Safe:
    """A line per run."""
    titles = el(
        "tr", *(el("th", title) for title in ("begin, UTC", "verdict", "", "results", "took", "commit", "files"))
    )
    table = el("table", titles, *map(_line, reversed(shown)), class_="runs")
    return section("runs", "Runs", "newest first", el("div", table, class_="scroll framed"))


def environment(run: Run) -> Safe:
    """On what the newest run was made, and what was asked of it."""
    found = {**run.environment, **{f"asked: {name}": value for name, value in run.asked.items()}}
    rows = [
        (name, " ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value))
        for name, value in found.items()
    ]
    return section("environment", "Environment", "of the newest run", pairs(rows))


def _verdict(run: Run) -> Safe:
    said = VERDICTS[run.verdict] if run.ended else "did not end"
    return el("p", mark(run.verdict), said, class_=f"verdict t-{run.verdict}")


def _totals(run: Run) -> Safe:
    numbers = [
        el("div", el("b", count), el("span", outcome), class_=f"number t-{outcome}{'' if count else ' zero'}")
        for outcome, count in run.totals.items()
    ]
    return el("div", el("div", *numbers, class_="numbers"), charts.bar(run.totals, 600), class_="totals")


def _problem(of: Shown, result: Result, is_open: bool) -> Safe:
    words = [*result.boards, *([f"#{result.repeat}"] if result.repeat > 1 else [])]
    summary = el(
        "summary",
        mark(result.outcome),
        el("span", test_name(result.test), class_="name"),
        tags(words),
        el("span", result.message or result.outcome, class_="message"),
    )
    searched = " ".join([result.test, test_name(result.test), result.outcome, result.message, *result.boards]).lower()
    full = result_in_full(of, result)
    return el("details", summary, *full, class_="problem item", open=is_open, data_text=searched)


def _line(one: Shown) -> Safe:
    run = one.run
    said = ", ".join(f"{run.totals[outcome]} {outcome}" for outcome in OUTCOMES if run.totals[outcome])
    return el(
        "tr",
        el("td", when(run)),
        el("td", MARKS[run.verdict], " ", run.verdict if run.ended else "did not end", class_=f"t-{run.verdict}"),
        el("td", charts.bar(run.totals, 120)),
        el("td", said or "none"),
        el("td", lasted(run), class_="n"),
        el("td", el("code", str(run.environment.get("commit", ""))[:SHORT])),
        el("td", *(el("a", name, href=one.link(path)) for name, path in FILES.items()), class_="links"),
    )
