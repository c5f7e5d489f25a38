"""When nodes were heard, as the store tells."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.store.intake import Rows
from fleet.tests.store_rig import BOOT, NOW_S, Feed, filled_store


@pytest.fixture
def feed(tmp_path: Path) -> Iterator[Feed]:
    with filled_store(tmp_path / "fleet.db") as found:
        yield found


def beat(feed: Feed, node: str, *times: int, answer: int | None = None) -> None:
    key = feed.store.nodes.keys()[node]
    health = json.dumps({"ack_p50_ms": answer})
    rows = Rows()
    for at in times:
        rows.health.append((key, BOOT, at - NOW_S, at * 1000, health))
    state = (key, True, times[-1] * 1000, BOOT, "1.0", "a", 0, 0, 0, "", False, health, b"")
    rows.states.append(state)
    feed.intake.write(rows)


def test_without_a_heartbeat_there_is_no_span(feed: Feed) -> None:
    assert feed.store.presence.span() == (0, 0)


def test_heartbeats_of_each_node_are_told_in_order_within_the_time(feed: Feed) -> None:
    beat(feed, "air-1", NOW_S, NOW_S + 300, NOW_S + 600, answer=80)
    beat(feed, "air-2", NOW_S + 100)
    assert feed.store.presence.span() == (NOW_S, NOW_S + 600)
    found = feed.store.presence.beats(["air-1", "light-1"], NOW_S, NOW_S + 600)
    assert found == {"air-1": [NOW_S, NOW_S + 300], "light-1": []}


def test_the_time_of_an_answer_is_that_of_the_newest_heartbeat(feed: Feed) -> None:
    beat(feed, "air-1", NOW_S, answer=80)
    beat(feed, "air-2", NOW_S, answer=None)
    assert feed.store.presence.answers() == {"air-1": 80}
