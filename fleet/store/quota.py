"""How much of what nodes send without end is kept: log lines, and messages that are refused.

A node gone mad or stolen can send thousands a second. Retention works by the hour and by the day; until then this keeps
the database from filling up. Records and events need no such bound: each is a measurement, and the newest stay longest.
"""

from collections import Counter
from collections.abc import Iterable

from protocol.cbor import MAX_SIZE

LogRow = tuple[int, int, int, int, int, str, str, int]  # node, received_ms, boot, up_ms, level, tag, text, dropped
Letter = tuple[str, bytes, str, int]  # topic, payload, reason, received_ms

LINES_AN_HOUR = 10_000  # of one node
LETTERS_AN_HOUR = 10_000  # of one topic
_HOUR_MS = 3_600_000


class Quotas:
    """What came within the hour, for one thread. A transaction that is tried again counts again."""

    def __init__(self) -> None:
        self._hour = 0
        self._counts: Counter[object] = Counter()

    def lines(self, rows: Iterable[LogRow]) -> list[LogRow]:
        """The lines to keep; the first one too many says that there were more."""
        kept = []
        for row in rows:
            count = self._count(row[0], row[1])
            if count <= LINES_AN_HOUR:
                kept.append(row)
            elif count == LINES_AN_HOUR + 1:
                kept.append((*row[:6], f"more than {LINES_AN_HOUR} lines within an hour: the rest is not kept", row[7]))
        return kept

    def letters(self, letters: Iterable[Letter]) -> list[Letter]:
        """All; those too many are counted together, without their bytes. One over MAX_SIZE counts for several."""
        kept = []
        for topic, payload, reason, received_ms in letters:
            if self._count(topic, received_ms, 1 + len(payload) // MAX_SIZE) <= LETTERS_AN_HOUR:
                kept.append((topic, payload, reason, received_ms))
            else:
                kept.append((topic, b"", f"one of more than {LETTERS_AN_HOUR} within an hour", received_ms))
        return kept

    def _count(self, key: object, at_ms: int, weight: int = 1) -> int:
        hour = at_ms // _HOUR_MS
        if hour != self._hour:
            self._hour = hour
            self._counts.clear()
        self._counts[key] += weight
        return self._counts[key]
