"""The drawings of an evidence page, as inline SVG: values over the windows, and what each window was taken for."""

from collections.abc import Mapping, Sequence
from typing import Any

from fleet.hil.report.html import Safe, el

WIDTH, HEIGHT = 360, 130  # of a plot
LEFT, RIGHT, TOP, BOTTOM = 46, 8, 8, 18  # its margins
HUES = 6  # classes b0 .. b5
CELL, TALL, LOW = 7, 16, 6  # pixels of a strip
_SAID = {
    ".": "as good as before",
    "w": "worse",
    "B": "bad: worse than nearly all others, and than before",
    "-": "no data",
}
_CLASS = {".": "o-passed", "w": "o-infrastructure", "B": "o-failed"}

Values = Mapping[str, Sequence[int | None]]


def plot(table: Mapping[str, Any], metric: str, label: str) -> Safe:
    """One metric: what the controls say as a band, each node with the new program as a line, its switch upright."""
    values: Values = table["metrics"][metric]
    nodes, controls = table["nodes"], table["controls"]
    known = [value for node in [*nodes, *controls] for value in values.get(node, ()) if value is not None]
    if not known or not table["windows"]:
        return el("p", "No data.", class_="message")
    scale = _Scale(min(known), max(known), table["windows"])
    parts = [*_axes(scale), *_band(scale, [values[node] for node in controls if node in values])]
    for number, (node, place) in enumerate(nodes.items()):
        hue = f"b{number % HUES}"
        x = _n(scale.x(place["first"]))
        parts.append(
            el("line", el("title", f"{node}: new program"), class_="switch", x1=x, x2=x, y1=TOP, y2=HEIGHT - BOTTOM)
        )
        parts += [el("path", class_=f"course {hue}", d=path) for path in _paths(scale, values[node])]
    return el("svg", *parts, class_="plot", viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=label)


def strip(marks: str) -> Safe:
    """What each window since the switch was taken for; bad ones are tall, so that it shows without colour."""
    cells = []
    for at, mark in enumerate(marks):
        tall = TALL if mark == "B" else 11 if mark == "w" else LOW
        bar = el(
            "rect", class_=_CLASS.get(mark, "o-skipped"), x=at * (CELL + 1), y=TALL - tall, width=CELL, height=tall
        )
        cells.append(el("g", el("title", f"window {at + 1}: {_SAID[mark]}"), bar if mark != "-" else el("g")))
    width = max(1, len(marks)) * (CELL + 1)
    return el("svg", *cells, class_="strip", width=width, height=TALL, viewBox=f"0 0 {width} {TALL}", role="img")


class _Scale:
    """From windows and values to pixels."""

    def __init__(self, low: int, high: int, windows: int) -> None:
        reach = high - low or abs(high) or 1
        self.low, self.high = low - reach * 0.05, high + reach * 0.05
        self._slot = (WIDTH - LEFT - RIGHT) / windows
        self.windows = windows

    def x(self, at: float) -> float:
        """Pixels from the left."""
        return LEFT + self._slot * at

    def y(self, value: float) -> float:
        """Pixels from the top."""
        return TOP + (self.high - value) / (self.high - self.low) * (HEIGHT - TOP - BOTTOM)


def _axes(scale: _Scale) -> list[Safe]:
    parts = []
    for value in (scale.low, (scale.low + scale.high) / 2, scale.high):
        y = scale.y(value)
        parts.append(el("line", class_="grid", x1=LEFT, x2=WIDTH - RIGHT, y1=_n(y), y2=_n(y)))
        parts.append(
            el(
                "text",
                f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}",
                class_="tick",
                x=LEFT - 5,
                y=_n(y + 3),
                text_anchor="end",
            )
        )
    parts.append(el("text", "windows of 5 minutes", class_="tick", x=WIDTH - RIGHT, y=HEIGHT - 5, text_anchor="end"))
    return parts


def _band(scale: _Scale, rows: Sequence[Sequence[int | None]]) -> list[Safe]:
    """From the least to the greatest that the controls say, window by window."""
    parts = []
    for at in range(scale.windows):
        known = [row[at] for row in rows if at < len(row)]
        said = [value for value in known if value is not None]
        if said:
            top, bottom = scale.y(max(said)), scale.y(min(said))
            height = max(1.5, bottom - top)
            left, right = scale.x(at), scale.x(at + 1)
            parts.append(
                el("rect", class_="controls", x=_n(left), y=_n(top), width=_n(right - left), height=_n(height))
            )
    return parts


def _paths(scale: _Scale, row: Sequence[int | None]) -> list[str]:
    """A line through what is known; single points become short lines. Gaps of up to three windows are bridged."""
    paths: list[list[str]] = []
    last = -10
    for at, value in enumerate(row):
        if value is not None:
            if at - last > 3:
                paths.append([f"{_n(scale.x(at + 0.3))} {_n(scale.y(value))}"])
            paths[-1].append(f"{_n(scale.x(at + 0.5))} {_n(scale.y(value))}")
            last = at
    return [f"M{'L'.join(path)}" for path in paths]


def _n(value: float) -> str:
    """A coordinate: a tenth of a pixel is enough."""
    return f"{value:.1f}".removesuffix(".0")
