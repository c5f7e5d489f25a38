"""What the tests of store and ingest share: a store with nodes, entries, and the way from a message to its rows."""

import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from fleet.bus import Delivery
from fleet.ingest.sorter import Sorter
from fleet.model import Kind, Node
from fleet.store import Store
from fleet.store.intake import Intake, Tally
from protocol import topics
from protocol.messages import Batch
from protocol.records import PHASE_INSTANT, TQ_NTP_HOUR, Event, Record, Sample

NOW_S = 1_763_800_000
BOOT = 29_000_000
NODES = ("air-1", "air-2", "light-1")


def record(seq: int, t: int = NOW_S, tq: int = TQ_NTP_HOUR, means: Mapping[int, int] | None = None) -> bytes:
    """An entry of up/tele."""
    samples = {channel: Sample(mean) for channel, mean in (means or {1: 10 * seq, 2: seq}).items()}
    return Record(seq, t, tq, samples).encode()


def event(seq: int, t: int = NOW_S, tq: int = TQ_NTP_HOUR, code: int = 2) -> bytes:
    """An entry of up/event."""
    return Event(seq, t, tq, code, PHASE_INSTANT).encode()


def batch(*entries: bytes, boot: int = BOOT, up_s: int | None = None) -> bytes:
    """A message with entries of one boot."""
    return Batch(boot=boot, entries=list(entries), up_s=up_s).encode()


_mids = itertools.count()


def delivery(node: str, name: str, payload: bytes, at_s: int = NOW_S, retained: bool = False) -> Delivery:
    """A message as the bus hands it over."""
    return Delivery(topics.up(node, name), payload, next(_mids) % 65535 + 1, 1, at_s * 1_000_000_000, retained)


class Feed:
    """Messages in, rows stored."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.sorter = Sorter(store.nodes.keys)
        self.intake: Intake = store.intake()

    def take(self, *deliveries: Delivery) -> Tally:
        return self.intake.write(self.sorter.sort(deliveries))

    def tele(self, node: str, *entries: bytes, boot: int = BOOT, up_s: int | None = None, at_s: int = NOW_S) -> Tally:
        return self.take(delivery(node, "tele", batch(*entries, boot=boot, up_s=up_s), at_s))

    def bodies(self, node: str = "air-1") -> dict[tuple[int, int], bytes]:
        """{(boot, seq): entry bytes} of the records of a node, as SQL sees them."""
        query = "SELECT boot, seq, body FROM record JOIN node ON record.node = node.key WHERE id = ?"
        return {(boot, seq): body for boot, seq, body in self.sql(query, node)}

    def sql(self, query: str, *values: object) -> list[tuple[object, ...]]:
        """Look into the database past the store."""
        with self.store._engine.connect() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(query, values)]


@contextmanager
def filled_store(path: Path) -> Iterator[Feed]:
    """A migrated store with NODES, and a feed into it."""
    with Store.open(path) as store:
        store.migrate()
        for name in NODES:
            store.nodes.add(Node(name, Kind.LIGHT if name.startswith("light") else Kind.AIR, "board"))
        feed = Feed(store)
        try:
            yield feed
        finally:
            feed.intake.close()
