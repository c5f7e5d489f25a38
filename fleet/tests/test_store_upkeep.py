"""Hourly statistics and retention, against a brute-force model: nothing counted twice, nothing lost."""

import itertools
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.model import Kind, Node
from fleet.store import upkeep
from fleet.store.upkeep import Limits
from fleet.tests.store_rig import BOOT, NOW_S, Feed, batch, delivery, event, filled_store, record
from protocol.messages import Log, State
from protocol.records import (
    FLAG_FAIL,
    FLAG_MISSING,
    FLAG_NOT_EVALUATED,
    FLAG_PASS,
    FLAG_SUSPECT,
    TQ_NTP_HOUR,
    TQ_UPTIME,
    Record,
    Sample,
)

HOUR_S = 3600
DAY_S = 86400
FIRST_S = NOW_S // HOUR_S * HOUR_S
LIMITS = Limits(raw_days=30)
_names = (f"node-{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def feed(tmp_path_factory: pytest.TempPathFactory):
    with filled_store(tmp_path_factory.mktemp("store") / "fleet.db") as found:
        yield found


def new_node(feed: Feed) -> str:
    name = next(_names)
    feed.store.nodes.add(Node(name, Kind.AIR, "board"))
    return name


def roll_up(feed: Feed, until_s: int = FIRST_S + 1000 * DAY_S) -> None:
    while feed.store.upkeep.roll_up(until_s):
        pass


def prune(feed: Feed, now_s: int) -> None:
    while feed.store.upkeep.prune(now_s, LIMITS):
        pass


def hours(feed: Feed, node: str) -> dict[tuple[int, int], tuple[int, int, int, int]]:
    found = feed.store.readings.hourly([node], 0, 1 << 32)
    return {(hour.channel, hour.t_s): (hour.n, hour.low, hour.high, hour.total) for hour in found}


samples = st.one_of(
    st.builds(Sample, st.integers(-(1 << 40), 1 << 40)),
    st.builds(
        Sample, st.integers(-1000, 1000), st.sampled_from([FLAG_PASS, FLAG_NOT_EVALUATED, FLAG_SUSPECT, FLAG_FAIL])
    ),
    st.just(Sample(None, FLAG_MISSING)),
)
step = st.one_of(
    st.tuples(st.just("record"), st.integers(0, 5 * HOUR_S), st.dictionaries(st.integers(1, 3), samples, min_size=1)),
    st.tuples(st.just("repeat"), st.integers(0, 30), st.none()),
    st.tuples(st.just("roll up"), st.integers(0, 6), st.none()),
    st.tuples(st.just("prune"), st.integers(0, 6), st.none()),
)


def brute_force(records: list[Record]) -> dict[tuple[int, int], tuple[int, int, int, int]]:
    means: dict[tuple[int, int], list[int]] = defaultdict(list)
    for found in records:
        for channel, sample in found.samples.items():
            if sample.mean is not None and sample.flag in (FLAG_PASS, FLAG_SUSPECT):
                means[channel, found.t // HOUR_S * HOUR_S].append(sample.mean)
    return {at: (len(values), min(values), max(values), sum(values)) for at, values in means.items()}


@given(st.lists(step, max_size=40))
def test_statistics_are_exact_however_records_roll_ups_and_retention_mix(feed: Feed, steps) -> None:
    node = new_node(feed)
    sent: list[Record] = []
    kept_from = FIRST_S  # what is older was given up, so a repetition of it would be a new record
    for what, number, values in steps:
        if what == "record":
            sent.append(Record(len(sent), FIRST_S + number, TQ_NTP_HOUR, values))
            feed.tele(node, sent[-1].encode())
        elif what == "repeat" and number < len(sent) and sent[number].t >= kept_from:
            feed.tele(node, sent[number].encode())
        elif what == "roll up":
            roll_up(feed, FIRST_S + number * HOUR_S)
        elif what == "prune":
            kept_from = max(kept_from, FIRST_S + number * HOUR_S)
            prune(feed, FIRST_S + number * HOUR_S + LIMITS.raw_days * DAY_S)
    roll_up(feed)
    assert hours(feed, node) == brute_force(sent)
    prune(feed, FIRST_S + 6 * HOUR_S + LIMITS.raw_days * DAY_S)
    assert feed.bodies(node) == {}, "everything is old now, and nothing is due"
    assert sum(account.missing for account in feed.store.readings.accounts([node])) == 0


def test_an_hour_is_summed_up_only_when_it_has_ended(feed: Feed) -> None:
    node = new_node(feed)
    feed.tele(node, record(0, FIRST_S))
    roll_up(feed, FIRST_S + HOUR_S - 1)
    assert hours(feed, node) == {}
    roll_up(feed, FIRST_S + HOUR_S)
    assert hours(feed, node) != {}


def test_what_is_younger_or_due_or_undated_is_not_given_up(feed: Feed) -> None:
    node = new_node(feed)
    feed.tele(node, record(0, FIRST_S), record(1, FIRST_S + HOUR_S), at_s=FIRST_S)
    feed.tele(node, record(2, 5, TQ_UPTIME), at_s=FIRST_S)
    prune(feed, FIRST_S + HOUR_S + LIMITS.raw_days * DAY_S)
    assert len(feed.bodies(node)) == 3, "due"
    roll_up(feed)
    prune(feed, FIRST_S + HOUR_S + LIMITS.raw_days * DAY_S - 1)
    assert len(feed.bodies(node)) == 3, "younger"
    prune(feed, FIRST_S + HOUR_S + LIMITS.raw_days * DAY_S)
    assert sorted(feed.bodies(node)) == [(BOOT, 1), (BOOT, 2)]
    prune(feed, FIRST_S + 999 * DAY_S)
    assert sorted(feed.bodies(node)) == [(BOOT, 2)], "undated"


def test_the_newest_record_stays_visible_after_it_was_given_up(feed: Feed) -> None:
    node = new_node(feed)
    feed.tele(node, record(7, FIRST_S))
    roll_up(feed)
    prune(feed, FIRST_S + 999 * DAY_S)
    assert [reading.seq for reading in feed.store.readings.latest([node])] == [7, 7]


def test_a_record_that_is_dated_later_moves_to_its_hour(feed: Feed) -> None:
    node = new_node(feed)
    feed.tele(node, record(0, 60, TQ_UPTIME), up_s=120, at_s=FIRST_S + 3 * HOUR_S)
    roll_up(feed)
    assert {at for _, at in hours(feed, node)} == {FIRST_S + 2 * HOUR_S}
    feed.tele(node, record(0, FIRST_S), at_s=FIRST_S + 3 * HOUR_S)
    roll_up(feed)
    assert {at for _, at in hours(feed, node)} == {FIRST_S}


def test_the_books_are_trimmed(tmp_path: Path) -> None:
    with filled_store(tmp_path / "fleet.db") as feed:
        feed.take(delivery("air-1", "log", Log(text="old").encode()))
        feed.take(delivery("air-1", "tele", b"\xff"))
        feed.take(delivery("air-1", "event", batch(event(0))))
        feed.take(delivery("air-1", "state", State(online=True).encode()))
        feed.store.commands.add(b"12345678", "air-1", "identify", {}, NOW_S, NOW_S + 5, "me")
        feed.store.commands.add(b"abcdefgh", "air-1", "identify", {}, NOW_S, 0, "me")
        feed.store.commands.expire(NOW_S + 6)
        feed.store.journal.add_figures(NOW_S * 1000, {})
        feed.store.upkeep.trim(NOW_S + 29 * DAY_S, LIMITS)
        assert len(feed.store.journal.logs("air-1")) == 1
        feed.store.upkeep.trim(NOW_S + 31 * DAY_S, LIMITS)
        assert feed.store.journal.logs("air-1") == []
        assert feed.store.journal.dead_letters() == []
        assert feed.store.journal.figures() == []
        assert [found.id for found in feed.store.commands.of("air-1")] == [b"abcdefgh".hex()], "it is still open"
        assert len(feed.store.journal.events()) == 1
        feed.store.upkeep.trim(NOW_S + 3651 * DAY_S, LIMITS)
        assert feed.store.journal.events() == []
        assert [account.missing for account in feed.store.readings.accounts(["air-1"])] == [0]


def test_a_node_gone_mad_cannot_fill_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "LETTERS", 3)
    monkeypatch.setattr(upkeep, "LINES", 4)
    with filled_store(tmp_path / "fleet.db") as feed:
        for number in range(10):
            feed.take(delivery("air-1", "tele", bytes([number])))
            feed.take(delivery("air-1", "log", Log(text=f"line {number}").encode()))
            feed.take(delivery("air-2", "log", Log(text="quiet").encode())) if number < 4 else None
        assert (feed.store.upkeep.bound_letters(), feed.store.upkeep.bound_logs()) == (7, 6)
        assert [letter.payload for letter in feed.store.journal.dead_letters()] == [b"\x09", b"\x08", b"\x07"]
        assert [line.text for line in feed.store.journal.logs("air-1")] == [f"line {number}" for number in range(6, 10)]
        assert len(feed.store.journal.logs("air-2")) == 4
        assert (feed.store.upkeep.bound_letters(), feed.store.upkeep.bound_logs()) == (0, 0)


def test_hourly_statistics_are_given_up_after_years(feed: Feed) -> None:
    node = new_node(feed)
    feed.tele(node, record(0, FIRST_S))
    roll_up(feed)
    feed.store.upkeep.trim_hourly(FIRST_S + 3650 * DAY_S, LIMITS)
    assert hours(feed, node) != {}
    feed.store.upkeep.trim_hourly(FIRST_S + HOUR_S + 3650 * DAY_S, LIMITS)
    assert hours(feed, node) == {}
    feed.store.upkeep.optimize()
