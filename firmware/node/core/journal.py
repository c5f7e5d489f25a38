"""Turns samples and events into entries: numbers them, encodes them, gives them to the outbox.

Records and events share one run of seq per boot. A number is spent even when the outbox had to refuse the entry,
so that a loss is a gap that the fleet manager can see.
"""

from node.core.outbox import EVENT, RECORD
from protocol.errors import EncodeError
from protocol.records import INTERVAL_S, MAX_ENTRY, PHASE_INSTANT, TQ_UPTIME, Event, Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from node.core.clock import Clock
    from node.core.outbox import Outbox
    from protocol.records import Sample

_DATE = 4  # bytes by which an entry may grow when it is dated


class Journal:
    """The only writer of entries. `seq` is the number of the next one."""

    def __init__(self, outbox: "Outbox", clock: "Clock") -> None:
        self._outbox = outbox
        self._clock = clock
        self.seq = 0

    def record(self, samples: "dict[int, Sample]", t: int, tq: int, interval: int = INTERVAL_S) -> bool:
        """Keep what was measured in the interval that began at (t, tq), as `Clock.stamp` gave it.

        False when there was no room. Raises EncodeError when the samples break a bound of SPEC 5.
        """
        return self._append(RECORD, tq, Record(self.seq, t, tq, samples, interval).encode())

    def event(self, code: int, phase: int = PHASE_INSTANT, attrs: "dict[int, Any] | None" = None) -> bool:
        """Keep that something happened now; False when there was no room. Raises EncodeError as `record`."""
        t, tq = self._clock.stamp()
        return self._append(EVENT, tq, Event(self.seq, t, tq, code, phase, attrs).encode())

    def _append(self, kind: int, tq: int, entry: bytes) -> bool:
        if tq == TQ_UPTIME and len(entry) > MAX_ENTRY - _DATE:
            raise EncodeError("no room for the date")
        self.seq += 1
        return self._outbox.append(kind, entry)
