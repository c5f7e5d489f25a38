"""Time as the program lives it: the virtual clock of tools/sim/clock.py, alarms on it, and asyncio between them.

Whenever the program waits (asyncio, time.sleep, a bus), orders are taken; no wait passes the next alarm.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tools.sim.clock import VirtualClock
    from tools.virtual_board.device.channel import Counters


_NEVER = 1 << 60
_FAR = 1 << 59


class Alarm:
    """Something that rings once at a time of `Timeline.now_ms`, then calls `ring()`, which may set it again."""

    def __init__(self, line: "Timeline", ring: "Callable[[], None]") -> None:
        self.due_ms = _NEVER
        self._line = line
        self.ring = ring

    def set(self, due_ms: int) -> None:
        """Ring at that time."""
        self.due_ms = due_ms
        self._line.look()

    def stop(self) -> None:
        """Do not ring."""
        self.set(_NEVER)


class Timeline:
    """The clock with its alarms. `serve(ms)` takes orders for so long (-1: until one comes)."""

    def __init__(self, clock: "VirtualClock", serve: "Callable[[int], None]") -> None:
        self.clock = clock
        self.counters: "Counters | None" = None
        self._serve = serve
        self._poll = serve
        self._alarms: "list[Alarm]" = []
        self._due_ms = _NEVER  # of the first alarm
        self.now_ms = clock.now_ms  # milliseconds since this run began; they do not wrap

    def ticks(self) -> int:
        """For asyncio."""
        return self.clock.ticks()

    def alarm(self, ring: "Callable[[], None]") -> Alarm:
        """A new alarm, switched off."""
        alarm = Alarm(self, ring)
        self._alarms.append(alarm)
        return alarm

    def wait(self, dt: int, poll: "Callable[[int], None]") -> None:
        """What asyncio does when its next timer is `dt` ms away (-1: no timer)."""
        left = self._due_ms - self.now_ms()
        if dt > left or dt < 0:
            dt = max(left, 0) if left < _FAR else dt
        self._poll = poll
        self.clock.wait(dt, self._watched)
        if self._due_ms <= self.clock.elapsed_ms:
            self._ring()

    def sleep(self, milliseconds: int) -> None:
        """Let so much time pass, taking orders."""
        end = self.now_ms() + milliseconds
        left = milliseconds
        while True:
            self.wait(max(left, 0), self._serve)
            left = end - self.now_ms()
            if left <= 0:
                return

    def _watched(self, real_ms: int) -> None:
        """Poll; a real wait is noted, so that nobody takes the program for dead."""
        if real_ms == 0 or self.counters is None:
            self._poll(real_ms)
            return
        self.counters.waiting(True)
        try:
            self._poll(real_ms)
        finally:
            self.counters.waiting(False)

    def look(self) -> None:
        """An alarm was set: which is the first?"""
        self._due_ms = min([alarm.due_ms for alarm in self._alarms])

    def _ring(self) -> None:
        now = self.now_ms()
        for alarm in self._alarms:
            if alarm.due_ms <= now:
                alarm.stop()
                alarm.ring()


class _NoTask:
    """Stands for the task that asyncio enters with a stream."""

    data: object = None


def install(timeline: Timeline, orders: "Any", serve: "Callable[[int], None]", later: "list[Any]") -> None:
    """Make asyncio run on `timeline` and take orders from the stream `orders` by `serve(0)` while it waits.

    `later` holds orders that have left the stream and were not obeyed. Call it before the first task exists. The stream
    counts as one that is waited for, always."""
    import asyncio

    core: "Any" = asyncio.core  # type: ignore[attr-defined]

    class Waiter(core.IOQueue):  # type: ignore[misc]
        """The socket poller, asked through the clock."""

        def __init__(self) -> None:
            super().__init__()
            core.cur_task = _NoTask()
            self.queue_read(orders)
            core.cur_task = None
            self.map[id(orders)][0] = None

        def wait_io_event(self, dt: int) -> None:
            if later:
                serve(0)
            timeline.wait(dt, super().wait_io_event)

        def _dequeue(self, stream: "Any") -> None:
            """No task waits for the stream: so it is with the orders, always, when something has come."""
            if stream is orders:
                serve(0)
            else:
                super()._dequeue(stream)

    core.ticks = timeline.ticks
    core.IOQueue = Waiter
    core.new_event_loop()
