"""The audit log: a chain in which nothing can be changed, left out or put in between without a trace."""

from pathlib import Path

import pytest

from fleet.errors import VerificationError
from fleet.store import dialect
from fleet.store.audit import FIRST, Act, Entry, hash_of
from fleet.tests.store_rig import NOW_S, Feed, filled_store


@pytest.fixture
def feed(tmp_path: Path):
    with filled_store(tmp_path / "fleet.db") as found:
        for number in range(5):
            act = Act(NOW_S + number, "ops@desk", "halt", f"rollout {number % 2}", "a test", bytes([number]))
            found.store.audit.append(act)
        yield found


def test_each_entry_follows_the_one_before(feed: Feed) -> None:
    found = list(feed.store.audit.entries())
    assert [entry.seq for entry in found] == [1, 2, 3, 4, 5]
    assert [entry.prev for entry in found] == [FIRST, *(entry.hash for entry in found[:-1])]
    assert feed.store.audit.newest() == found[-1]
    assert feed.store.audit.verify() == 5
    assert feed.store.audit.verify(2) == 2


def test_an_empty_log_holds(tmp_path: Path) -> None:
    with filled_store(tmp_path / "fleet.db") as empty:
        assert (empty.store.audit.verify(), empty.store.audit.newest()) == (0, None)


def test_those_about_one_thing_and_those_behind_a_number(feed: Feed) -> None:
    audit = feed.store.audit
    assert [entry.seq for entry in audit.entries("rollout 0")] == [1, 3, 5]
    assert [entry.seq for entry in audit.entries(after=3)] == [4, 5]
    assert [entry.seq for entry in audit.entries("rollout 0", after=1, limit=1)] == [3]


# sentence: (what somebody does to the table, what verify says)
FRAUDS = {
    "an actor is another": ("UPDATE audit SET actor = 'me' WHERE seq = 3", "entry 3 .* was changed"),
    "a reason is another": ("UPDATE audit SET why = '' WHERE seq = 1", "entry 1 .* was changed"),
    "a body is another": ("UPDATE audit SET body = x'09' WHERE seq = 5", "entry 5 .* was changed"),
    "an entry is gone": ("DELETE FROM audit WHERE seq = 3", "entry 3 .* is missing"),
    "the first is gone": ("DELETE FROM audit WHERE seq = 1", "entry 1 .* is missing"),
    "two changed places": (
        "UPDATE audit SET seq = CASE seq WHEN 2 THEN 93 ELSE 92 END WHERE seq IN (2, 3);"
        "UPDATE audit SET seq = seq - 90 WHERE seq > 90",
        "entry 2 .* does not follow",
    ),
}


@pytest.mark.parametrize(("statements", "wanted"), FRAUDS.values(), ids=FRAUDS)
def test_what_is_noticed(feed: Feed, statements: str, wanted: str) -> None:
    run(feed, *statements.split(";"))
    with pytest.raises(VerificationError, match=wanted):
        feed.store.audit.verify()


def test_an_entry_that_is_made_anew_breaks_the_next_one(feed: Feed) -> None:
    old = list(feed.store.audit.entries())[2]
    forged = Act(old.at_s, "me", old.action, old.object, old.why, old.body)
    hashed = hash_of(old.seq, forged, old.prev).hex()
    run(feed, f"UPDATE audit SET actor = 'me', hash = x'{hashed}' WHERE seq = 3")
    with pytest.raises(VerificationError, match=r"entry 4 .* does not follow"):
        feed.store.audit.verify()


def test_a_part_is_checked_by_itself(feed: Feed) -> None:
    run(feed, "UPDATE audit SET why = 'x' WHERE seq = 2")
    assert feed.store.audit.verify(3) == 3
    with pytest.raises(VerificationError):
        feed.store.audit.verify(4)


def test_the_hash_covers_where_one_field_ends_and_the_next_begins() -> None:
    one = Entry(1, NOW_S, "ab", "c", "", "", b"", FIRST, b"")
    told = [Act(one.at_s, actor, action, "") for actor, action in (("ab", "c"), ("a", "bc"))]
    assert hash_of(1, told[0], FIRST) != hash_of(1, told[1], FIRST)


def run(feed: Feed, *statements: str) -> None:
    with dialect.writing(feed.store._engine) as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
