"""The MQTT session of the service, on real brokers."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.bus import POSTS, Bus, Delivery, Endpoint, tls_context
from fleet.errors import FleetError, TimedOutError, UnreachableError
from fleet.tests.rig import MOSQUITTO, NATS, Rig, free_port, wait_for

FILTER = "lum/1/+/up/#"
PATIENCE_S = 20.0


@pytest.fixture(params=[NATS, MOSQUITTO])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    made = Rig.create(tmp_path / "fleet", ack_wait_s=5)
    made.add("air-1")
    with made.running(request.param):
        yield made


class Desk:
    """A bus and what it delivered."""

    def __init__(self, rig: Rig, cert: str = "service", client_id: str = "desk") -> None:
        self.got: list[Delivery] = []
        self.log: list[str] = []
        self.room = True
        certs = rig.config.certs_dir
        tls = tls_context(rig.config.ca_dir / "ca.pem", certs / f"{cert}.pem", certs / f"{cert}.key")
        endpoint = Endpoint("localhost", rig.config.broker.port, client_id, tls)
        self.bus = Bus(endpoint, (FILTER,), self._deliver, self.log.append)

    def _deliver(self, delivery: Delivery) -> bool:
        if self.room:
            self.got.append(delivery)
        return self.room

    def payloads(self) -> list[bytes]:
        return [delivery.payload for delivery in self.got]

    def wait(self, count: int) -> None:
        wait_for(lambda: len(self.got) >= count, f"{count} messages", PATIENCE_S)

    def reconnect(self) -> None:
        session = self.bus.session
        self.bus.close_connection()
        wait_for(lambda: self.bus.session > session and self.bus.up.is_set(), "the next session", PATIENCE_S)


@contextlib.contextmanager
def desk(rig: Rig) -> Iterator[Desk]:
    made = Desk(rig)
    made.bus.start()
    assert made.bus.up.wait(PATIENCE_S), made.bus.fault
    try:
        yield made
    finally:
        made.bus.stop()


def publish(rig: Rig, *payloads: bytes) -> None:
    with rig.client("air-1") as node:
        for payload in payloads:
            node.publish("lum/1/air-1/up/tele", payload)


def test_what_is_not_acknowledged_comes_again_and_what_is_does_not(rig: Rig) -> None:
    with desk(rig) as mine:
        publish(rig, b"one", b"two")
        mine.wait(2)
        mine.bus.ack([mine.got[0]])
        publish(rig, b"three")  # by now the broker has the acknowledgement
        mine.wait(3)
        mine.reconnect()
        mine.wait(5)
        assert sorted(mine.payloads()[3:]) == [b"three", b"two"]
        assert {delivery.session for delivery in mine.got[3:]} == {2}


def test_an_acknowledgement_of_an_earlier_connection_acknowledges_nothing(rig: Rig) -> None:
    """Packet ids start anew: it might hit another message, which would be lost."""
    with desk(rig) as mine:
        publish(rig, b"one")
        mine.wait(1)
        mine.reconnect()
        mine.wait(2)
        mine.bus.ack([mine.got[0]])
        publish(rig, b"two")
        mine.wait(3)
        mine.reconnect()
        mine.wait(5)
        assert sorted(mine.payloads()[3:]) == [b"one", b"two"]


def test_what_comes_while_the_service_is_away_waits(rig: Rig) -> None:
    with desk(rig):
        pass
    publish(rig, b"one")
    with desk(rig) as again:
        again.wait(1)
        assert again.payloads() == [b"one"]


def test_what_found_no_room_comes_again(rig: Rig) -> None:
    with desk(rig) as mine:
        mine.room = False
        publish(rig, b"one")
        wait_for(lambda: mine.bus.received, "the message", PATIENCE_S)
        mine.room = True
        mine.bus.resume()
        mine.wait(1)
        assert mine.payloads() == [b"one"]


def test_publish_returns_when_the_broker_has_it(rig: Rig) -> None:
    with desk(rig) as mine:
        mine.bus.publish("lum/1/air-1/down/config", b"wanted", retain=True)
        with rig.client("air-1") as node:
            node.subscribe("lum/1/air-1/down/config")
            wait_for(lambda: node.got(b"wanted"), "the retained message", PATIENCE_S)


def test_posts_arrive_in_order_between_acknowledgements_and_publications(rig: Rig) -> None:
    """Three ways to write share one connection: nobody writes into the middle of another's packet."""
    posts = [b"%d " % number + bytes(number) for number in range(1500)]
    with desk(rig) as mine, rig.client("air-1") as node:
        node.subscribe("lum/1/air-1/down/#", 1)
        for at in range(0, len(posts), 100):
            node.send("lum/1/air-1/up/tele", b"record %d" % at)
            messages = [("lum/1/air-1/down/block", payload) for payload in posts[at : at + 100]]
            while messages:
                del messages[: mine.bus.post(messages)]
            mine.bus.publish("lum/1/air-1/down/cmd", b"command %d" % at)
            mine.bus.ack(mine.got[len(mine.got) // 2 :])
        wait_for(lambda: node.got(posts[-1]), "the last post", PATIENCE_S)
        wait_for(lambda: node.got(b"command 1400"), "the last command", PATIENCE_S)
        assert [payload for topic, payload in node.messages if topic.endswith("/block")] == posts
        assert sum(topic.endswith("/cmd") for topic, _ in node.messages) == 15
        mine.wait(15)
        assert mine.bus.session == 1


def test_posts_are_bounded_and_lost_without_a_connection(rig: Rig) -> None:
    mine = Desk(rig)
    assert mine.bus.post([("lum/1/air-1/down/block", b"x")]) == 0
    mine.bus.up.set()  # nobody writes, since the bus was not started
    assert mine.bus.post([("lum/1/air-1/down/block", b"x")] * (POSTS + 1)) == POSTS
    mine.bus.stop()


def test_publish_says_when_the_broker_is_away(rig: Rig) -> None:
    with desk(rig) as mine:
        assert rig.broker is not None
        rig.broker.stop()
        wait_for(lambda: not mine.bus.up.is_set(), "the end of the connection", PATIENCE_S)
        with pytest.raises((UnreachableError, TimedOutError)):
            mine.bus.publish("lum/1/air-1/down/config", b"wanted")
        wait_for(lambda: "refused" in "".join(mine.log), "why", PATIENCE_S)


def test_a_message_that_is_being_stored_is_not_taken_twice(tmp_path: Path) -> None:
    """NATS sends again within the connection; what is at hand is recognised by its packet id."""
    rig = Rig.create(tmp_path / "fleet", ack_wait_s=5)
    rig.add("air-1")
    with rig.running(NATS), desk(rig) as mine:
        publish(rig, b"one")
        wait_for(lambda: mine.bus.repeated > 0, "a repetition", PATIENCE_S)
        assert mine.payloads() == [b"one"]
        mine.bus.ack(mine.got)
        publish(rig, b"two")
        mine.wait(2)
        assert mine.payloads() == [b"one", b"two"]


def test_a_subscription_that_is_refused_is_an_error(tmp_path: Path) -> None:
    rig = Rig.create(tmp_path / "fleet")
    rig.add("air-1")
    with rig.running(NATS):
        mine = Desk(rig, "air-1", "air-1")
        mine.bus.start()
        wait_for(lambda: any("refuses a subscription" in line for line in mine.log), "the fault", PATIENCE_S)
        assert not mine.bus.up.is_set()
        mine.bus.stop()


def test_a_broker_that_is_not_there_costs_patience_only(tmp_path: Path) -> None:
    mine = Bus(Endpoint("127.0.0.1", free_port(), "desk"), (FILTER,), lambda _: True, lambda _: None)
    mine.start()
    wait_for(lambda: "refused" in mine.fault, "the fault", PATIENCE_S)
    with pytest.raises(UnreachableError):
        mine.publish("lum/1/air-1/down/config", b"")
    mine.stop()


def test_a_certificate_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    with pytest.raises(FleetError, match="certificate"):
        tls_context(tmp_path / "ca.pem", tmp_path / "a.pem", tmp_path / "a.key")
