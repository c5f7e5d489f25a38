"""The link against real brokers over mutual TLS, and its own name resolution."""

import contextlib
import socket
from pathlib import Path

import pytest

from firmware.tests.link_rig import MOSQUITTO, MOSQUITTO_BINARY, NATS, Broker, Keys, NameServer, Probe, Proxy, free_port

SPEED = 5  # nodes live five times as fast here; their budget of 15 s is still 3 s of a busy machine
no_mosquitto = pytest.mark.skipif(MOSQUITTO_BINARY is None, reason="needs mosquitto: apt-get install mosquitto")
BROKERS = [NATS, pytest.param(MOSQUITTO, marks=no_mosquitto)]


@pytest.fixture
def owned():
    with contextlib.ExitStack() as stack:
        yield stack


@pytest.fixture
def names(owned):
    server = NameServer({"broker.test": "127.0.0.1", "elsewhere.test": "127.0.0.1"})
    owned.callback(server.close)
    return server


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    return Keys(tmp_path_factory.mktemp("keys") / "ours")


@pytest.fixture(scope="module")
def strangers(tmp_path_factory):
    return Keys(tmp_path_factory.mktemp("keys") / "theirs")


def broker_of(owned, kind, folder, keys):
    broker = Broker(kind, folder, keys)
    owned.callback(broker.kill)
    broker.start()
    return broker


def probe_of(owned, folder, brokers, **config):
    probe = Probe(folder, brokers, **{"speed": SPEED, **config})
    owned.callback(probe.close)
    return probe


@pytest.mark.parametrize("kind", BROKERS)
@pytest.mark.parametrize("host", ["broker.test", "127.0.0.1"])
def test_a_node_and_a_broker_of_one_authority_talk(owned, tmp_path: Path, names, keys, kind, host):
    broker = broker_of(owned, kind, tmp_path, keys)
    probe = probe_of(owned, tmp_path, [f"{host}:{broker.port}"], dns=names.address, **keys.of_node())
    probe.until(lambda event: event.get("up") == 1)
    probe.tell(put=["a", "x" * 8000, "b"])
    probe.done("a", "b")
    broker.kill()
    probe.logged("closed by the peer")
    broker.start()
    probe.until(lambda event: event.get("up") == 2)
    probe.tell(put=["c"])
    probe.done("c")


@pytest.mark.parametrize("kind", BROKERS)
def test_a_broker_of_another_authority_is_refused(owned, tmp_path: Path, names, keys, strangers, kind):
    broker = broker_of(owned, kind, tmp_path, strangers)
    probe = probe_of(owned, tmp_path, [f"broker.test:{broker.port}"], dns=names.address, **keys.of_node())
    text = probe.logged("TLS failed")["log"]
    assert "not correctly signed" in str(text)
    found = probe.stats()
    assert (found["connects"], found["up"], found["last_reason"]) == (0, False, 19)


@pytest.mark.parametrize("kind", BROKERS)
@pytest.mark.parametrize("host", ["elsewhere.test", "127.0.0.2"])
def test_a_broker_under_another_name_is_refused(owned, tmp_path: Path, names, keys, kind, host):
    broker = broker_of(owned, kind, tmp_path, keys)
    proxy = Proxy(broker.port, host="127.0.0.2", own_port=broker.port, plain=False)
    owned.callback(proxy.close)
    probe = probe_of(owned, tmp_path, [f"{host}:{broker.port}"], dns=names.address, **keys.of_node())
    text = probe.logged("TLS failed")["log"]
    assert "does not match with the expected CN" in str(text)


@pytest.mark.parametrize("kind", BROKERS)
def test_a_node_that_the_broker_does_not_know_is_told_so(owned, tmp_path: Path, names, keys, strangers, kind):
    broker = broker_of(owned, kind, tmp_path, keys)
    files = {**strangers.of_node(), "ca": keys.of_node()["ca"]}
    probe = probe_of(owned, tmp_path, [f"broker.test:{broker.port}"], dns=names.address, **files)
    probe.until(lambda event: event.get("level") == 4)
    assert probe.stats()["connects"] == 0


def test_a_handshake_in_small_pieces_succeeds(owned, tmp_path: Path, names, keys):
    broker = broker_of(owned, NATS, tmp_path, keys)
    proxy = Proxy(broker.port, plain=False, piece=13)
    owned.callback(proxy.close)
    probe = probe_of(owned, tmp_path, [f"broker.test:{proxy.port}"], dns=names.address, **keys.of_node())
    probe.until(lambda event: event.get("up") == 1)
    probe.tell(put=["a" * 3000, "b"])
    probe.done("b")


def test_a_peer_that_never_answers_costs_its_budget_and_blocks_nobody(owned, tmp_path: Path, keys):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        probe = probe_of(owned, tmp_path, [f"127.0.0.1:{silent.getsockname()[1]}"], **keys.of_node())
        event = probe.logged("opening took too long")
        found = probe.stats()
    assert 15000 <= int(str(event["ms"])) < 20000
    assert found["beats"] > 100  # about 300 of 10 ms each; a handshake that blocks leaves a handful
    assert found["lag"] < 1000  # measured 1 to 4 ms; the bound allows for a busy machine
    assert found["last_reason"] == 20


def test_without_memory_in_one_piece_no_handshake_is_begun(owned, tmp_path: Path, keys):
    probe = probe_of(owned, tmp_path, ["127.0.0.1:1"], largest=17000, **keys.of_node())
    probe.logged("too little memory for TLS")


def test_the_clock_of_the_board_is_at_its_floor_before_the_handshake(owned, tmp_path: Path, keys):
    probe = probe_of(owned, tmp_path, ["127.0.0.1:1"], floor_s=1767225600, **keys.of_node())
    probe.logged("no TCP connection")
    assert probe.events[1] == {"rtc": 1767225600}


def test_the_name_is_resolved_at_every_connect(owned, tmp_path: Path, names):
    broker = broker_of(owned, NATS, tmp_path, None)
    port = free_port()
    first = Proxy(broker.port, host="127.0.0.1", own_port=port)
    owned.callback(first.close)
    second = Proxy(broker.port, host="127.0.0.2", own_port=port)
    owned.callback(second.close)
    probe = probe_of(owned, tmp_path, [f"broker.test:{port}"], dns=names.address)
    probe.until(lambda event: event.get("up") == 1)
    names.addresses["broker.test"] = "127.0.0.2"
    first.cut()
    probe.until(lambda event: event.get("up") == 2)
    assert second.kinds(1)[0] == 1
    assert names.asked == 2


def test_a_name_that_does_not_exist_and_a_server_that_does_not_answer(owned, tmp_path: Path, names):
    probe = probe_of(owned, tmp_path, ["nowhere.test:1"], dns=names.address)
    assert "does not exist" in str(probe.logged("name not resolved")["log"])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        probe = probe_of(owned, tmp_path, ["broker.test:1"], dns=silent.getsockname())
        event = probe.logged("no answer from name server")
    assert 5000 <= int(str(event["ms"])) < 8000
