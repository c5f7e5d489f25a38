"""The link against real brokers over plain TCP, with a proxy that sees every packet."""

import contextlib
import socket
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest

from firmware.tests.link_rig import MOSQUITTO, MOSQUITTO_BINARY, NATS, NODE, Broker, Probe, Proxy, wait_for
from protocol.messages import State

SPEED = 5  # nodes live five times as fast here; their patience of 30 s is still 6 s of a busy machine
no_mosquitto = pytest.mark.skipif(MOSQUITTO_BINARY is None, reason="needs mosquitto: apt-get install mosquitto")
BROKERS = [NATS, pytest.param(MOSQUITTO, marks=no_mosquitto)]
CONNECT, SUBSCRIBE, DISCONNECT = 1, 8, 14


@pytest.fixture
def owned():
    with contextlib.ExitStack() as stack:
        yield stack


def start(owned, kind, folder, **config):
    """A broker, a proxy before it and a probe that is up through the proxy."""
    broker = Broker(kind, folder)
    owned.callback(broker.kill)
    broker.start()
    proxy = Proxy(broker.port)
    owned.callback(proxy.close)
    probe = Probe(folder, [f"127.0.0.1:{proxy.port}"], **{"speed": SPEED, **config})
    owned.callback(probe.close)
    probe.until(lambda event: event.get("up") == 1)
    return broker, proxy, probe


@pytest.fixture
def caller():
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="caller")
    yield client
    client.disconnect()
    client.loop_stop()


def send(client, port, topic, payload):
    if not client.is_connected():
        client.connect("127.0.0.1", port)
        client.loop_start()
    client.publish(topic, payload, qos=1).wait_for_publish(10)


@pytest.mark.parametrize("kind", BROKERS)
def test_three_in_flight_are_sent_again_with_ids_and_dup_and_without_subscribing(owned, tmp_path: Path, kind):
    _, proxy, probe = start(owned, kind, tmp_path, settings={"window": 3})
    proxy.drop_pubacks = True
    probe.tell(put=["a", "b", "c", "d"])
    wait_for(lambda: len(proxy.published(1)) == 3, "three in flight")
    first = proxy.published(1)
    proxy.drop_pubacks = False
    proxy.cut()
    probe.done("a", "b", "c", "d")

    assert [packet.payload for packet in first] == ["a", "b", "c"]
    assert [packet.dup for packet in first] == [False, False, False]
    assert proxy.kinds(1)[:2] == [CONNECT, SUBSCRIBE]
    again = proxy.published(2)
    assert [(packet.packet_id, packet.payload) for packet in again[:3]] == [(p.packet_id, p.payload) for p in first]
    assert [packet.dup for packet in again] == [True, True, True, False]
    assert again[3].payload == "d"
    assert SUBSCRIBE not in proxy.kinds(2)
    connect = next(packet for packet in proxy.sent if packet[1] == 2)
    assert not connect[2][7] & 2, "clean session"
    assert next(packet for packet in proxy.answers if packet[1] == 2)[:3:2] == (0x20, b"\x01\x00"), "session present"
    found = probe.stats()
    assert (found["resumed"], found["resends"], found["acked"], found["strays"]) == (1, 3, 4, 0)


@pytest.mark.parametrize("kind", BROKERS)
def test_an_order_for_a_node_that_is_away_waits_for_it(owned, tmp_path: Path, kind, caller):
    broker, proxy, probe = start(owned, kind, tmp_path)
    send(caller, broker.port, f"lum/1/{NODE}/down/cmd", "at home")
    probe.until(lambda event: event.get("text") == "at home")
    proxy.cut()
    for number in range(3):
        send(caller, broker.port, f"lum/1/{NODE}/down/config", f"away {number}")
    for number in range(3):
        probe.until(lambda event, number=number: event.get("text") == f"away {number}")
    texts = [event["text"] for event in probe.events if event.get("got") == "config"]
    assert list(dict.fromkeys(texts)) == ["away 0", "away 1", "away 2"]


def test_a_burst_of_orders_is_taken_without_a_pause(owned, tmp_path: Path, caller):
    broker, proxy, probe = start(owned, NATS, tmp_path)
    proxy.refuse = True
    proxy.cut()
    for number in range(100):
        send(caller, broker.port, f"lum/1/{NODE}/down/cmd", str(number))
    proxy.refuse = False
    last = probe.until(lambda event: event.get("text") == "99")
    first = probe.until(lambda event: event.get("text") == "0")
    assert last["ms"] - first["ms"] < 9000, "waited for the watch of 10 s"
    assert probe.stats()["received"] >= 100


def test_the_session_survives_a_broker_that_is_killed_with_messages_in_flight(owned, tmp_path: Path):
    broker, proxy, probe = start(owned, NATS, tmp_path)
    proxy.drop_pubacks = True
    probe.tell(put=["a", "b"])
    wait_for(lambda: len(proxy.published(1)) == 2, "two in flight")
    proxy.drop_pubacks = False
    broker.kill()
    probe.logged("closed by the peer")
    broker.start()
    probe.done("a", "b")
    found = probe.stats()
    assert found["resumed"] >= 1
    assert found["resends"] >= 2


@no_mosquitto
def test_a_broker_that_forgot_the_session_gets_subscriptions_and_messages_anew(owned, tmp_path: Path, caller):
    broker, proxy, probe = start(owned, MOSQUITTO, tmp_path)
    proxy.drop_pubacks = True
    probe.tell(put=["a", "b"])
    wait_for(lambda: len(proxy.published(1)) == 2, "two in flight")
    broker.kill()  # Mosquitto without persistence: the session is gone
    proxy.drop_pubacks = False
    broker.start()
    probe.done("a", "b")
    assert [event["release"] for event in probe.events if "release" in event] == ["b", "a"]
    last = proxy.sent[-1][1]
    assert SUBSCRIBE in proxy.kinds(last)
    assert not any(packet.dup for packet in proxy.published(last))
    probe.until(lambda event: event.get("up") == 2)
    send(caller, broker.port, f"lum/1/{NODE}/down/cmd", "hello")
    probe.until(lambda event: event.get("text") == "hello")


def test_a_link_that_dies_silently_is_found_by_the_missing_puback(owned, tmp_path: Path):
    _, proxy, probe = start(owned, NATS, tmp_path, speed=20)
    proxy.drop_pubacks = True
    probe.tell(put=["a"])
    probe.logged("no PUBACK")
    proxy.drop_pubacks = False
    probe.done("a")
    assert probe.stats()["resends"] >= 1


def test_the_will_and_the_farewell_are_retained(owned, tmp_path: Path, caller):
    broker, proxy, probe = start(owned, NATS, tmp_path)
    states = []
    caller.on_message = lambda _client, _data, message: states.append((message.payload, message.retain))
    probe.tell(publish=["state", "here", True])
    send(caller, broker.port, "lum/1/other/up/log", "")
    caller.subscribe(f"lum/1/{NODE}/up/state", 1)
    wait_for(lambda: [state for state in states if state[0] == b"here"], "the state")
    gone = State(online=False, boot=5).encode()
    proxy.cut()
    wait_for(lambda: [state for state in states if state[0] == gone], "the will")
    probe.until(lambda event: event.get("up") == 2)
    states.clear()
    probe.tell(close=1)
    probe.until(lambda event: event.get("closed"))
    wait_for(lambda: [state for state in states if state[0] == gone], "the farewell")
    wait_for(lambda: proxy.kinds(2)[-1] == DISCONNECT, "DISCONNECT")


def test_a_message_longer_than_the_buffer_is_skipped_acknowledged_and_counted(owned, tmp_path: Path, caller):
    broker, _, probe = start(owned, NATS, tmp_path)
    send(caller, broker.port, f"lum/1/{NODE}/down/cmd", "x" * 100000)
    send(caller, broker.port, f"lum/1/{NODE}/down/cmd", "y" * 8192)
    probe.until(lambda event: event.get("size") == 8192)
    assert probe.stats()["oversize"] == 1


def test_two_thousand_messages_leave_no_trace_in_memory(owned, tmp_path: Path):
    _, _, probe = start(owned, NATS, tmp_path)
    sizes = []
    for turn in range(5):
        texts = [f"{turn}-{number}" for number in range(400)]
        probe.tell(put=texts)
        probe.done(texts[-1])
        sizes.append(probe.stats()["heap"])
    assert probe.stats()["entries"] == 2000
    assert max(sizes[1:]) - min(sizes[1:]) <= 2048, sizes


def test_the_second_broker_of_the_list_is_used_when_the_first_is_not_there(owned, tmp_path: Path):
    broker = Broker(NATS, tmp_path)
    owned.callback(broker.kill)
    broker.start()
    dead = Proxy(broker.port)
    dead.close()
    probe = Probe(tmp_path, [f"127.0.0.1:{dead.port}", f"127.0.0.1:{broker.port}"], speed=SPEED)
    owned.callback(probe.close)
    probe.logged("no TCP connection")
    probe.until(lambda event: event.get("up") == 1)


def test_a_slow_network_does_not_eat_the_patience_with_the_broker(owned, tmp_path: Path):
    _, _, probe = start(owned, NATS, tmp_path, join_ms=40000, speed=20)
    assert not [event for event in probe.events if event.get("level") == 4]


def test_a_broker_that_accepts_and_says_nothing_is_left(owned, tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        probe = Probe(tmp_path, [f"127.0.0.1:{silent.getsockname()[1]}"], speed=20)
        owned.callback(probe.close)
        event = probe.logged("no CONNACK")
    assert 30000 <= event["ms"] < 45000


@pytest.mark.parametrize("kind", BROKERS)
def test_changed_settings_of_the_link_are_proved_on_a_connection_of_their_own(owned, tmp_path: Path, kind):
    _, proxy, probe = start(owned, kind, tmp_path)
    probe.tell(put=["a"])
    probe.done("a")
    assert probe.stats()["here"] == 1
    probe.tell(settings={"keepalive_s": 90})
    probe.until(lambda event: event.get("up") == 2)
    assert probe.stats()["here"] == 0
    connects = [packet for packet in proxy.sent if packet.kind == CONNECT]
    assert [int.from_bytes(packet[2][8:10], "big") for packet in connects] == [60, 90]
    assert proxy.kinds(1)[-1] == DISCONNECT
    assert proxy.kinds(2) == [CONNECT]
    probe.tell(put=["b"])
    probe.done("b")
    assert probe.stats()["here"] == 1
