"""How far several boards are: one bar for each on a terminal, otherwise a line for each thing that is begun."""

import contextlib
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import click

from fleet.cli.base import is_plain
from fleet.cli.output import Output

if TYPE_CHECKING:
    from fleet.boards.flash import Step
    from fleet.flashing.ports import Port


class Progress(Protocol):
    """Told from several threads what becomes of boards."""

    def step(self, port: "Port", step: "Step") -> None:
        """A board is at `step`."""

    def end(self, port: "Port", result: str) -> None:
        """A board is through."""


@contextlib.contextmanager
def shown(ports: Sequence["Port"], out: Output) -> Iterator[Progress]:
    """The progress of work on `ports`, on stderr; none of it where a script reads the output."""
    if out.form != "table":
        yield _Nothing()
    elif is_plain(sys.stderr):
        yield _Lines()
    else:
        with _bars() as bars:
            yield _Bars(bars, ports)


class _Nothing:
    def step(self, port: "Port", step: "Step") -> None:
        pass

    def end(self, port: "Port", result: str) -> None:
        pass


class _Lines:
    def __init__(self) -> None:
        self._begun: dict[str, str] = {}
        self._lock = threading.Lock()

    def step(self, port: "Port", step: "Step") -> None:
        with self._lock:
            if self._begun.get(port.url) != step.phase:
                self._begun[port.url] = step.phase
                click.echo(f"{port.name}: {step.phase}", err=True)

    def end(self, port: "Port", result: str) -> None:
        with self._lock:
            click.echo(f"{port.name}: {result}", err=True)


class _Bars:
    def __init__(self, bars: Any, ports: Sequence["Port"]) -> None:
        self._bars = bars
        self._tasks = {port.url: bars.add_task("waiting", port=port.name, total=None) for port in ports}

    def step(self, port: "Port", step: "Step") -> None:
        self._bars.update(self._tasks[port.url], description=step.phase, completed=step.done, total=step.total or None)

    def end(self, port: "Port", result: str) -> None:
        self._bars.update(self._tasks[port.url], description=result, completed=1, total=1)


def _bars() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    port = TextColumn("{task.fields[port]}", markup=False)
    columns = port, TextColumn("{task.description:<9}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn()
    return Bars(*columns, console=Console(stderr=True))
