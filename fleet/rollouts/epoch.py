"""The epoch, from the database to the broker: retained on one topic, for every node."""

from collections.abc import Callable

from fleet.store import Store
from protocol.topics import EPOCH

Publish = Callable[[str, bytes, bool], None]  # topic, payload, retain; returns when the broker has it


class EpochDelivery:
    """Call `step` often while there is a connection; an error of `publish` is made good by the next one."""

    def __init__(self, store: Store, publish: Publish, session: Callable[[], int]) -> None:
        """`session` numbers the connections to the broker: one that is new may be to one that has forgotten."""
        self._store = store
        self._publish = publish
        self._session = session
        self._sent = 0, 0  # number of the epoch, and the connection over which the broker took it

    @property
    def number(self) -> int:
        """Of the epoch that the broker took last; 0 = none."""
        return self._sent[0]

    def step(self) -> None:
        """Tell the broker the newest epoch, unless it has it."""
        session = self._session()
        newest = self._store.rollouts.epoch()
        if newest is not None and self._sent != (newest.number, session):
            self._publish(EPOCH, newest.envelope, True)
            self._sent = newest.number, session
