"""The console of one test: every byte for `expect`, every line with its time for people, and every crash."""

import threading
import time
from pathlib import Path

from fleet.flashing.console import Report
from fleet.flashing.text import LineReader
from hil_tests.harness.crashes import Finder

_KEPT = 20_000  # lines in memory; the files have all


class ConsoleLog:
    """Stands where pytest-embedded has a queue between processes: its reader puts bytes, we write them down at once.

    `raw` is the file that `expect` reads, `log` the one for people: seconds since the start of the test, then the line.
    """

    def __init__(self, raw: Path, log: Path) -> None:
        raw.parent.mkdir(parents=True, exist_ok=True)
        log.parent.mkdir(parents=True, exist_ok=True)
        self._raw = raw.open("ab", buffering=0)
        self._log = log.open("a", encoding="utf-8")
        self._reader = LineReader()
        self._finder = Finder()
        self._began = time.monotonic()
        self._lock = threading.Lock()  # the serial line's thread and the test's
        self.path = log
        self.lines: list[str] = []
        self.reports: list[Report] = []

    def put(self, data: bytes | str, **_: object) -> None:
        """Bytes of the board, as they come."""
        found = data.encode() if isinstance(data, str) else data
        with self._lock:
            if self._raw.closed or not found:
                return
            self._raw.write(found)
            for line in self._reader.feed(found):
                self._keep(line)

    write = put  # the name under which pytest-embedded redirects prints

    def note(self, text: str) -> None:
        """A line of the harness among those of the board: what was done to it."""
        with self._lock:
            if not self._log.closed:
                self._stamp(f"-- {text}")

    def flush(self) -> None:
        """Nothing is held back."""

    def isatty(self) -> bool:
        """It is no terminal."""
        return False

    def crashes(self) -> list[str]:
        """Every crash that the console told of so far."""
        with self._lock:
            return list(self._finder.found)

    def close(self) -> None:
        """End both files; what comes later is dropped."""
        with self._lock:
            if self._reader.rest:
                self._keep(self._reader.rest)
            self._raw.close()
            self._log.close()

    def _keep(self, line: str) -> None:
        self.lines.append(line)
        self._finder.feed(line)
        del self.lines[:-_KEPT]
        report = Report.parse(line)
        if report is not None:
            self.reports.append(report)
        self._stamp(line)

    def _stamp(self, line: str) -> None:
        self._log.write(f"{time.monotonic() - self._began:9.3f} {line}\n")
        self._log.flush()
