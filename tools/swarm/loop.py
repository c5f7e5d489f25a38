"""What moves the nodes of one process: sockets that are ready, times that have come, work that waits its turn."""

import heapq
import select
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

_AT_ONCE = 512  # events of sockets
_TURN = 256  # pieces of work between two looks at the sockets


@dataclass(slots=True)
class Timer:
    """A call at a time; `cancel` it when it is not wanted any more."""

    call: Callable[[], None] | None

    def cancel(self) -> None:
        """It will not happen."""
        self.call = None


class Loop:
    """One thread, epoll, a heap of timers."""

    def __init__(self) -> None:
        self._poll = select.epoll()
        self._ready: deque[Callable[[], None]] = deque()
        self._timers: list[tuple[int, int, Timer]] = []  # when, the number of the call, the call
        self._sockets: dict[int, tuple[int, Callable[[int], None]]] = {}
        self._count = 0
        self._stopped = False
        self.lag_ms = 0  # the longest that a timer was late

    def now_ms(self) -> int:
        """Milliseconds of a clock that never goes back."""
        return time.monotonic_ns() // 1_000_000

    def at(self, at_ms: int, call: Callable[[], None]) -> Timer:
        """Call it then."""
        self._count += 1
        timer = Timer(call)
        heapq.heappush(self._timers, (at_ms, self._count, timer))
        return timer

    def after(self, wait_ms: int, call: Callable[[], None]) -> Timer:
        """Call it in so many milliseconds."""
        return self.at(self.now_ms() + wait_ms, call)

    def soon(self, call: Callable[[], None]) -> None:
        """Call it when the others had their turn."""
        self._ready.append(call)

    def watch(self, fd: int, mask: int, call: Callable[[int], None]) -> None:
        """Call it with the events of a file descriptor. Watching it again changes the mask."""
        known = self._sockets.get(fd)
        if known is None:
            self._poll.register(fd, mask)
        elif known[0] != mask:
            self._poll.modify(fd, mask)
        self._sockets[fd] = mask, call

    def leave(self, fd: int) -> None:
        """Watch it no more; before it is closed."""
        if self._sockets.pop(fd, None) is not None:
            self._poll.unregister(fd)

    def stop(self) -> None:
        """`run` returns."""
        self._stopped = True

    def run(self) -> None:
        """Until `stop`."""
        while not self._stopped:
            for fd, mask in self._poll.poll(self._wait_s(), _AT_ONCE):
                known = self._sockets.get(fd)
                if known is not None:
                    known[1](mask)
            self._due()
            for _ in range(min(len(self._ready), _TURN)):
                self._ready.popleft()()

    def close(self) -> None:
        """Give the descriptor back."""
        self._poll.close()

    def _wait_s(self) -> float:
        if self._ready:
            return 0
        while self._timers and self._timers[0][2].call is None:
            heapq.heappop(self._timers)
        if not self._timers:
            return 1
        return max(0, self._timers[0][0] - self.now_ms()) / 1000

    def _due(self) -> None:
        now = self.now_ms()
        while self._timers and self._timers[0][0] <= now:
            at_ms, _, timer = heapq.heappop(self._timers)
            if timer.call is not None:
                self.lag_ms = max(self.lag_ms, now - at_ms)
                timer.call()
