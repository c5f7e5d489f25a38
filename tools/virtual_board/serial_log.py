"""DIR/serial.log: everything that a board ever said, each line with the time at which it began."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO


class SerialLog:
    """Appends. A line that is not complete (a prompt) is there as soon as it was said."""

    def __init__(self, path: Path) -> None:
        self._file: TextIO = path.open("a", encoding="utf-8", errors="replace", newline="\n")
        self._begun = False

    def write(self, data: bytes) -> None:
        """Bytes from the board."""
        text = data.decode("utf-8", "replace").replace("\r", "")
        for line in text.splitlines(keepends=True):
            if not self._begun:
                self._file.write(self._stamp())
            self._file.write(line)
            self._begun = not line.endswith("\n")
        self._file.flush()

    def note(self, text: str) -> None:
        """Something that happened to the board, on a line of its own."""
        self._file.write(("\n" if self._begun else "") + f"{self._stamp()}-- {text}\n")
        self._begun = False
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _stamp(self) -> str:
        return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z "
