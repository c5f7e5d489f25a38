"""Exactly once: whatever comes twice, late, in another order or with another date, the store keeps each entry once."""

import itertools
from collections import Counter
from pathlib import Path

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.errors import UnreachableError
from fleet.ingest import sorter
from fleet.model import TQ_AHEAD, Kind, Node
from fleet.store import quota
from fleet.store.identity import Verdict, verdict
from fleet.store.intake import RowError, Rows
from fleet.store.upkeep import Limits
from fleet.tests.store_rig import BOOT, NOW_S, Feed, batch, delivery, event, filled_store, record
from protocol import topics
from protocol.messages import Heartbeat, Log, State
from protocol.records import MAX_TIME, TQ_BOUND, TQ_NTP_DAY, TQ_NTP_HOUR, TQ_UPTIME


@pytest.fixture(scope="module")
def feed(tmp_path_factory: pytest.TempPathFactory):
    with filled_store(tmp_path_factory.mktemp("store") / "fleet.db") as found:
        yield found


_names = (f"node-{number}" for number in itertools.count())


def new_node(feed: Feed) -> str:
    name = next(_names)
    feed.store.nodes.add(Node(name, Kind.AIR, "board"))
    return name


VERDICTS = {
    "the same bytes are a repetition": (record(1), record(1), Verdict.DUPLICATE),
    "a dated form replaces the undated one": (record(1, 60, TQ_UPTIME), record(1), Verdict.DATED),
    "an undated form after the dated one is a repetition": (record(1), record(1, 60, TQ_UPTIME), Verdict.DUPLICATE),
    "another mean is a conflict": (record(1), record(1, means={1: 11, 2: 1}), Verdict.CONFLICT),
    "another mean is a conflict, also when it is dated": (record(1, 60, 0), record(1, means={1: 11}), Verdict.CONFLICT),
    "two dates are a conflict": (record(1), record(1, NOW_S + 1), Verdict.CONFLICT),
    "two uptimes are a conflict": (record(1, 60, TQ_UPTIME), record(1, 61, TQ_UPTIME), Verdict.CONFLICT),
    "events are dated as records are": (event(1, 5, TQ_UPTIME), event(1), Verdict.DATED),
    "true is not one": (
        cbor2.dumps([1, 5, 0, 2, 0, {1: True}]),
        cbor2.dumps([1, 9, 4, 2, 0, {1: 1}]),
        Verdict.CONFLICT,
    ),
}


@pytest.mark.parametrize(("kept", "new", "wanted"), VERDICTS.values(), ids=VERDICTS)
def test_verdicts(kept: bytes, new: bytes, wanted: Verdict) -> None:
    assert verdict(kept, new) is wanted


FORMS = {
    "dated": lambda seq: record(seq, NOW_S + 60 * seq),
    "undated": lambda seq: record(seq, 60 * seq + 1, TQ_UPTIME),
    "other": lambda seq: record(seq, NOW_S + 60 * seq, means={9: 9}),
}
arrivals = st.lists(
    st.tuples(st.integers(BOOT, BOOT + 1), st.integers(0, 5), st.sampled_from(sorted(FORMS))), min_size=1, max_size=40
)


@given(arrivals, st.lists(st.integers(1, 8), min_size=1), st.booleans())
def test_the_store_is_a_set_of_identities(feed: Feed, arrivals, sizes, anchored: bool) -> None:
    """Against a dict as the model: any order, any repetition, any division into transactions."""
    node = new_node(feed)
    if anchored:
        beat = Heartbeat(up_s=10, time_quality=TQ_NTP_HOUR)
        feed.take(delivery(node, "state", State(online=True, boot=BOOT, t=NOW_S, heartbeat=beat).encode()))
    model: dict[tuple[int, int], bytes] = {}
    wanted: Counter[str] = Counter()
    for boot, seq, form in arrivals:
        body = FORMS[form](seq)
        found = verdict(model[boot, seq], body) if (boot, seq) in model else None
        wanted[found.name if found else "STORED"] += 1
        if found in (None, Verdict.DATED):
            model[boot, seq] = body
    got: Counter[str] = Counter()
    rest, size = iter(arrivals), itertools.cycle(sizes)
    while chunk := list(itertools.islice(rest, next(size))):
        tally = feed.take(*(delivery(node, "tele", batch(FORMS[form](seq), boot=boot)) for boot, seq, form in chunk))
        got.update(
            {"STORED": tally.stored, "DUPLICATE": tally.duplicates, "DATED": tally.dated, "CONFLICT": tally.conflicts}
        )
    assert feed.bodies(node) == model
    assert +got == wanted
    newest = max(feed.sql("SELECT ts FROM record JOIN node ON node = key WHERE id = ?", node))
    assert feed.sql("SELECT ts FROM latest JOIN node ON node = key WHERE id = ?", node) == [newest]


def test_a_conflict_is_set_aside_with_its_bytes(feed: Feed) -> None:
    node = new_node(feed)
    feed.tele(node, record(3))
    for _ in range(2):
        assert feed.tele(node, record(3, means={1: 1})).conflicts == 1
    letter = feed.store.journal.dead_letters()[0]
    assert (letter.payload, letter.count, letter.received_ms) == (record(3, means={1: 1}), 2, NOW_S * 1000)
    assert letter.topic == f"lum/1/{node}/up/tele"
    assert "seq 3" in letter.reason
    assert [reading.mean for reading in feed.store.readings.latest([node])] == [30, 3]


def test_a_wrong_entry_does_not_take_the_others_with_it(feed: Feed) -> None:
    node = new_node(feed)
    tally = feed.tele(node, record(0), b"\x01", record(1))
    assert (tally.stored, tally.refused) == (2, 1)


def dates(feed: Feed, node: str, table: str = "record") -> list[tuple[object, ...]]:
    return feed.sql(f"SELECT seq, ts, tq FROM {table} JOIN node ON node = key WHERE id = ? ORDER BY seq", node)


def test_an_undated_entry_has_its_arrival_as_bound_until_its_boot_is_dated(feed: Feed) -> None:
    node = new_node(feed)
    feed.tele(node, record(0, 100, TQ_UPTIME))
    feed.take(delivery(node, "event", batch(event(1, 40, TQ_UPTIME))))
    assert dates(feed, node) == [(0, NOW_S, TQ_UPTIME)]
    beat = Heartbeat(up_s=200, time_quality=TQ_NTP_HOUR)
    feed.take(delivery(node, "state", State(online=True, boot=BOOT, t=NOW_S - 50, heartbeat=beat).encode(), NOW_S + 9))
    assert dates(feed, node) == [(0, NOW_S - 150, TQ_NTP_DAY)]
    assert dates(feed, node, "event") == [(1, NOW_S - 210, TQ_NTP_DAY)]
    assert feed.bodies(node)[BOOT, 0] == record(0, 100, TQ_UPTIME), "the bytes stay as they came"
    assert feed.store.readings.latest([node])[0].t_s == NOW_S - 150


def test_an_entry_that_comes_after_its_boot_was_dated_is_dated_at_once(feed: Feed) -> None:
    node = new_node(feed)
    beat = Heartbeat(up_s=200, time_quality=TQ_NTP_HOUR)
    feed.take(delivery(node, "state", State(online=True, boot=BOOT, t=NOW_S, heartbeat=beat).encode()))
    feed.tele(node, record(0, 100, TQ_UPTIME))
    assert dates(feed, node) == [(0, NOW_S - 100, TQ_NTP_DAY)]


def test_the_uptime_of_a_batch_dates_as_a_bound_and_gives_way(feed: Feed) -> None:
    node = new_node(feed)
    feed.tele(node, record(0, 100, TQ_UPTIME), up_s=300, at_s=NOW_S)
    assert dates(feed, node) == [(0, NOW_S - 200, TQ_BOUND)]
    feed.tele(node, record(1, 160, TQ_UPTIME), up_s=310, at_s=NOW_S + 4)  # the first batch had waited for 6 s
    assert dates(feed, node) == [(0, NOW_S - 206, TQ_BOUND), (1, NOW_S - 146, TQ_BOUND)]
    beat = Heartbeat(up_s=400, time_quality=TQ_NTP_HOUR)
    feed.take(delivery(node, "state", State(online=True, boot=BOOT, t=NOW_S + 93, heartbeat=beat).encode(), NOW_S + 99))
    assert dates(feed, node) == [(0, NOW_S - 207, TQ_NTP_DAY), (1, NOW_S - 147, TQ_NTP_DAY)]


def test_a_node_that_does_not_know_the_time_dates_nothing(feed: Feed) -> None:
    node = new_node(feed)
    feed.tele(node, record(0, 100, TQ_UPTIME))
    for state in (
        State(online=True, boot=BOOT, heartbeat=Heartbeat(up_s=5, time_quality=TQ_NTP_HOUR)),
        State(online=True, boot=BOOT, t=NOW_S, heartbeat=Heartbeat(up_s=5, time_quality=TQ_BOUND)),
        State(online=True, boot=BOOT + 1, t=NOW_S, heartbeat=Heartbeat(up_s=5, time_quality=TQ_NTP_HOUR)),
    ):
        feed.take(delivery(node, "state", state.encode()))
    assert dates(feed, node) == [(0, NOW_S, TQ_UPTIME)]


AHEAD_S = NOW_S + sorter.AHEAD_S + 1


def test_a_date_in_the_future_does_not_stand_before_what_is_new(feed: Feed) -> None:
    node = new_node(feed)
    far = record(0, MAX_TIME)
    feed.tele(node, far, record(1, AHEAD_S), record(2, AHEAD_S - 1))
    assert dates(feed, node) == [(0, NOW_S, TQ_AHEAD), (1, NOW_S, TQ_AHEAD), (2, AHEAD_S - 1, TQ_NTP_HOUR)]
    assert feed.bodies(node)[BOOT, 0] == far, "the bytes stay as they came"
    assert feed.tele(node, far, at_s=NOW_S + 9).duplicates == 1
    assert dates(feed, node)[0] == (0, NOW_S, TQ_AHEAD)


def test_the_newest_record_moves_on_after_one_from_the_future(feed: Feed) -> None:
    node = new_node(feed)
    feed.tele(node, record(0, MAX_TIME))
    feed.tele(node, record(1, NOW_S + 60), at_s=NOW_S + 120)
    assert {reading.seq for reading in feed.store.readings.latest([node])} == {1}


def test_a_date_in_the_future_counts_in_no_statistics_and_is_given_up_in_time(feed: Feed) -> None:
    node = new_node(feed)
    feed.tele(node, record(0, MAX_TIME))
    feed.take(delivery(node, "event", batch(event(1, MAX_TIME), event(2, NOW_S))))
    assert [(found.seq, found.tq) for found in feed.store.journal.events([node])] == [(2, TQ_NTP_HOUR), (1, TQ_AHEAD)]
    while feed.store.upkeep.roll_up(MAX_TIME):
        pass
    assert list(feed.store.readings.hourly([node], 0, MAX_TIME)) == []
    assert list(feed.store.readings.range([node], 0, MAX_TIME, dated=True)) == []
    while feed.store.upkeep.prune(NOW_S + 32 * 86400, Limits(raw_days=30)):
        pass
    assert feed.bodies(node) == {}
    assert [account.missing for account in feed.store.readings.accounts([node])] == [0]


def test_a_clock_in_the_future_dates_nothing(feed: Feed) -> None:
    node = new_node(feed)
    feed.tele(node, record(0, 100, TQ_UPTIME))
    beat = Heartbeat(up_s=200, time_quality=TQ_NTP_HOUR)
    feed.take(delivery(node, "state", State(online=True, boot=BOOT, t=AHEAD_S, heartbeat=beat).encode()))
    assert dates(feed, node) == [(0, NOW_S, TQ_UPTIME)]


def test_a_flood_of_log_lines_is_cut_and_says_so(feed: Feed) -> None:
    node = new_node(feed)
    line = Log(boot=BOOT, up_ms=1, level=6, tag="x", text="y").encode()
    for hour in range(2):
        feed.take(*(delivery(node, "log", line, NOW_S + 3600 * hour) for _ in range(quota.LINES_AN_HOUR + 50)))
        (count,) = feed.sql("SELECT count(*) FROM node_log JOIN node ON node = node.key WHERE id = ?", node)
        assert count == ((hour + 1) * (quota.LINES_AN_HOUR + 1),)
    assert "the rest is not kept" in feed.store.journal.logs(node, limit=1)[0].text


def test_a_flood_of_refused_messages_is_counted_and_its_bytes_are_not_kept(
    feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = new_node(feed)
    topic = topics.up(node, "reply")
    feed.take(*(delivery(node, "reply", b"%d" % number) for number in range(quota.LETTERS_AN_HOUR + 50)))
    found = feed.sql("SELECT count(*), sum(count) FROM dead_letter WHERE topic = ?", topic)
    assert found == [(quota.LETTERS_AN_HOUR + 1, quota.LETTERS_AN_HOUR + 50)]
    monkeypatch.setattr(quota, "LETTERS_AN_HOUR", 100)
    large = topics.up(node, "tele")
    feed.take(*(delivery(node, "tele", bytes([number % 256]) * 60_000 + b"%d" % number) for number in range(50)))
    assert feed.sql("SELECT sum(length(payload)) < ? FROM dead_letter WHERE topic = ?", 800_000, large) == [(1,)]


def test_what_is_missing_is_known_per_boot(feed: Feed) -> None:
    node = new_node(feed)
    feed.tele(node, record(0), record(1), record(4))
    feed.take(delivery(node, "event", batch(event(2))))
    feed.tele(node, record(0), boot=BOOT + 1)
    assert [(item.boot, item.stored, item.missing) for item in feed.store.readings.accounts([node])] == [
        (BOOT, 4, 1),
        (BOOT + 1, 1, 0),
    ]


def test_a_row_that_the_database_refuses_is_told_from_a_database_that_fails(tmp_path: Path) -> None:
    with filled_store(tmp_path / "fleet.db") as feed:
        with pytest.raises(RowError):
            feed.intake.write(Rows(records=[(1, NOW_S, 1 << 70, 0, 4, 60, b"", 0)]))
        assert feed.tele("air-1", record(0)).stored == 1, "the transaction before left nothing behind"
        feed.intake._link._raw.execute("PRAGMA max_page_count = 1")  # type: ignore[union-attr]
        feed.intake._link._raw.execute("PRAGMA cache_size = 5")  # type: ignore[union-attr]
        with pytest.raises(UnreachableError, match="full"):
            fill(feed)
        assert feed.intake._link is None
        stored = feed.store.readings.count()
        assert feed.tele("air-1", record(30000)).stored == 1, "with room again, the next one works"
        assert feed.store.readings.count() == stored + 1


def fill(feed: Feed) -> None:
    for seq in range(1, 20000, 100):
        feed.tele("air-1", *(record(number) for number in range(seq, seq + 100)))


def test_ranges_come_in_order_and_by_channel(feed: Feed) -> None:
    node = new_node(feed)
    feed.tele(node, record(1, NOW_S + 60), record(0, NOW_S), record(2, NOW_S + 120))
    found = feed.store.readings.range([node], NOW_S, NOW_S + 120, channels={2})
    assert [(reading.t_s - NOW_S, reading.channel, reading.mean) for reading in found] == [(0, 2, 0), (60, 2, 1)]
    feed.tele(node, record(3, 5, TQ_UPTIME), boot=BOOT + 7)
    assert len(list(feed.store.readings.range([node], 0, 1 << 32))) == 8
    assert len(list(feed.store.readings.range([node], 0, 1 << 32, dated=True))) == 6
