"""A node cannot use the session of another for long, and the service's session not at all."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.broker import binary, control, guard, nats
from fleet.broker.embedded import INTRUDER, EmbeddedBroker
from fleet.broker.process import BrokerProcess
from fleet.tests.rig import NATS, Rig, wait_for

# sentence: (user of the connection, client id that it shows, whether it is an intruder)
EVENTS = {
    "a node under its own id": ("lumenair:pole-1/ab", "pole-1", False),
    "a node under the id of another": ("lumenair:pole-1/ab", "pole-2", True),
    "a node under an id that begins like its own": ("lumenair:pole-1/ab", "pole-10", True),
    "a node under an id of its own making": ("lumenair:pole-1/ab", "x", True),
    "a node that shows none": ("lumenair:pole-1/ab", "", True),
    "the service under its secret": ("lumenair:service.fleet/ab", "service-1234", False),
    "an operator": ("lumenair:operator.fleet/ab", "mosq-ABC", False),
    "the guard itself": ("guard", "", False),
}


@pytest.mark.parametrize("sentence", EVENTS)
def test_judgement(sentence: str) -> None:
    user, shown, wrong = EVENTS[sentence]
    assert guard.foreign(user, shown) is wrong


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig.create(tmp_path)
    made.add("pole-1", "pole-2")
    with made.running(NATS):
        yield made


def watched(rig: Rig) -> EmbeddedBroker:
    assert isinstance(rig.broker, EmbeddedBroker)
    assert rig.broker.guarded(10)
    return rig.broker


def test_a_node_under_a_foreign_client_id_is_off_at_once(rig: Rig) -> None:
    broker = watched(rig)
    with rig.client("pole-2", "pole-1") as thief:
        wait_for(thief.off.is_set, "the end of the connection")
    wait_for(lambda: broker.alarms[INTRUDER] == 1, "the alarm")
    with rig.client("pole-1") as owner, rig.client("pole-2") as other, rig.client("service", "any"):
        owner.publish("lum/1/pole-1/up/tele", b"")
        other.publish("lum/1/pole-2/up/tele", b"")
        assert not owner.off.is_set()
    assert broker.alarms[INTRUDER] == 1


def test_whoever_came_before_the_guard_is_found(tmp_path: Path) -> None:
    rig = Rig.create(tmp_path)
    rig.add("pole-1", "pole-2")
    broker = BrokerProcess(nats.dialect(binary.find().path, rig.config), rig.config.broker_dir, tmp_path / "log" / "x")
    broker.start()
    told: list[str] = []
    watch = guard.Guard(lambda: int(broker.facts[nats.CLIENT_PORT]), control.guard_secret(rig.config), told.append)
    try:
        broker.wait_ready()
        with rig.client("pole-1") as fine, rig.client("pole-2", "pole-9") as thief:
            watch.start()
            wait_for(thief.off.is_set, "the end of the connection")
            assert not fine.off.is_set()
        wait_for(lambda: told, "the alarm")
        assert "`fleet node retire pole-2`" in told[0]
    finally:
        watch.stop()
        broker.stop()


def test_a_guard_with_the_wrong_secret_does_not_watch(rig: Rig) -> None:
    port = int(watched(rig).facts[nats.CLIENT_PORT])
    watch = guard.Guard(lambda: port, "wrong", lambda _: None)
    watch.start()
    assert not watch.wait_watching(0.5)
    watch.stop()


def test_the_guard_returns_with_the_broker_and_survives_a_reload(rig: Rig) -> None:
    broker = watched(rig)
    rig.add("pole-3")
    first = broker.pid
    broker.restart()
    wait_for(lambda: broker.alive and broker.pid != first, "the next broker")
    watched(rig)
    with rig.client("pole-3", "pole-1") as thief:
        wait_for(thief.off.is_set, "the end of the connection")


def test_whoever_does_not_know_the_secret_id_cannot_touch_what_is_queued_for_the_service(rig: Rig) -> None:
    watched(rig)
    with rig.client("service", "service-0123456789", clean=False) as service:
        service.subscribe("lum/1/+/up/#")
    with rig.client("pole-1") as node:
        node.publish("lum/1/pole-1/up/tele", b"record")
    for guess in ("service", "service.fleet", "service-"):
        if "." not in guess:
            with rig.client("pole-2", guess):
                pass
    with rig.client("service", "service-0123456789", clean=False) as service:
        assert service.session_present
        wait_for(lambda: service.got(b"record"), "the record")


def test_nobody_else_may_use_the_broker_inside(rig: Rig) -> None:
    broker = watched(rig)
    port = int(broker.facts[nats.CLIENT_PORT])
    for name, word in (("guard", "wrong"), ("lumenair:service.fleet/1", ""), ("", "")):
        assert talk(port, {"user": name, "pass": word}, "PING").startswith(b"-ERR 'Authorization Violation'")
    word = (rig.config.broker_dir / "guard.secret").read_text()
    for order in ("SUB > 1", "SUB $SYS.> 1", "PUB lum.1.pole-1.down.cmd 0\r\n", "PUB $SYS.REQ.SERVER.PING.VARZ 0\r\n"):
        assert b"-ERR 'Permissions Violation" in talk(port, {"user": guard.USER, "pass": word}, order + "\r\nPING")
    assert (rig.config.broker_dir / "guard.secret").stat().st_mode & 0o777 == 0o600
    assert (rig.config.broker_dir / "nats.conf").stat().st_mode & 0o777 == 0o600


def talk(port: int, who: dict[str, str], order: str) -> bytes:
    """What NATS answers to one line."""
    import socket

    with socket.create_connection(("127.0.0.1", port), 5) as link, link.makefile("rwb") as stream:
        stream.readline()
        stream.write(f"CONNECT {json.dumps(who)}\r\n{order}\r\n".encode())
        stream.flush()
        said = b""
        while line := stream.readline():
            said += line
            if line.startswith((b"PONG", b"-ERR 'Auth")):
                break
        return said
