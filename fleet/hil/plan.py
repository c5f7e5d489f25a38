"""What a run of the suites is asked to do, and how its pytest is told: options that all begin with `--hil-`.

hil_tests/conftest.py calls `add_options` and `of`; `fleet hil run` makes a Plan and passes `arguments`.
"""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from fleet.hil.inventory import FILE, Bench, Board

WAIT_S = 1800  # another run of the same suites is over by then


@dataclass(frozen=True)
class Plan:
    """Which boards, and how."""

    bench: Path = Path(FILE)
    directory: Path | None = None  # of the run (fleet.hil.results); None = pytest was called by hand: begin one
    boards: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    chips: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    count: int = 1  # every test so often
    wait: int = WAIT_S  # seconds to wait for a board that somebody else holds
    short: bool = False  # leave out what takes long
    quarantined: bool = False  # use boards in quarantine too; what fails there does not count

    def arguments(self) -> list[str]:
        """The same as arguments of pytest."""
        found = []
        for row in fields(self):
            value = getattr(self, row.name)
            if isinstance(value, bool):
                found += [_flag(row.name)] if value else []
            elif isinstance(value, tuple):
                found += [f"{_flag(row.name)}={item}" for item in value]
            elif value is not None:
                found.append(f"{_flag(row.name)}={value}")
        return found

    def choose(self, bench: Bench) -> tuple[Board, ...]:
        """The boards of the bench that it asks for, those in quarantine among them."""
        return bench.select(self.boards, self.tags, self.chips, self.kinds)


def add_options(parser: Any) -> None:
    """Add the options to a pytest parser (`pytest_addoption`)."""
    group = parser.getgroup("bench", "boards of a bench (fleet hil run)")
    group.addoption(_flag("bench"), type=Path, default=Path(FILE), metavar="FILE", help="the inventory of boards")
    group.addoption(_flag("directory"), type=Path, default=None, metavar="DIR", help="of the run, made before")
    for name in ("boards", "tags", "chips", "kinds"):
        text = f"only these {name}; may be given several times"
        group.addoption(_flag(name), action="append", default=[], metavar=name[:-1].upper(), help=text)
    group.addoption(_flag("count"), type=int, default=1, metavar="N", help="run every test N times")
    group.addoption(_flag("wait"), type=int, default=WAIT_S, metavar="SECONDS", help="for a board that is in use")
    group.addoption(_flag("short"), action="store_true", help="leave out what takes long")
    group.addoption(_flag("quarantined"), action="store_true", help="use boards in quarantine too")


def of(config: Any) -> Plan:
    """The plan in a pytest config."""
    values: dict[str, Any] = {}
    for row in fields(Plan):
        value = config.getoption(_flag(row.name))
        values[row.name] = tuple(value) if isinstance(value, list) else value
    return Plan(**values)


def _flag(name: str) -> str:
    return f"--hil-{name}"
