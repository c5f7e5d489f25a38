"""How far several boards are: one bar for each on a terminal, otherwise a line for each thing that is begun."""

import contextlib
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import click

from fleet.cli.base import is_plain
from fleet.cli.output import Output

PATIENCE_S = 1.0  # what is done by then needs no sign of life


class Step(Protocol):
    """What is done now, and how far: `done` of `total`, which may be 0 for unknown."""

    @property
    def phase(self) -> str:
        """In one word or two."""

    @property
    def done(self) -> int:
        """So much of it."""

    @property
    def total(self) -> int:
        """All of it."""


class Progress(Protocol):
    """Told from several threads what becomes of boards or nodes, each known by a name."""

    def step(self, name: str, step: Step) -> None:
        """A board is at `step`."""

    def end(self, name: str, result: str) -> None:
        """A board is through."""


@contextlib.contextmanager
def shown(names: Sequence[str], out: Output) -> Iterator[Progress]:
    """The progress of work on the boards of these names, on stderr; none of it where a script reads the output."""
    if out.form != "table":
        yield _Nothing()
    elif is_plain(sys.stderr):
        yield _Lines()
    else:
        with _bars() as bars:
            yield _Bars(bars, names)


@contextlib.contextmanager
def awaited(text: str, out: Output) -> Iterator[None]:
    """`text` and the time it takes, on a terminal, while something goes on for longer than PATIENCE_S; then no more."""
    if out.form != "table" or is_plain(sys.stderr):
        yield
        return
    from rich.console import Console
    from rich.progress import Progress as Bars
    from rich.progress import TextColumn, TimeElapsedColumn

    column = TextColumn("{task.description} ...", markup=False)
    bars = Bars(column, TimeElapsedColumn(), console=Console(stderr=True), transient=True)
    bars.add_task(text, total=None)
    timer = threading.Timer(PATIENCE_S, bars.start)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        bars.stop()


class _Nothing:
    def step(self, name: str, step: Step) -> None:
        pass

    def end(self, name: str, result: str) -> None:
        pass


class _Lines:
    def __init__(self) -> None:
        self._begun: dict[str, str] = {}
        self._lock = threading.Lock()

    def step(self, name: str, step: Step) -> None:
        with self._lock:
            if self._begun.get(name) != step.phase:
                self._begun[name] = step.phase
                click.echo(f"{name}: {step.phase}", err=True)

    def end(self, name: str, result: str) -> None:
        with self._lock:
            click.echo(f"{name}: {result}", err=True)


class _Bars:
    def __init__(self, bars: Any, names: Sequence[str]) -> None:
        self._bars = bars
        self._tasks = {name: bars.add_task("waiting", name=name, total=None) for name in names}

    def step(self, name: str, step: Step) -> None:
        done = step.done if step.total else None  # a phase without figures leaves the bar where it is
        self._bars.update(self._tasks[name], description=step.phase, completed=done, total=step.total or None)

    def end(self, name: str, result: str) -> None:
        self._bars.update(self._tasks[name], description=result, completed=1, total=1)


def _bars() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    name = TextColumn("{task.fields[name]}", markup=False)
    columns = name, TextColumn("{task.description:<9}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn()
    return Bars(*columns, console=Console(stderr=True))
