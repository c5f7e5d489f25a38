"""Runs the tasks: starts them, restarts those that fail or fall silent, feeds the watchdog, keeps house each second."""

import asyncio
import gc
import io
import sys
from binascii import crc32

from node.core.supervisor import Supervisor
from protocol.events import TASK_RESTART
from protocol.messages import LOG_ERROR

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Coroutine

    from node.board.door import WatchdogDoor
    from node.core.breadcrumb import Trail
    from node.core.clock import Clock
    from node.core.health import Lag
    from node.core.journal import Journal

    Factory = Callable[[Callable[[], None]], Coroutine[Any, Any, None]]
    Row = tuple[str, Factory, int, bool]

_PERIOD_MS = 1000
_COLLECT_S = 10  # between two collections in a quiet moment, so that heap figures mean something


class Supervise:
    """Owns the tasks. A row is (name, factory(beat) -> coroutine, budget in ms, mandatory).

    `watchdog` resets the board after `timeout_ms` without food."""

    def __init__(
        self,
        clock: "Clock",
        journal: "Journal",
        trail: "Trail",
        lag: "Lag",
        log: "Callable[[int, str, str], None]",
        watchdog: "WatchdogDoor",
        timeout_ms: int,
    ) -> None:
        self.decider = Supervisor()
        self.margin_ms = timeout_ms  # least time that was left when the watchdog was fed
        self.housekeeping: "list[Callable[[], None]]" = []
        self._clock = clock
        self._journal = journal
        self._trail = trail
        self._lag = lag
        self._log = log
        self._watchdog = watchdog
        self._timeout_ms = timeout_ms
        self._fed_ms = clock.uptime_ms()
        self._over = False  # from then on the end of a task is no failure of it
        self._rows: "dict[str, Row]" = {}
        self._tasks: "dict[str, asyncio.Task[None]]" = {}

    def add(self, row: "Row") -> None:
        """Run this task as well, from the next second on."""
        self._rows[row[0]] = row
        self.decider.add(row[0], row[2], row[3], self._clock.uptime_ms())

    async def run(self, until: "Callable[[], bool]") -> None:
        """Run everything until `until()` is true."""
        passes = 0
        while not until():
            self._turn()
            if passes % _COLLECT_S == 0:
                gc.collect()
            passes += 1
            before = self._clock.ticks()
            await asyncio.sleep_ms(_PERIOD_MS)
            self._lag.add(max(0, self._clock.since(before) - _PERIOD_MS))
        self._over = True

    async def stop(self) -> None:
        """Cancel every task that has not ended by itself."""
        for task in list(self._tasks.values()):
            task.cancel()
        await asyncio.sleep_ms(0)

    def _turn(self) -> None:
        now = self._clock.uptime_ms()
        for name in self.decider.silent(now):
            self._log(LOG_ERROR, "supervise", "task {} is silent: restarting it".format(name))
            if not self._tasks[name].cancel():  # it died without being able to say so: no memory for a trace
                self._ended(name, "lost", 0)
        for name in self.decider.due(now):
            self.decider.started(name, now)
            self._tasks[name] = asyncio.create_task(self._watch(self._rows[name]))
        for step in self.housekeeping:
            try:
                step()
            except Exception as error:  # one step must not stop the others or starve the watchdog
                self._failed("housekeeping", error)
        if self.decider.may_feed(now):
            self.margin_ms = max(0, min(self.margin_ms, self._timeout_ms - (now - self._fed_ms)))
            self._fed_ms = now
            self._watchdog.feed()

    async def _watch(self, row: "Row") -> None:
        """One life of one task."""
        name = row[0]
        try:
            await row[1](self._beat_of(name))
            self._ended(name, "ended", 0)
        except asyncio.CancelledError:
            self._ended(name, "silent", 0)
        except Exception as error:  # whatever it is, the task is started again and the reason reported
            self._ended(name, error.__class__.__name__, self._failed(name, error))

    def _beat_of(self, name: str) -> "Callable[[], None]":
        decider, clock = self.decider, self._clock
        return lambda: decider.beat(name, clock.uptime_ms())

    def _ended(self, name: str, why: str, trace: int) -> None:
        if self._over:
            return
        self.decider.ended(name, self._clock.uptime_ms())
        self._trail.crashed(name, why, trace)
        self._journal.event(TASK_RESTART, 0, {1: name, 2: self.decider.restarts, 3: "{} {:08x}".format(why, trace)})

    def _failed(self, name: str, error: BaseException) -> int:
        """Log an exception; the CRC-32 of its trace, which names the fault without its data."""
        buffer = io.StringIO()
        sys.print_exception(error, buffer)
        text = buffer.getvalue()
        self._log(LOG_ERROR, name, text[-250:].replace("\n", " | "))
        trace: int = crc32(text.encode())
        return trace
