"""What was read off a board, for as long as it is nowhere else: from before its file system is written until the node
has reported from the new one. A cable that comes off in between costs neither its key nor a record.

The files hold keys: they are for this user alone, and where there is one, in the directory of this session, which is
memory. They are gone as soon as the board has its own again.
"""

from collections.abc import Mapping
from pathlib import Path

import cbor2

from fleet import files
from fleet.errors import FleetError

_MAX = 8 << 20  # bytes


class Rescue:
    """The kept files of boards by MAC address, in `directory`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> "Rescue":
        """Where this user's session has its files (XDG Base Directory), else among the user's own."""
        top = environ.get("XDG_RUNTIME_DIR") or environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
        return cls(Path(top) / "lumenair" / "rescue")

    def save(self, mac: str, kept: Mapping[str, bytes]) -> None:
        """Keep what belongs to the board; FleetError when that is not possible."""
        if not kept:
            return
        try:
            files.make_private_dir(self._directory)
        except OSError as error:
            raise FleetError(f"cannot write {self._directory}", cause=error.strerror or str(error)) from error
        files.replace(self._path(mac), cbor2.dumps(dict(kept)))

    def load(self, mac: str) -> dict[str, bytes]:
        """What is kept of the board; nothing when there is nothing."""
        try:
            with self._path(mac).open("rb") as file:
                found = cbor2.loads(file.read(_MAX))
        except (OSError, ValueError):  # cbor2's errors are ValueErrors
            return {}
        rows = found.items() if isinstance(found, dict) else ()
        return {path: data for path, data in rows if isinstance(path, str) and isinstance(data, bytes)}

    def forget(self, mac: str) -> None:
        """The board has it all itself."""
        self._path(mac).unlink(missing_ok=True)

    def _path(self, mac: str) -> Path:
        return self._directory / f"{mac}.cbor"
