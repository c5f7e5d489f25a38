"""What a board goes through (resets, power, sleep), one after the other."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any


class Transitions:
    """Those of one board. `after()` is called when one is over and none is under way or due.

    The first that fails is not passed over: `failed` says why.
    """

    def __init__(self, after: Callable[[], None]) -> None:
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._after = after
        self._turn = asyncio.Lock()
        self._due = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def busy(self) -> bool:
        """One is under way, or due."""
        return self._due > 0 or self._turn.locked()

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """A transition, when it is its turn."""
        async with self._turn:
            yield
        self._over()

    def soon(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin `work`, which makes its transition by itself, and do not wait."""
        self._due += 1
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def cancel(self) -> None:
        """End whatever is under way."""
        for task in list(self._tasks):
            task.cancel()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._due -= 1
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            self._over()
        elif not self.failed.done():
            self.failed.set_exception(error)

    def _over(self) -> None:
        if not self.busy:
            self._after()
