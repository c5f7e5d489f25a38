"""What the matrix tells: a table and bars for people, one JSON document for programs, a command for each failure."""

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from tools.powercut.workers import Failure, Result, Results

SHOWN = 10  # failures that are spelt out


def document(results: Results, choice: dict[str, Any], workers: int) -> dict[str, Any]:
    """The result for programs."""
    return {
        "operations": {name: _row(result) for name, result in results.operations.items()},
        "cuts": results.cuts,
        "bad": results.bad,
        "seconds": round(results.seconds, 1),
        "cuts_per_s": round(results.cuts / results.seconds, 1) if results.seconds else 0.0,
        "seed": choice["seed"],
        "sample": choice["sample"],
        "workers": workers,
        "failures": [
            {
                "operation": failure.operation,
                "at": failure.cut.at,
                "keep": failure.cut.keep,
                "again": [failure.again.at, failure.again.keep] if failure.again else None,
                "text": failure.text,
                "image": failure.image,
                "repeat": repeat(failure, choice),
            }
            for failure in results.failures
        ],
    }


def _row(result: Result) -> dict[str, Any]:
    return {
        "cuts": result.cuts,
        "bad": result.bad,
        "operations": result.operations,
        "seconds": round(result.seconds, 1),
        "cuts_per_s": round(result.cuts_per_s, 1),
    }


def repeat(failure: Failure, choice: dict[str, Any]) -> str:
    """The command that makes this cut once more."""
    words = f"python -m tools.powercut --only {failure.operation} --at {failure.cut.at} --keep {failure.cut.keep}"
    if failure.again is not None:
        words += f" --again {failure.again.at}:{failure.again.keep}"
    return f"{words} --seed {choice['seed']}"


def table(results: Results) -> Table:
    """One row per operation."""
    found = Table(box=None, pad_edge=False)
    for name, right in (("OPERATION", 0), ("WRITES", 1), ("CUTS", 1), ("BAD", 1), ("SECONDS", 1), ("CUTS/S", 1)):
        found.add_column(name, justify="right" if right else "left", no_wrap=True)
    for name, row in results.operations.items():
        bad = f"[red]{row.bad}[/]" if row.bad else "0"
        words = (str(row.operations or ""), str(row.cuts), bad, f"{row.seconds:.1f}", f"{row.cuts_per_s:.0f}")
        found.add_row(name, *words)
    return found


def failures(found: Iterable[Failure], choice: dict[str, Any]) -> list[str]:
    """The first few failures, each with how to see it again."""
    lines = []
    for failure in list(found)[:SHOWN]:
        where = f"cut within flash operation {failure.cut.at}, {failure.cut.keep} bytes of it done"
        if failure.again is not None:
            where += f", and again within operation {failure.again.at} of the boot after it"
        lines += [f"{failure.operation}: {where}: {failure.text}", f"  again: {repeat(failure, choice)}"]
        if failure.image is not None:
            lines.append(f"  flash: {failure.image}")
    return lines


class Progress:
    """What happens meanwhile: a table that is drawn anew on a terminal, else a line per operation."""

    def __init__(self, console: Console, results: Results, workers: int) -> None:
        self._console = console
        self._results = results
        self._workers = workers
        self._told: set[str] = set()
        self._live = Live(table(results), console=console, transient=True) if console.is_terminal else None

    def __enter__(self) -> "Progress":
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def changed(self) -> None:
        """A worker said something."""
        if self._live is not None:
            self._live.update(table(self._results))
            return
        for name, row in self._results.operations.items():
            if row.done == self._workers and name not in self._told:
                self._told.add(name)
                self._console.print(f"{name}: {row.cuts} cuts, {row.bad} bad", highlight=False)
