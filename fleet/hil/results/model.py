"""What a run of the bench consists of: runs, boards, results, measurements. Plain values, written as run.json."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SCHEMA = 1
PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
INFRASTRUCTURE = "infrastructure"  # the bench is at fault, not the product: the board could not be brought up
QUARANTINED = "quarantined"  # the board is set aside, or it failed there and must not decide
OUTCOMES = (PASSED, FAILED, INFRASTRUCTURE, QUARANTINED, SKIPPED)
UNUSED, READY, BROKEN = "unused", "ready", "broken"  # states of a board; QUARANTINED is one too


@dataclass(frozen=True)
class Measurement:
    """One number with its unit (UCUM) and the limits that it must keep, either of which may be missing."""

    name: str
    value: float
    unit: str = ""
    low: float | None = None
    high: float | None = None

    @property
    def ok(self) -> bool:
        """Whether it is within its limits; the limits themselves are."""
        return (self.low is None or self.value >= self.low) and (self.high is None or self.value <= self.high)

    @property
    def limits(self) -> str:
        """`0.5 .. 2`, `<= 2`, `>= 0.5`, or nothing."""
        if self.low is not None and self.high is not None:
            return f"{self.low:g} .. {self.high:g}"
        return f">= {self.low:g}" if self.low is not None else f"<= {self.high:g}" if self.high is not None else ""

    def __str__(self) -> str:
        limits = f" ({'ok' if self.ok else 'NOT'} {self.limits})" if self.limits else ""
        return f"{self.value:.6g}{'' if self.unit in ('', '1') else f' {self.unit}'}{limits}"

    def property(self) -> tuple[str, str]:
        """Name and text of a JUnit property (`item.user_properties.append(...)`, with junit_family = xunit1)."""
        return f"measurement.{self.name}", str(self)


@dataclass(frozen=True)
class Artefact:
    """A file that belongs to a test; `path` is relative to the directory of its run."""

    name: str
    path: str


@dataclass(frozen=True)
class Result:
    """How one test ended, once, on one board."""

    test: str  # pytest's node id
    boards: tuple[str, ...] = ()  # most need one
    outcome: str = PASSED
    seconds: float = 0.0
    started: str = ""  # UTC, RFC 3339
    repeat: int = 1  # which one of --count
    message: str = ""  # one line: why
    detail: str = ""  # the traceback
    seed: int | None = None
    measurements: tuple[Measurement, ...] = ()
    artefacts: tuple[Artefact, ...] = ()
    worker: str = ""


@dataclass(frozen=True)
class BoardFacts:
    """A board of the run: what bench.toml says, and what it said about itself when it was brought up."""

    id: str
    port: str = ""
    chip: str = ""
    kind: str = ""
    tags: tuple[str, ...] = ()
    power: str = ""  # the driver of its switch
    state: str = UNUSED
    reason: str = ""  # why it is broken or in quarantine
    mac: str = ""
    firmware: str = ""
    manifest: str = ""  # hash of the manifest that its program reports
    micropython: str = ""


@dataclass(frozen=True)
class Run:
    """A whole run. `ended` is "" while it goes on, and for ever when it was killed."""

    id: str
    bench: str = ""
    started: str = ""
    ended: str = ""
    exit_code: int | None = None
    asked: Mapping[str, Any] = field(default_factory=dict)  # the options of `fleet hil run`
    environment: Mapping[str, Any] = field(default_factory=dict)
    boards: tuple[BoardFacts, ...] = ()
    results: tuple[Result, ...] = ()
    expected: int = 0  # tests that were collected
    schema: int = SCHEMA

    @property
    def totals(self) -> dict[str, int]:
        """How many results of each outcome, in the order of OUTCOMES."""
        found = Counter(result.outcome for result in self.results)
        return {outcome: found[outcome] for outcome in OUTCOMES}

    @property
    def broken(self) -> dict[str, str]:
        """Boards that could not be brought up, and why."""
        return {board.id: board.reason for board in self.boards if board.state == BROKEN}

    @property
    def verdict(self) -> str:
        """The outcome of it all: failed before infrastructure before passed; skipped when nothing was tested."""
        totals = self.totals
        if totals[FAILED]:
            return FAILED
        if totals[INFRASTRUCTURE] or self.broken or not self.ended:
            return INFRASTRUCTURE
        return PASSED if totals[PASSED] else SKIPPED
