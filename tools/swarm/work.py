"""The task of one run of a node that runs its updater: a few steps at a time, as `node/tasks/update.py` does it."""

from collections.abc import Callable, Iterator
from typing import Protocol

from node.core.update.resident import Resident
from tools.swarm.flash import PowerCut
from tools.swarm.loop import Timer

_TURN = 32  # steps before others have their turn
_PAUSE_MS = 1000  # whatever work ends with, it does not begin anew at once
_BEAT_MS = 5000  # between two looks at what only time changes


class Host(Protocol):
    """What it needs of its node."""

    @property
    def is_up(self) -> bool:
        """There is a session."""

    def later(self, wait_ms: int, call: Callable[[], object]) -> Timer:
        """Do it then, in this run only."""

    def send(self, payload: bytes) -> None:
        """A question for blocks goes out, unless it is lost."""

    def may_go_on(self) -> bool:
        """Before each step; False: the run is over, or the node silent."""

    def restart(self) -> None:
        """The updater wants to restart, and has nothing else to do."""


class Work:
    """`turn` whenever there may be something to do; `drop` at the end of the run."""

    def __init__(self, host: Host, resident: Resident) -> None:
        self._host = host
        self._resident = resident
        self._steps: Iterator[int | bytes | None] | None = None
        self._owed: bytes | None = None  # waits for a session
        self._wait: Timer | None = None
        self._is_planned = False
        self._rests_until_ms = 0
        resident.on_ready = self.turn
        host.later(_BEAT_MS, self._beat)

    def turn(self) -> None:
        """Go on when it is its turn."""
        if not self._is_planned:
            self._is_planned = True
            if self._wait is not None:
                self._wait.cancel()
            self._wait = self._host.later(0, self._go)

    def drop(self) -> None:
        """The run ends without a word; the flash is off already."""
        steps, self._steps = self._steps, None
        try:
            if steps is not None:
                steps.close()  # type: ignore[attr-defined]
        except PowerCut:
            pass

    def _beat(self) -> None:
        self._host.later(_BEAT_MS, self._beat)
        if self._steps is None:
            self._rest()

    def _rest(self) -> None:
        """Nothing runs."""
        if self._resident.busy:
            self.turn()
        elif self._resident.ready:
            self._host.restart()

    def _go(self) -> None:
        self._is_planned = False
        if self._owed is not None:
            if not self._host.is_up:
                return
            self._send_owed()
        if self._steps is None:
            if not self._resident.busy:
                return
            self._steps = self._resident.work()
        for _ in range(_TURN):
            if self._steps is None or not self._step(self._steps):
                return
        self.turn()

    def _send_owed(self) -> None:
        payload, self._owed = self._owed, None
        if payload is not None:
            self._host.send(payload)

    def _step(self, steps: Iterator[int | bytes | None]) -> bool:
        """One step; False when the next has to wait."""
        if not self._host.may_go_on():
            return False
        try:
            step = next(steps)
        except StopIteration:
            self._steps = None
            self._host.later(_PAUSE_MS, self._rest)
            return False
        if isinstance(step, bytes):
            self._owed = step
            if not self._host.is_up:
                return False
            self._send_owed()
        elif step is not None:
            self._wait = self._host.later(step, self.turn)
            return False
        return True
