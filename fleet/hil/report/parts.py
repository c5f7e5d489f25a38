"""What the sections of the page are made of: headings, marks, and one result in full."""

import os
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fleet.export import symbol
from fleet.hil.report.html import Safe, el
from fleet.hil.report.wording import full, limits
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
    Artefact,
    Measurement,
    Result,
    Run,
)

MARKS = {
    PASSED: "✓",
    FAILED: "✕",
    INFRASTRUCTURE: "▲",
    QUARANTINED: "◆",
    SKIPPED: "○",
    READY: "✓",
    BROKEN: "▲",
    UNUSED: "○",
}
SHORT = 10  # characters of a commit


@dataclass(frozen=True)
class Shown:
    """A run, and where its directory is, as seen from the page."""

    run: Run
    base: str

    @classmethod
    def of(cls, run: Run, directory: Path, place: Path) -> "Shown":
        """For a page in the directory `place`."""
        return cls(run, os.path.relpath(directory.absolute(), place))

    def link(self, path: str) -> str | None:
        """The address of a file of the run; None for a path that leads out of it, which nobody should follow."""
        if os.path.isabs(path) or os.path.normpath(path).split(os.sep)[0] == os.pardir:
            return None
        return urllib.parse.quote(os.path.normpath(os.path.join(self.base, path)))


def section(anchor: str, title: str, note: str, *children: Safe) -> Safe:
    """A section with its heading."""
    return el("section", el("h2", title, el("small", note)), *children, id=anchor)


def mark(outcome: str) -> Safe:
    """The sign of an outcome, in its colour."""
    return el("span", MARKS[outcome], class_=f"mark t-{outcome}")


def tags(words: Sequence[str]) -> Safe:
    """Words in boxes."""
    return el("span", *(el("span", word, class_="tag") for word in words), class_="tags")


def legend() -> Safe:
    """What the colours of outcomes mean."""
    keys = [el("span", el("i", class_=f"o-{outcome}"), outcome, class_="key") for outcome in OUTCOMES]
    return el("p", *keys, class_="keys")


def result_in_full(of: Shown, result: Result) -> list[Safe | None]:
    """All about one result of a run."""
    facts = [("test", result.test), ("began", result.started), ("took", f"{result.seconds:.1f} s")]
    facts += [("seed", str(result.seed))] if result.seed is not None else []
    return [
        pairs(facts),
        _measured(result.measurements),
        el("pre", result.detail, tabindex="0") if result.detail else None,
        _artefacts(of, result.artefacts),
    ]


def pairs(rows: Sequence[tuple[str, str]]) -> Safe:
    """Names and values in two columns."""
    return el("dl", *([el("dt", name), el("dd", value)] for name, value in rows), class_="pairs")


def _measured(measurements: Sequence[Measurement]) -> Safe | None:
    rows = [
        el(
            "tr",
            el("td", mark(PASSED if one.ok else FAILED)),
            el("td", one.name),
            el("td", f"{full(one.value)} {symbol(one.unit)}", class_="n"),
            el("td", limits(one), class_="facts"),
        )
        for one in measurements
    ]
    return el("div", el("table", *rows, class_="measured"), class_="scroll") if rows else None


def _artefacts(of: Shown, found: Sequence[Artefact]) -> Safe | None:
    links = [el("a", one.name, href=of.link(one.path)) for one in found]
    return el("p", *links, class_="links") if links else None
