"""From message to row: poison is set aside with its reason, a database that fails costs nothing but time."""

import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.bus import Delivery
from fleet.errors import UnreachableError
from fleet.ingest import Ingest
from fleet.ingest.inbox import Inbox
from fleet.ingest.sorter import Sorter
from fleet.model import Kind, Node
from fleet.store.intake import RowError, Rows, Tally
from fleet.tests.rig import wait_for
from fleet.tests.store_rig import BOOT, NOW_S, Feed, batch, delivery, event, filled_store, record
from protocol.messages import MAX_ENTRIES, Config, Heartbeat, Log, State

POISON = {
    "not CBOR": ("up/tele", b"\xff", "only false, true and null are part of the subset"),
    "empty": ("up/tele", b"", "truncated"),
    "no map": ("up/tele", b"\x01", "Batch is not a map"),
    "no entries": ("up/tele", b"\xa1\x01\x05", "Batch.entries missing"),
    "too many entries": (
        "up/tele",
        b"\xa2\x01\x05\x02\x98\x81" + b"\x40" * (MAX_ENTRIES + 1),
        "Batch.entries out of range",
    ),
    "too large": ("up/tele", b"\x59\xff\xff" + bytes(65535), "message longer than 8192 bytes"),
    "too deep": ("up/state", b"\x81" * 100, "nested deeper than 8"),
    "a float": ("up/state", b"\xa2\x01\xf5\x0c\xfb" + bytes(8), "only false, true and null are part of the subset"),
    "a state without its required field": ("up/state", b"\xa0", "State.online missing"),
    "an event among the records": ("up/tele", batch(event(1)), "entry: samples of the wrong shape"),
    "a record among the events": ("up/event", batch(record(1)), "entry: entry of the wrong shape"),
    "an entry that is no entry": ("up/tele", batch(b"\x01"), "entry: entry of the wrong shape"),
    "a question for a block among what is stored": ("up/block", b"\xa0", "nothing is expected on up/block"),
    "a stage of later": ("up/ota", b"\xa1\x02\x0b", "Status.stage out of range"),
    "an update without end": ("up/ota", bytes(2000), "message longer than 1024 bytes"),
    "a topic that a node may not use": ("down/config", Config(rev=1).encode(), "nothing is expected on down/config"),
    "a topic of somebody else": ("up/tele/more", b"\xa0", "not a topic of this contract"),
}


@pytest.fixture(scope="module")
def feed(tmp_path_factory: pytest.TempPathFactory):
    with filled_store(tmp_path_factory.mktemp("store") / "fleet.db") as found:
        yield found


@pytest.mark.parametrize(("where", "payload", "reason"), POISON.values(), ids=POISON)
def test_poison_is_set_aside_and_counted(feed: Feed, where: str, payload: bytes, reason: str) -> None:
    topic = f"lum/1/air-1/{where}"
    before = feed.store.readings.count()
    for _ in range(2):
        assert feed.take(Delivery(topic, payload, 1, 1, NOW_S * 10**9, False)).refused == 1
    letter = next(found for found in feed.store.journal.dead_letters() if found.reason == reason)
    entry = reason.startswith("entry: ")
    assert (letter.topic, letter.count, letter.payload in payload if entry else letter.payload == payload) == (
        topic,
        2,
        True,
    )
    assert feed.store.readings.count() == before


def test_a_node_that_nobody_added_is_set_aside_until_it_is_added(feed: Feed) -> None:
    message = Delivery("lum/1/later-1/up/log", Log(text="hello").encode(), 0, 1, NOW_S * 10**9, False)
    assert feed.take(message).refused == 1
    feed.store.nodes.add(Node("later-1", Kind.AIR, "board"))
    assert feed.take(message).refused == 0


def test_unknown_nodes_are_looked_up_once_per_batch() -> None:
    calls = []
    sorter = Sorter(lambda: calls.append(1) or {"air-1": 1})
    rows = sorter.sort([delivery(f"nobody-{n}", "log", Log().encode()) for n in range(50)])
    assert (len(rows.letters), len(calls)) == (50, 1)


class Shelf:
    """A writer in memory that fails as told."""

    def __init__(self) -> None:
        self.rows: list[Rows] = []
        self.fail: list[Exception] = []
        self.poison: set[bytes] = set()

    def write(self, rows: Rows) -> Tally:
        if self.fail:
            raise self.fail.pop(0)
        if any(row[6] in self.poison for row in rows.records):
            raise RowError("the database refuses a row", cause="datatype mismatch")
        self.rows.append(rows)
        return Tally(stored=len(rows.records), refused=len(rows.letters))

    def bodies(self) -> list[bytes]:
        return [row[6] for rows in self.rows for row in rows.records]


class Line:
    """An ingest thread with its inbox and what it acknowledged."""

    def __init__(self, limit: int = 1000, batch: int = 10) -> None:
        self.shelf = Shelf()
        self.acked: list[Delivery] = []
        self.log: list[str] = []
        self.roomy = 0
        self.inbox = Inbox(limit, batch, 0.001)
        sorter = Sorter(lambda: {"air-1": 1})
        self.ingest = Ingest(self.inbox, sorter, self.shelf, self.acked.extend, self._room, self.log.append)

    def _room(self) -> None:
        self.roomy += 1


def tele(seq: int) -> Delivery:
    return delivery("air-1", "tele", batch(record(seq)))


def test_nothing_is_acknowledged_while_the_database_fails_and_all_of_it_afterwards() -> None:
    line = Line()
    line.shelf.fail = [UnreachableError("cannot write", cause="database is locked")] * 3
    sent = [tele(seq) for seq in range(25)]
    for message in sent:
        line.inbox.offer(message)
    line.ingest.start()
    wait_for(lambda: line.ingest.failures == 3, "three attempts")
    wait_for(lambda: len(line.acked) == 25, "every acknowledgement")
    assert line.acked == sent
    assert line.shelf.bodies() == [record(seq) for seq in range(25)]
    assert [text.partition(":")[0] for text in line.log] == [
        "cannot store, will try again",
        "the database takes data again",
    ]
    assert line.ingest.finish(1)


def test_a_database_that_stays_away_does_not_hold_the_end() -> None:
    line = Line()
    line.shelf.fail = [UnreachableError("cannot write")] * 1000
    line.inbox.offer(tele(0))
    line.ingest.start()
    wait_for(lambda: line.ingest.failures > 0, "an attempt")
    assert not line.ingest.finish(0.05)
    assert line.acked == []


@given(st.sets(st.integers(0, 29), max_size=6))
def test_rows_that_the_database_refuses_are_found_and_set_aside(bad: set[int]) -> None:
    line = Line(batch=30)
    line.shelf.poison = {record(seq) for seq in bad}
    messages = [tele(seq) for seq in range(30)]
    line.ingest.store(messages)
    assert sorted(line.shelf.bodies()) == sorted(record(seq) for seq in set(range(30)) - bad)
    letters = [letter for rows in line.shelf.rows for letter in rows.letters]
    assert sorted(letter[1] for letter in letters) == sorted(messages[seq].payload for seq in bad)
    assert all("datatype mismatch" in letter[2] for letter in letters)
    assert line.acked == messages, "poison is acknowledged: it is kept, and never sent again"


def test_a_full_inbox_turns_away_what_is_repeated_and_drops_the_rest() -> None:
    inbox = Inbox(limit=3, batch=10, linger_s=0)
    messages = [tele(seq) for seq in range(3)]
    assert all(inbox.offer(message) for message in messages)
    assert not inbox.offer(tele(3)), "the broker shall send it again"
    assert inbox.offer(messages[0]._replace(mid=0)), "QoS 0 may get lost"
    assert (inbox.turned_away, inbox.dropped, len(inbox)) == (1, 1, 3)
    assert inbox.take() == messages


def test_a_batch_is_full_or_waits_a_moment() -> None:
    inbox = Inbox(limit=100, batch=4, linger_s=60)
    got: list[list[Delivery]] = []
    taker = threading.Thread(target=lambda: [got.append(found) for found in iter(inbox.take, [])])
    taker.start()
    sent = [tele(seq) for seq in range(10)]
    for message in sent:
        inbox.offer(message)
    wait_for(lambda: len(got) == 2, "two full batches, long before the minute is over")
    inbox.close()
    taker.join()
    assert got == [sent[:4], sent[4:8], sent[8:]]


def test_room_is_told_when_everything_is_stored(tmp_path: Path) -> None:
    line = Line()
    line.ingest.start()
    line.inbox.offer(tele(0))
    wait_for(lambda: line.roomy, "room")
    assert line.ingest.finish(1)


def test_a_state_tells_when_its_boot_began() -> None:
    beat = Heartbeat(up_s=90, time_quality=4)
    rows = Sorter(lambda: {"air-1": 1}).sort(
        [delivery("air-1", "state", State(online=True, boot=BOOT, t=NOW_S, heartbeat=beat).encode())]
    )
    assert rows.anchors == [(1, BOOT, NOW_S - 90, 4)]
