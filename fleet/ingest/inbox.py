"""The bounded queue between the thread that receives and the one that stores."""

import threading
from collections import deque

from fleet.bus import Delivery


class Inbox:
    """One producer, one consumer. Full at `limit` messages: the producer is told, and nothing is dropped in here."""

    def __init__(self, limit: int, batch: int, linger_s: float) -> None:
        self._items: deque[Delivery] = deque()
        self._limit = limit
        self._batch = batch
        self._linger_s = linger_s
        self._some = threading.Event()
        self._enough = threading.Event()
        self._closed = False
        self.turned_away = 0  # QoS 1: the broker sends them again
        self.dropped = 0  # QoS 0: gone, as QoS 0 may be

    def offer(self, delivery: Delivery) -> bool:
        """Take it, or say that there is no room."""
        waiting = len(self._items)
        if waiting >= self._limit:
            if delivery.mid:
                self.turned_away += 1
            else:
                self.dropped += 1
            return not delivery.mid
        self._items.append(delivery)
        if waiting == 0:
            self._some.set()
        elif waiting + 1 == self._batch:
            self._enough.set()
        return True

    def take(self) -> list[Delivery]:
        """The next batch: what came until it was full or `linger_s` after its first message. Empty: closed and done."""
        self._some.clear()
        while not self._items and not self._closed:
            self._some.wait()
            self._some.clear()
        self._enough.clear()
        if len(self._items) < self._batch and not self._closed:
            self._enough.wait(self._linger_s)
        pop = self._items.popleft
        return [pop() for _ in range(min(len(self._items), self._batch))]

    def close(self) -> None:
        """No more will come: `take` does not wait any longer."""
        self._closed = True
        self._some.set()
        self._enough.set()

    def __len__(self) -> int:
        return len(self._items)
