"""Which nodes were registered and whose board has not proved yet that it got the key.

A note is written before a node gets into the register and goes away when its board has reported with the new identity.
Whatever happens in between (a cable, a power cut, kill -9), the note says that doing the same again completes it, and
nobody takes such a node for one that works. A note holds no secret.
"""

import contextlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from fleet import files
from fleet.errors import FleetError

FOLDER = "unfinished"  # in the fleet directory


@dataclass(frozen=True)
class Note:
    """A node on its way to a board. `mac` is empty when the board could not say it."""

    node: str
    mac: str
    port: str
    since_s: int


class Unfinished:
    """The notes of one fleet."""

    def __init__(self, directory: Path) -> None:
        self._folder = directory / FOLDER

    def begin(self, note: Note) -> None:
        """From now on the node counts as unfinished. FleetError when the note cannot be kept."""
        try:
            files.make_private_dir(self._folder)
        except OSError as error:
            raise FleetError(f"cannot write {self._folder}", cause=error.strerror or str(error)) from error
        files.replace(self._path(note.node), json.dumps(asdict(note)).encode())

    def end(self, node: str) -> None:
        """Its board has proved that it has the key."""
        self._path(node).unlink(missing_ok=True)

    def get(self, node: str) -> Note | None:
        """The note of a node; None when there is none, or none that can be read."""
        with contextlib.suppress(OSError, ValueError, TypeError):
            return Note(**json.loads(self._path(node).read_bytes()))
        return None

    def all(self) -> list[Note]:
        """Every note, by node."""
        with contextlib.suppress(OSError):
            names = sorted(path.stem for path in self._folder.glob("*.json"))
            return [note for note in map(self.get, names) if note is not None]
        return []

    def _path(self, node: str) -> Path:
        return self._folder / f"{node}.json"
