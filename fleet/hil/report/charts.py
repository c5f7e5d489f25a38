"""The drawings of the page: strips of outcomes, lines of durations, measurements between their limits. Inline SVG.

Colours come from classes, so that both colour schemes have their own. An outcome also shows without colour: what passed
is low, everything else is tall.
"""

import math
from collections import Counter
from collections.abc import Sequence

from fleet.hil.report.figures import Point, Series
from fleet.hil.report.html import Safe, el
from fleet.hil.report.wording import short, when
from fleet.hil.results import OUTCOMES, PASSED, SKIPPED, Measurement, Result, Run

CELL, GAP, RUN_GAP, TALL, LOW = 7, 2, 5, 20, 12  # pixels of a strip
SINGLE = 40  # results that a strip shows one by one; beyond, one bar per run
WIDTH, HEIGHT = 360, 150  # of a plot
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 10, 20  # its margins
HUES = 6  # classes b0 .. b5 for boards
TICKS = 4


def strip(history: Sequence[Sequence[Result]], runs: Sequence[Run]) -> Safe:
    """What happened in each run, oldest first; a dot where nothing did."""
    single = sum(map(len, history)) <= SINGLE
    parts, x = [], 0
    for run, results in zip(runs, history, strict=True):
        if not results:
            hint = el("title", f"{when(run)}: not run")
            parts.append(el("g", hint, el("circle", class_="none", cx=x + CELL / 2, cy=TALL - 3, r=1.5)))
            x += CELL + GAP
        elif single:
            for result in results:
                parts.append(el("g", el("title", _told(run, result)), _bars(x, {result.outcome: 1})))
                x += CELL + GAP
        else:
            counts = Counter(result.outcome for result in results)
            said = ", ".join(f"{counts[outcome]} {outcome}" for outcome in OUTCOMES if counts[outcome])
            parts.append(el("g", el("title", f"{when(run)}: {said}"), _bars(x, counts)))
            x += CELL + GAP
        x += RUN_GAP - GAP if single and len(runs) < SINGLE else 0
    return _svg(max(x, 1), TALL, parts, "strip", "outcomes, oldest run first")


def bar(counts: dict[str, int], width: int = 200, height: int = 8) -> Safe:
    """Shares of outcomes as one bar."""
    total = sum(counts.values()) or 1
    parts, x = [], 0.0
    for outcome in OUTCOMES:
        share = counts.get(outcome, 0) / total * width
        if share:
            parts.append(el("rect", class_=f"o-{outcome}", x=_n(x), y=0, width=_n(share), height=height))
            x += share
    said = ", ".join(f"{number} {outcome}" for outcome, number in counts.items() if number)
    return el(
        "svg",
        *parts,
        class_="bar",
        viewBox=f"0 0 {width} {height}",
        preserveAspectRatio="none",
        role="img",
        aria_label=said,
    )


def line(values: Sequence[float | None], unit: str = "s") -> Safe:
    """A small line without axes, from zero up; gaps where a value is missing."""
    width, height = 90, 20
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return Safe("")
    top = max(known) or 1
    step = (width - 4) / (len(values) - 1)
    dots = [
        (2 + step * i, height - 2 - (height - 4) * value / top) for i, value in enumerate(values) if value is not None
    ]
    path = "M" + "L".join(f"{_n(x)} {_n(y)}" for x, y in dots)
    parts = [el("path", class_="line", d=path), el("circle", class_="end", cx=_n(dots[-1][0]), cy=_n(dots[-1][1]), r=2)]
    return _svg(
        width, height, parts, "spark", f"from {known[0]:.3g} {unit} to {known[-1]:.3g} {unit}, at most {top:.3g} {unit}"
    )


def plot(one: Series, runs: Sequence[Run], boards: Sequence[str]) -> Safe:
    """The values of a measurement over the runs, with the band of its limits; `boards` are all that have a colour."""
    scale = _Scale(one, len(runs))
    parts = [*_band(scale, one.newest), *_axes(scale, runs), *_dots(scale, one, runs, boards)]
    said = f"{one.name}: {len(one.points)} values, the last {one.newest}"
    return el("svg", *parts, class_="plot", viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=said)


def hue(board: str, boards: Sequence[str]) -> str:
    """The class that colours a board, the same all over the page."""
    return f"b{boards.index(board) % HUES}" if board in boards else f"b{HUES - 1}"


class _Scale:
    """From values to pixels. The limits are always in sight: how far away they are is what one wants to see."""

    def __init__(self, one: Series, runs: int) -> None:
        values = [point.measurement.value for point in one.points]
        limits = [limit for limit in (one.newest.low, one.newest.high) if limit is not None]
        low, high = min(values + limits), max(values + limits)
        reach = high - low or abs(high) or 1.0
        self.low = 0.0 if 0 <= low < reach else low - reach * 0.1
        self.high = high + reach * (0.1 if high > low else 1)
        self.runs = runs
        self.slot = (WIDTH - LEFT - RIGHT) / runs

    def y(self, value: float) -> float:
        """Pixels from the top."""
        return TOP + (self.high - value) / (self.high - self.low) * (HEIGHT - TOP - BOTTOM)

    def x(self, run: int, place: float) -> float:
        """Pixels from the left: `place` is from 0 to 1 within the run's slot."""
        return LEFT + self.slot * (run + place)

    def ticks(self) -> list[float]:
        """Round numbers between both ends."""
        raw = (self.high - self.low) / TICKS
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw)
        first = math.ceil(self.low / step)
        return [step * i for i in range(first, math.floor(self.high / step) + 1)]


def _band(scale: _Scale, newest: Measurement) -> list[Safe]:
    """Where values may be."""
    if newest.low is None and newest.high is None:
        return []
    top = TOP if newest.high is None else scale.y(newest.high)
    bottom = HEIGHT - BOTTOM if newest.low is None else scale.y(newest.low)
    parts = [el("rect", class_="band", x=LEFT, y=_n(top), width=WIDTH - LEFT - RIGHT, height=_n(bottom - top))]
    for limit in (newest.low, newest.high):
        if limit is not None:
            y = _n(scale.y(limit))
            parts.append(el("line", class_="limit", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y))
    return parts


def _axes(scale: _Scale, runs: Sequence[Run]) -> list[Safe]:
    parts = []
    for tick in scale.ticks():
        y = scale.y(tick)
        parts.append(el("line", class_="grid", x1=LEFT, x2=WIDTH - RIGHT, y1=_n(y), y2=_n(y)))
        parts.append(el("text", short(tick), class_="tick", x=LEFT - 5, y=_n(y + 3), text_anchor="end"))
    base = HEIGHT - 6
    parts.append(el("text", when(runs[0])[:10], class_="tick", x=LEFT, y=base))
    if len(runs) > 1:
        parts.append(el("text", when(runs[-1])[:10], class_="tick", x=WIDTH - RIGHT, y=base, text_anchor="end"))
    return parts


def _dots(scale: _Scale, one: Series, runs: Sequence[Run], boards: Sequence[str]) -> list[Safe]:
    """A dot per value, several of one run beside each other, and a line per board through all of its own."""
    dots: list[Safe] = []
    paths: dict[str, list[str]] = {}
    for run in range(len(runs)):
        here = [point for point in one.points if point.run == run]
        for place, point in enumerate(here):
            board = " ".join(point.result.boards)
            x = _n(scale.x(run, (place + 1) / (len(here) + 1)))
            y = _n(scale.y(point.measurement.value))
            paths.setdefault(board, []).append(f"{x} {y}")
            dots.append(_dot(x, y, point, runs, hue(board, boards)))
    lines = [el("path", class_=f"through {hue(name, boards)}", d=f"M{'L'.join(path)}") for name, path in paths.items()]
    return [*lines, *dots]


def _dot(x: str, y: str, point: Point, runs: Sequence[Run], colour: str) -> Safe:
    where = " ".join(point.result.boards)
    said = f"{point.measurement}{f' on {where}' if where else ''}, {when(runs[point.run])}"
    ring = [] if point.measurement.ok else [el("circle", class_="bad", cx=x, cy=y, r=6)]
    return el("g", el("title", said), *ring, el("circle", class_=f"dot {colour}", cx=x, cy=y, r=3))


def _bars(x: float, counts: dict[str, int]) -> list[Safe]:
    """One cell: shares from the bottom up, low when all is well."""
    total = sum(counts.values())
    tall = LOW if set(counts) <= {PASSED, SKIPPED} else TALL
    parts, y = [], float(TALL)
    for outcome in (PASSED, SKIPPED, "quarantined", "infrastructure", "failed"):
        share = counts.get(outcome, 0) / total * tall
        if share:
            y -= share
            parts.append(el("rect", class_=f"o-{outcome}", x=x, y=_n(y), width=CELL, height=_n(share), rx=1.5))
    return parts


def _told(run: Run, result: Result) -> str:
    where = f" on {' '.join(result.boards)}" if result.boards else ""
    turn = f", #{result.repeat}" if result.repeat > 1 else ""
    return f"{when(run)}: {result.outcome}{where}{turn}, {result.seconds:.1f} s"


def _svg(width: float, height: float, parts: Sequence[Safe], class_: str, said: str) -> Safe:
    return el(
        "svg",
        *parts,
        class_=class_,
        width=_n(width),
        height=height,
        viewBox=f"0 0 {_n(width)} {height}",
        role="img",
        aria_label=said,
    )


def _n(value: float) -> str:
    """A coordinate: a tenth of a pixel is enough."""
    return f"{value:.1f}".removesuffix(".0")
