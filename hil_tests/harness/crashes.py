"""What a console says when a program dies, found in its lines. Pure."""

import re
from collections.abc import Iterable

from fleet.flashing import signs

_DEADLY = (signs.PANIC, signs.TRACEBACK, signs.BROWNOUT, signs.WATCHDOG, signs.FILES)
_TRACE = re.compile(
    r'Traceback \(most|\| +File "'
)  # in our log `|` parts the lines of one, and its head may be cut off
_SHOWN = 300  # characters of one finding


class Finder:
    """Reads a console line by line. `found` has a text for each crash: the line that tells of it, of a traceback the
    last one.
    """

    def __init__(self) -> None:
        self.found: list[str] = []
        self._tracing = False  # the lines of a traceback are being read

    def feed(self, line: str) -> None:
        """The next line."""
        if self._tracing:
            self._tracing = line.startswith((" ", "\t"))
            if not self._tracing:
                self.found[-1] = line.strip()[:_SHOWN]
            return
        log = signs.log_of(line)
        sign = None if log else signs.sign_of(line)
        if log is not None and log.severity == signs.ERROR and _TRACE.search(log.text):
            self.found.append(f"{log.tag}: {log.text.rstrip(' |').rsplit(' | ', 1)[-1]}"[:_SHOWN])
        elif sign is not None and sign.name in _DEADLY:
            self.found.append(line.strip()[:_SHOWN])
            self._tracing = sign.name == signs.TRACEBACK


def find(lines: Iterable[str]) -> list[str]:
    """Every crash that these lines tell of, in order."""
    finder = Finder()
    for line in lines:
        finder.feed(line)
    return finder.found
