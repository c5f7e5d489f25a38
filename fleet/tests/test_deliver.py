"""Level-triggered delivery: whatever was lost, the next look finds it."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from fleet.bus import Message
from fleet.deliver import COMMAND_AGAIN_MS, CONFIG_GRACE_MS, Deliver, command_message, is_command_due, is_config_due
from fleet.errors import UnreachableError
from fleet.model import DesiredConfig
from fleet.store.commands import CommandView
from fleet.store.configs import Undelivered
from fleet.tests.store_rig import NOW_S, Feed, delivery, filled_store
from protocol.messages import DONE, EXPIRED, Command, Config, Reply, State

SENT_MS = 1_000_000
CONFIGS = {
    "never sent": (0, 0, False, 0, True),
    "sent, and the node has not spoken since": (2, SENT_MS, True, SENT_MS - 1, False),
    "sent, and the node says at once that it has an older one": (2, SENT_MS, True, SENT_MS + CONFIG_GRACE_MS, False),
    "sent, and the node says later that it has an older one": (2, SENT_MS, True, SENT_MS + CONFIG_GRACE_MS + 1, True),
    "sent, and the node is away": (2, SENT_MS, False, SENT_MS + CONFIG_GRACE_MS + 1, False),
    "changed since it was sent": (1, SENT_MS, False, 0, True),
}


@pytest.mark.parametrize(("sent_rev", "sent_ms", "online", "said_ms", "wanted"), CONFIGS.values(), ids=CONFIGS)
def test_when_a_configuration_is_due(sent_rev: int, sent_ms: int, online: bool, said_ms: int, wanted: bool) -> None:
    item = Undelivered(DesiredConfig("air-1", 2, {}, 0), sent_rev, sent_ms, online, said_ms)
    assert is_config_due(item) is wanted


COMMANDS = {
    "never sent": (None, 0, 0, True),
    "just sent": (SENT_MS, 1, COMMAND_AGAIN_MS - 1, False),
    "sent a while ago": (SENT_MS, 1, COMMAND_AGAIN_MS, True),
    "sent twice, the pause doubles": (SENT_MS, 2, COMMAND_AGAIN_MS, False),
    "sent twice, longer ago": (SENT_MS, 2, 2 * COMMAND_AGAIN_MS, True),
    "sent often, about every hour": (SENT_MS, 99, 128 * COMMAND_AGAIN_MS, True),
}


@pytest.mark.parametrize(("sent_ms", "sent", "later_ms", "wanted"), COMMANDS.values(), ids=COMMANDS)
def test_when_a_command_is_due(sent_ms: int | None, sent: int, later_ms: int, wanted: bool) -> None:
    command = CommandView("00" * 8, "air-1", "identify", {}, 0, 0, "me", 0, 0, "", {}, None, sent_ms, sent)
    assert is_command_due(command, SENT_MS + later_ms) is wanted


class Wire:
    """Keeps what was published; fails when told."""

    def __init__(self, feed: Feed) -> None:
        self.sent: list[Message] = []
        self.broken = False
        self.deaf = 0  # messages of each batch that the broker does not acknowledge
        self.now_ms = NOW_S * 1000
        self.deliver = Deliver(feed.store, self.publish, lambda: self.now_ms)

    def publish(self, messages: Sequence[Message]) -> list[int]:
        if self.broken:
            raise UnreachableError("no connection to the broker")
        self.sent += messages
        return list(range(self.deaf, len(messages)))

    def step(self) -> list[Message]:
        self.sent.clear()
        self.deliver.step()
        return list(self.sent)


@pytest.fixture
def feed(tmp_path: Path):
    with filled_store(tmp_path / "fleet.db") as found:
        yield found


def test_a_configuration_is_retained_once_and_again_when_the_node_lacks_it(feed: Feed) -> None:
    wire = Wire(feed)
    feed.store.configs.set("air-1", {1: 30}, NOW_S)
    message = Config(rev=1, values={1: 30}, issued=NOW_S).encode()
    wire.broken = True
    with pytest.raises(UnreachableError):
        wire.step()
    wire.broken = False
    assert wire.step() == [("lum/1/air-1/down/config", message, True)]
    assert wire.step() == []
    feed.take(delivery("air-1", "state", State(online=True).encode(), NOW_S + 60))
    assert wire.step() == [("lum/1/air-1/down/config", message, True)], "the broker lost it"
    wire.now_ms += 60_000
    feed.take(delivery("air-1", "state", State(online=True, config_desired=1).encode(), NOW_S + 61))
    assert wire.step() == []


def test_a_command_goes_out_when_its_node_is_there_and_until_it_answers(feed: Feed) -> None:
    wire = Wire(feed)
    sent = feed.store.commands.add(b"12345678", "air-1", "identify", {"seconds": 5}, NOW_S, 0, "me")
    assert wire.step() == []
    feed.take(delivery("air-1", "state", State(online=True).encode()))
    wanted = ("lum/1/air-1/down/cmd", command_message(sent), False)
    assert wire.step() == [wanted]
    assert Command.decode(wanted[1]).args == {"seconds": 5}
    assert wire.step() == []
    wire.now_ms += COMMAND_AGAIN_MS
    assert wire.step() == [wanted]
    feed.take(delivery("air-1", "reply", Reply(id=b"12345678", status=DONE).encode()))
    wire.now_ms += 100 * COMMAND_AGAIN_MS
    assert wire.step() == []


def test_an_expired_command_is_not_sent(feed: Feed) -> None:
    wire = Wire(feed)
    feed.take(delivery("air-1", "state", State(online=True).encode()))
    feed.store.commands.add(b"12345678", "air-1", "identify", {}, NOW_S, NOW_S + 1, "me")
    wire.now_ms += 2000
    assert wire.step() == []
    assert feed.store.commands.get(b"12345678".hex()).status == EXPIRED
