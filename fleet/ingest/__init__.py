"""From broker to database: receive, queue, decode, commit, and only then acknowledge.

    bus thread      Inbox.offer                      inbox.py
    ingest thread   Inbox.take -> Sorter.sort        sorter.py, decode.py   decisions without I/O
                    -> Intake.write -> Bus.ack       this file

A message leaves the broker's books only after its rows are committed, so a crash at any instruction repeats messages
and loses none; what is repeated is stored once. While the database fails, nothing is acknowledged: the batch is tried
again with growing pauses, the queue fills to its limit, and the rest waits in the broker.
"""

import threading
from collections.abc import Callable
from typing import Protocol

from fleet.bus import Delivery
from fleet.errors import UnreachableError
from fleet.ingest.inbox import Inbox
from fleet.ingest.sorter import Sorter
from fleet.store.intake import RowError, Rows, Tally

PAUSE_FIRST_S = 0.05
PAUSE_MAX_S = 2.0


class Writer(Protocol):
    """The store's side (fleet.store.intake.Intake)."""

    def write(self, rows: Rows) -> Tally:
        """Commit all rows or none; RowError when one row is at fault, UnreachableError when the database is."""


class Ingest:
    """The thread that stores. `ack` and `room` are the bus's `ack` and `resume`."""

    def __init__(
        self,
        inbox: Inbox,
        sorter: Sorter,
        writer: Writer,
        ack: Callable[[list[Delivery]], None],
        room: Callable[[], None],
        log: Callable[[str], None],
    ) -> None:
        self._inbox = inbox
        self._sorter = sorter
        self._writer = writer
        self._ack = ack
        self._room = room
        self._log = log
        self._abandoned = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ingest", daemon=True)
        self.total = Tally()
        self.messages = 0  # committed
        self.batches = 0
        self.failures = 0  # attempts that the database refused
        self.fault = ""  # why, while it does

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def finish(self, timeout_s: float) -> bool:
        """Store what was received and end. False: the database did not take it in time; the broker still has it."""
        self._inbox.close()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
            self._abandoned.set()
            self._thread.join()
        return len(self._inbox) == 0 and not self.fault

    def _run(self) -> None:
        while batch := self._inbox.take():
            if not self._store_patiently(batch):
                return
            if not len(self._inbox):
                self._room()

    def _store_patiently(self, batch: list[Delivery]) -> bool:
        """Store a batch, however long the database takes; False when told to give up."""
        pause_s = PAUSE_FIRST_S
        while True:
            try:
                self.store(batch)
            except Exception as error:  # UnreachableError as a rule; whatever it is, nothing was acknowledged
                self.failures += 1
                if not self.fault:
                    self._log(f"cannot store, will try again: {error!s}")
                self.fault = str(error) or type(error).__name__
                if self._abandoned.wait(pause_s):
                    return False
                pause_s = min(pause_s * 2, PAUSE_MAX_S)
            else:
                if self.fault:
                    self._log("the database takes data again")
                    self.fault = ""
                return True

    def store(self, batch: list[Delivery]) -> None:
        """Commit and acknowledge; halves the batch to find a message that cannot be stored, and sets it aside."""
        try:
            tally = self._writer.write(self._sorter.sort(batch))
        except UnreachableError:
            raise
        except Exception as error:  # RowError as a rule; a fault of ours must not stop the others either
            if len(batch) > 1:
                middle = len(batch) // 2
                self.store(batch[:middle])
                self.store(batch[middle:])
                return
            tally = self._writer.write(_refused(batch[0], error))
        self._ack(batch)
        self._count(len(batch), tally)

    def _count(self, messages: int, tally: Tally) -> None:
        total = self.total
        total.stored += tally.stored
        total.duplicates += tally.duplicates
        total.dated += tally.dated
        total.conflicts += tally.conflicts
        total.refused += tally.refused
        self.messages += messages
        self.batches += 1


def _refused(delivery: Delivery, error: Exception) -> Rows:
    reason = f"cannot be stored: {error.cause if isinstance(error, RowError) else repr(error)}"
    return Rows(letters=[(delivery.topic, delivery.payload, reason, delivery.at_ns // 1_000_000)])
