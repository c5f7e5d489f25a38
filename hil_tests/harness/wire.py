"""What nodes say to the broker, as it comes: an operator who listens from the start of a test to its end."""

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fleet import tail, watch
from fleet.bus import Delivery
from fleet.config import Config
from fleet.errors import FleetError
from hil_tests.harness.verdict import bench_fault
from protocol.topics import PREFIX

QUEUE = 10_000
_TICK_S = 0.2


@dataclass(frozen=True)
class Heard:
    """A line, and when it came (time.monotonic)."""

    line: tail.Line
    at_s: float

    @property
    def fields(self) -> dict[str, Any]:
        """What it says, by name."""
        return dict(self.line.fields)


class Wire:
    """Listens to every node. InfrastructureError when the broker does not answer at the start."""

    def __init__(self, config: Config) -> None:
        self._waiting: queue.Queue[Delivery] = queue.Queue(QUEUE)
        self._heard: list[Heard] = []
        self._news = threading.Condition()
        self._over = False
        self._began = time.monotonic()
        try:
            self._bus = watch.connected(config, (f"{PREFIX}/+/up/#",), self._waiting)
        except FleetError as error:
            raise bench_fault("cannot listen to the broker", error) from error
        self._thread = threading.Thread(target=self._listen, name="wire", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Listen no more."""
        self._over = True
        self._thread.join()
        self._bus.stop()

    def text(self) -> str:
        """All of it for people: seconds since the beginning, node, what it said."""
        rows = [f"{one.at_s - self._began:9.3f} {one.line.node} {one.line.what} {one.line.text}" for one in self._heard]
        return "\n".join(rows) + "\n"

    def since(self, node: str, at_s: float = 0.0) -> list[Heard]:
        """What that node has said since a moment, in the order of arrival."""
        with self._news:
            return [heard for heard in self._heard if heard.line.node == node and heard.at_s >= at_s]

    def wait(self, node: str, fits: Callable[[Heard], bool], since_s: float, timeout_s: float) -> Heard | None:
        """The first of its lines since then that fits, as soon as there is one; None after `timeout_s`."""
        end = time.monotonic() + timeout_s
        seen = 0
        while True:
            with self._news:
                fresh = self._heard[seen:]
                seen = len(self._heard)
                if not fresh and not self._news.wait(max(0.0, end - time.monotonic())):
                    return None
            for heard in fresh:
                if heard.line.node == node and heard.at_s >= since_s and fits(heard):
                    return heard
            if time.monotonic() >= end:
                return None

    def _listen(self) -> None:
        while not self._over:
            try:
                delivery = self._waiting.get(timeout=_TICK_S)
            except queue.Empty:
                continue
            self._bus.ack([delivery])
            now = time.monotonic()
            found = [] if delivery.retained else [Heard(line, now) for line in tail.lines(*delivery[:2])]
            with self._news:
                self._heard += found
                self._news.notify_all()
