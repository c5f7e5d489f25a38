"""What the processes of one run know in common: a directory that the first of them made.

Only whoever holds a board's lock writes what is known about that board, so each file has one writer at a time.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Standing:
    """What is known about a sound board in this run; a broken one is in the results (`fleet.hil.results`)."""

    checked: bool = False  # its loader answered, and it is the chip of the inventory
    node: str = ""  # the id that it was given in this run, and with which it has reported
    settings: bool = False  # and it has the settings that the suites begin with


class Run:
    """The directory of the run."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    def standing(self, board: str) -> Standing:
        """What is known about a board; nothing yet for a new one."""
        try:
            return Standing(**json.loads(self._file(board).read_text()))
        except FileNotFoundError:
            return Standing()

    def keep(self, board: str, standing: Standing) -> None:
        """From now on this is known."""
        part = self._file(board).with_suffix(f".{os.getpid()}")
        part.write_text(json.dumps(asdict(standing)))
        part.replace(self._file(board))

    def number(self) -> int:
        """1, 2, 3, ...: each once in a run, whichever process asks."""
        with (self.directory / "number").open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            number = int(file.read() or 0) + 1
            file.truncate(0)
            file.write(str(number))
            return number

    @contextlib.contextmanager
    def city_in_use(self, alone: bool) -> Iterator[None]:
        """While a test uses the broker. `alone`: it will break what all nodes need, so no other test runs meanwhile."""
        with (self.directory / "city.lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
            yield

    def _file(self, board: str) -> Path:
        return self.directory / f"board-{board}.json"
