"""Orders to update and what nodes say of them: kept once, delivered until heard, proved or not."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fleet.bus import Message
from fleet.deliver import COMMAND_AGAIN_MS, Deliver, is_campaign_due
from fleet.errors import NotAllowedError
from fleet.ingest.sorter import Sorter
from fleet.model import NodeUpdate, Ordered, Proved
from fleet.store.campaigns import Undelivered
from fleet.tests.store_rig import BOOT, NOW_S, Feed, delivery, filled_store
from protocol import refusals, trust, update
from protocol.messages import State
from protocol.update import Proof, Status

RELEASE, MANIFEST, NONCE = bytes([1]) * 32, bytes([2]) * 32, bytes([3]) * 16
KEY = bytes(32)
ORDER = Ordered("air-1", 7, trust.INSTALL, RELEASE, MANIFEST, NONCE, b"envelope", NOW_S, NOW_S + 86400, "ops@example")


@pytest.fixture
def feed(tmp_path: Path):
    with filled_store(tmp_path / "fleet.db") as found:
        found.sorter = Sorter(found.store.nodes.keys, holds)
        yield found


def holds(node: str, proof: Proof) -> bool:
    return proof.mac == update.prove(KEY, node, proof)


def proof(node: str = "air-1", key: bytes = KEY, **values: Any) -> Proof:
    made = Proof(**{"nonce": NONCE, "manifest": MANIFEST, "slot": "b", "boot": BOOT, "confirmed": True, **values})
    made.mac = update.prove(key, node, made)
    return made


def say(feed: Feed, at_s: int = NOW_S, node: str = "air-1", **values: Any) -> int:
    """A Status arrives; how many letters it made."""
    status = Status(**{"counter": 7, "boot": BOOT, "t": NOW_S, **values})
    return feed.take(delivery(node, "ota", status.encode(), at_s)).refused


def said(feed: Feed, node: str = "air-1") -> NodeUpdate:
    return feed.store.campaigns.updates([node])[node]


def test_an_order_takes_the_place_of_the_one_before(feed: Feed) -> None:
    orders = feed.store.campaigns
    assert orders.orders() == {}
    orders.set([ORDER, replace(ORDER, node="air-2", counter=1)])
    newer = replace(ORDER, counter=8, action=trust.STOP)
    orders.set([newer])
    assert orders.orders() == {"air-1": newer, "air-2": replace(ORDER, node="air-2", counter=1)}
    with pytest.raises(NotAllowedError, match="somebody else"):
        orders.set([replace(ORDER, node="air-2", counter=2), replace(ORDER, counter=8)])
    assert orders.orders(["air-2"])["air-2"].counter == 1, "all or none"


COUNTERS = {
    "the first order": (0, 0, 1),
    "the next one": (7, 7, 8),
    "a restored backup knows less than the node": (3, 9, 10),
    "a node that lost its memory": (7, 0, 8),
    "a node that claims to have seen the last of all": (7, 0xFFFFFFFF, (1 << 31) + 1),
}


@pytest.mark.parametrize(("stored", "seen", "wanted"), COUNTERS.values(), ids=COUNTERS)
def test_the_counter_of_the_next_order(feed: Feed, stored: int, seen: int, wanted: int) -> None:
    if stored:
        feed.store.campaigns.set([replace(ORDER, counter=stored)])
    if seen:
        say(feed, counter=seen)
    assert feed.store.campaigns.next_counters(["air-1", "air-2"]) == {"air-1": wanted, "air-2": 1}


FIRST = {"boot": BOOT, "t": NOW_S, "counter": 7, "stage": update.DOWNLOADING, "done": 4096}
# sentence: (what a second Status has otherwise, how much later it arrives, whether it counts)
SECOND: dict[str, tuple[dict[str, int], int, bool]] = {
    "the same again": ({}, 1, True),
    "more bytes": ({"done": 8192}, 0, True),
    "fewer bytes within the same second, so it is an earlier one": ({"done": 0}, 1, False),
    "fewer bytes later: it began anew": ({"done": 0, "t": NOW_S + 1}, 1, True),
    "the next stage": ({"stage": update.INSTALLING, "done": 0}, 0, True),
    "an earlier stage within the same second": ({"stage": update.CHECKING}, 1, False),
    "an earlier stage later: it tries again": ({"stage": update.CHECKING, "t": NOW_S + 5}, 5, True),
    "what was said earlier": ({"stage": update.CONFIRMED, "t": NOW_S - 1}, 1, False),
    "before the time was known": ({"stage": update.CONFIRMED, "t": 0}, 1, False),
    "the next boot, the time unknown": ({"boot": BOOT + 1, "t": 0, "stage": update.TRIAL}, 1, True),
    "an earlier boot": ({"boot": BOOT - 1, "t": NOW_S + 9, "counter": 9}, 9, False),
    "an earlier boot, and nothing else was heard for 15 min": ({"boot": BOOT - 1, "t": 0}, 900, True),
    "a newer order": ({"counter": 8, "stage": update.CHECKING, "done": 0}, 0, True),
    "an older order within the same second": ({"counter": 6, "stage": update.CONFIRMED}, 1, False),
}


@pytest.mark.parametrize(("other", "later_s", "counts"), SECOND.values(), ids=SECOND)
def test_which_of_two_counts(feed: Feed, other: dict[str, int], later_s: int, counts: bool) -> None:
    say(feed, **FIRST)
    second = {**FIRST, **other}
    say(feed, NOW_S + later_s, **second)
    found = said(feed)
    wanted = second if counts else FIRST
    assert {name: getattr(found, "t_s" if name == "t" else name) for name in FIRST} == wanted


def test_a_clock_that_runs_ahead_does_not_outrank_what_comes_later(feed: Feed) -> None:
    say(feed, t=NOW_S + 5000, stage=update.CHECKING)
    say(feed, NOW_S + 2, t=NOW_S + 2, stage=update.DOWNLOADING)
    assert (said(feed).stage, said(feed).t_s) == (update.DOWNLOADING, NOW_S + 2)


def test_a_refusal_changes_nothing_and_its_counter_is_whoevers_word(feed: Feed) -> None:
    """A node that refuses an envelope says the counter that stands in it, and neither floor nor other slot."""
    say(feed, counter=9, stage=update.CONFIRMED, floor=4, spare=MANIFEST)
    forged = {"counter": 1000, "stage": update.REFUSED, "code": refusals.U_CAMPAIGN_FORGED, "root": 2}
    say(feed, NOW_S + 1, t=NOW_S + 1, **forged)
    found = said(feed)
    assert (found.counter, found.stage, found.root) == (1000, update.REFUSED, 2)
    assert (found.seen, found.floor, found.spare) == (9, 4, MANIFEST)
    assert feed.store.campaigns.next_counters(["air-1"]) == {"air-1": 10}
    say(feed, NOW_S + 2, t=NOW_S + 2, counter=9, floor=5, spare=b"")
    assert (said(feed).floor, said(feed).spare) == (5, b"")


def test_everything_that_a_node_says_is_kept(feed: Feed) -> None:
    text = {"code": refusals.U_HUNG, "text": "task light", "release": RELEASE, "manifest": MANIFEST}
    say(feed, NOW_S + 3, stage=update.REVERTED, done=5, total=9, root=2, floor=4, spare=NONCE * 2, **text)
    assert said(feed) == NodeUpdate(
        "air-1", (NOW_S + 3) * 1000, BOOT, NOW_S, 7, update.REVERTED, 5, 9, refusals.U_HUNG, "task light",
        RELEASE, MANIFEST, 2, 4, NONCE * 2, 7,
    )  # fmt: skip


# sentence: (the proof, whether it counts, letters)
PROOFS = {
    "it holds and answers the order": (proof(), True, 0),
    "it was made with another key": (proof(key=bytes([9]) * 32), False, 1),
    "it was made for another node": (proof("air-2"), False, 1),
    "it has no mac": (Proof(nonce=NONCE, manifest=MANIFEST, boot=BOOT, confirmed=True), False, 0),
    "it answers an earlier order": (proof(nonce=bytes(16)), False, 0),
    "it answers nothing": (proof(nonce=b""), False, 0),
    "the program is on trial": (proof(confirmed=False), False, 0),
}


@pytest.mark.parametrize(("given", "counts", "letters"), PROOFS.values(), ids=PROOFS)
def test_what_counts_as_a_proof(feed: Feed, given: Proof, counts: bool, letters: int) -> None:
    feed.store.campaigns.set([ORDER])
    assert say(feed, NOW_S + 5, stage=update.CONFIRMED, proof=given) == letters
    wanted = Proved((NOW_S + 5) * 1000, NONCE, MANIFEST, "b", BOOT, b"") if counts else None
    assert said(feed).proved == wanted
    assert said(feed).stage == update.CONFIRMED, "its word is kept, and is no proof"


def test_a_proof_stands_until_another_order_is_proved(feed: Feed) -> None:
    feed.store.campaigns.set([ORDER])
    say(feed, stage=update.CONFIRMED, proof=proof())
    say(feed, NOW_S + 60, stage=update.CONFIRMED, proof=proof())
    first = said(feed).proved
    assert first is not None
    assert first.at_ms == NOW_S * 1000, "the first time that it came"
    say(feed, NOW_S + 70, boot=BOOT + 1, stage=update.CONFIRMED, proof=proof(boot=BOOT + 1))
    again = said(feed).proved
    assert again is not None
    assert (again.boot, again.at_ms) == (BOOT + 1, (NOW_S + 70) * 1000), "a later boot proves it anew"
    feed.store.campaigns.set([replace(ORDER, counter=8, nonce=bytes(16))])
    say(feed, NOW_S + 80, boot=BOOT + 1, proof=proof(boot=BOOT + 1))
    assert said(feed).proved == again


def test_a_state_says_what_runs(feed: Feed) -> None:
    feed.take(delivery("air-1", "state", State(online=True, boot=BOOT, manifest=MANIFEST).encode()))
    feed.take(delivery("air-1", "state", State(online=False).encode(), NOW_S + 1))
    state = feed.store.nodes.view("air-1").state
    assert state is not None
    assert (state.online, state.manifest) == (False, MANIFEST)


SENT_MS = 1_000_000
# sentence: (sent counter, sent how often, online, how much later it is, whether it is due)
DUE = {
    "never sent": (6, 0, False, 0, True),
    "sent, and the node says nothing of it": (7, 1, True, COMMAND_AGAIN_MS, True),
    "the same, soon after it was sent": (7, 1, True, COMMAND_AGAIN_MS - 1, False),
    "sent twice, the pause doubles": (7, 2, True, COMMAND_AGAIN_MS, False),
    "sent twice, after a double pause": (7, 2, True, 2 * COMMAND_AGAIN_MS, True),
    "the node is away": (7, 1, False, 10 * COMMAND_AGAIN_MS, False),
}


@pytest.mark.parametrize(("counter", "sent", "online", "later_ms", "wanted"), DUE.values(), ids=DUE)
def test_when_a_campaign_is_due(counter: int, sent: int, online: bool, later_ms: int, wanted: bool) -> None:
    item = Undelivered(ORDER, counter, SENT_MS, sent, online)
    assert is_campaign_due(item, SENT_MS + later_ms) is wanted


def test_a_campaign_is_retained_until_its_node_speaks_of_it(feed: Feed) -> None:
    sent: list[Message] = []
    now_ms = [NOW_S * 1000]

    def publish(messages: Sequence[Message]) -> list[int]:
        sent.extend(messages)
        return list(range(len(messages)))

    deliver = Deliver(feed.store, publish, lambda: now_ms[0])

    def step() -> int:
        sent.clear()
        deliver.step()
        return len(sent)

    feed.take(delivery("air-1", "state", State(online=True, boot=BOOT).encode()))
    feed.store.campaigns.set([ORDER])
    assert step() == 1
    assert sent == [("lum/1/air-1/down/ota", b"envelope", True)]
    assert step() == 0
    now_ms[0] += 31_000
    assert step() == 1, "lost, and the node has never said a word of updates"
    say(feed, NOW_S + 35, counter=6)
    now_ms[0] += 61_000
    assert step() == 1, "lost again"
    say(feed, NOW_S + 100, t=NOW_S + 100, counter=1000, stage=update.REFUSED)
    now_ms[0] += 121_000
    assert step() == 1, "what it refused was another one"
    say(feed, NOW_S + 150, t=NOW_S + 150, stage=update.REFUSED)
    now_ms[0] += 1000_000
    assert step() == 0, "it refused this one, and would again"
    feed.store.campaigns.set([replace(ORDER, counter=8, expires_s=NOW_S + 1)])
    assert step() == 0, "expired before the broker was there"
