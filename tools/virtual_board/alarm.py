"""The one thing that is going to happen to a board by itself: a retry, a watchdog, the end of a sleep."""

import asyncio
from collections.abc import Callable

from tools.switchboard import WorldClock


class Alarm:
    """At most one is set; setting another replaces it."""

    def __init__(self, world: WorldClock) -> None:
        self._world = world
        self._timer: asyncio.TimerHandle | None = None
        self._sleep: tuple[float, Callable[[], None]] | None = None  # world time at which it ends

    def after(self, seconds: float, ring: Callable[[], None]) -> None:
        """Ring in so many seconds of real time."""
        self.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, ring)

    def sleep(self, seconds: float, ring: Callable[[], None]) -> None:
        """Ring when so much time of the world has passed."""
        self.cancel()
        self._sleep = self._world.utc_s() + seconds, ring
        self.world_changed()

    def world_changed(self) -> None:
        """The clock of the world was set, or runs at another rate."""
        if self._sleep is not None:
            end, ring = self._sleep
            if self._timer is not None:
                self._timer.cancel()
            left_s = (end - self._world.utc_s()) / self._world.rate
            self._timer = asyncio.get_running_loop().call_later(max(0.0, left_s), ring)

    def cancel(self) -> None:
        """Nothing is going to happen."""
        self._sleep = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
