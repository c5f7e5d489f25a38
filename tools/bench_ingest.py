"""Messages per second from socket to committed row, beside a bare paho loop that decodes and stores nothing.

    python -m tools.bench_ingest            the comparison; one JSON line
    python -m tools.bench_ingest --pause 30 the database is locked for 30 s while messages flow; one JSON line

Every measurement is a process of its own against the same real nats-server (JetStream on disk). They alternate, so that
whatever else the machine does meets all of them; the figures are medians over the rounds.

bare      paho as its manual shows it: loop_start, automatic acknowledgement, cbor2 in on_message
bus       our connection, decoding as `bare` does, acknowledging at once: what the storing itself costs
ingest    the service's path: manual acknowledgement after the commit into SQLite (WAL, synchronous FULL)
"""

import argparse
import itertools
import json
import os
import resource
import select
import socket
import sqlite3
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cbor2
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from fleet.broker import binary
from fleet.bus import Bus, Delivery, Endpoint
from fleet.ingest import Ingest
from fleet.ingest.inbox import Inbox
from fleet.ingest.sorter import Sorter
from fleet.model import Kind, Node
from fleet.store import Store
from protocol.messages import Batch
from protocol.records import TQ_NTP_HOUR, Record, Sample

NODES = 100
CONNECTIONS = 4
WINDOW = 100  # unacknowledged messages of one publisher connection: it is never the limit
START_S = 1_763_000_000
BOOT = 29_400_000
PATIENCE_S = 300
FILTER = "lum/1/+/up/#"


def node_name(index: int) -> str:
    """The id of the publisher with that index."""
    return f"node-{index:03}"


def packets(first: int, count: int) -> Iterator[bytes]:
    """PUBLISH packets (QoS 1) of `count` one-minute records with nine quantities, from NODES nodes in turn."""
    for number in range(first, first + count):
        seq, index = divmod(number, NODES)
        samples = {
            channel: Sample(700 * channel + (number * 7919 + channel * 104729) % 9000) for channel in range(1, 10)
        }
        entry = Record(seq, START_S + 60 * seq, TQ_NTP_HOUR, samples).encode()
        topic = f"lum/1/{node_name(index)}/up/tele".encode()
        body = struct.pack("!H", len(topic)) + topic + struct.pack("!H", number % 65535 + 1)
        body += Batch(boot=BOOT, entries=[entry]).encode()
        assert len(body) < 16384
        size = bytes([len(body)]) if len(body) < 128 else bytes([len(body) & 127 | 128, len(body) >> 7])
        yield b"\x32" + size + body


class Publisher:
    """One raw connection that keeps WINDOW messages in flight. Bytes only: it must cost less than what it measures."""

    def __init__(self, port: int, name: str, queue: list[bytes]) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        name_bytes = name.encode()
        connect = b"\x00\x04MQTT\x04\x02\x00\x00" + struct.pack("!H", len(name_bytes)) + name_bytes
        self.socket.sendall(b"\x10" + bytes([len(connect)]) + connect)
        assert self.socket.recv(4) == b"\x20\x02\x00\x00"
        self.queue = queue
        self.sent = 0
        self.acked_bytes = 0

    @property
    def done(self) -> bool:
        """Whether every message was acknowledged by the broker."""
        return self.acked_bytes == 4 * len(self.queue)

    def pump(self, allowed: int) -> None:
        """Send what the window and `allowed` (messages in all) leave room for."""
        until = min(len(self.queue), allowed, self.acked_bytes // 4 + WINDOW)
        if until > self.sent:
            self.socket.sendall(b"".join(self.queue[self.sent : until]))
            self.sent = until

    def receive(self) -> None:
        """Count acknowledgements."""
        data = self.socket.recv(65536)
        assert data, "the broker closed the publisher's connection"
        self.acked_bytes += len(data)


def publish(port: int, first: int, count: int, rate: int) -> None:
    """Publish `count` messages, at `rate` a second or as fast as the broker takes them (0)."""
    made = list(packets(first, count))
    publishers = [Publisher(port, f"publisher-{n}", made[n::CONNECTIONS]) for n in range(CONNECTIONS)]
    print("ready", flush=True)
    sys.stdin.readline()
    start = time.monotonic()
    while not all(publisher.done for publisher in publishers):
        allowed = count if not rate else int((time.monotonic() - start) * rate / CONNECTIONS) + 1
        for publisher in publishers:
            publisher.pump(allowed)
        for found in select.select([publisher.socket for publisher in publishers], [], [], 0.02 if rate else 1)[0]:
            next(publisher for publisher in publishers if publisher.socket is found).receive()


@contextmanager
def broker(sync: str) -> Iterator[int]:
    """A real nats-server with JetStream on disk and plain MQTT on a free loopback port; gives the port."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
        probe.close()
        text = f"""server_name: bench
listen: "127.0.0.1:-1"
jetstream {{ store_dir: "{directory}/data", sync_interval: "{sync}" }}
mqtt {{ listen: "127.0.0.1:{port}", ack_wait: "30s", max_ack_pending: 16384 }}
"""
        config = Path(directory, "nats.conf")
        config.write_text(text)
        program = binary.find(os.environ.get("FLEET_NATS_SERVER")).path
        child = subprocess.Popen([program, "-c", config], stderr=subprocess.DEVNULL)
        try:
            _until(lambda: _listens(port), 20)
            yield port
        finally:
            child.terminate()
            child.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _until(condition: Callable[[], object], timeout_s: float) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("gave up waiting")
        time.sleep(0.005)


class Meter:
    """When the first message came and when the last was done."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.seen = 0
        self.first = 0.0
        self.last = 0.0
        self.done = threading.Event()

    def one(self) -> None:
        """A message."""
        self.seen += 1
        if self.seen == 1:
            self.first = time.perf_counter()
        if self.seen == self.count:
            self.last = time.perf_counter()
            self.done.set()

    def wait(self) -> float:
        """Messages per second."""
        if not self.done.wait(PATIENCE_S):
            raise TimeoutError(f"{self.seen} of {self.count} came")
        return self.count / (self.last - self.first)


@contextmanager
def bare(port: int, meter: Meter, _directory: Path) -> Iterator[None]:
    """paho as its manual shows it."""

    def on_message(_client: object, _data: object, message: mqtt.MQTTMessage) -> None:
        cbor2.loads(message.payload)
        meter.one()

    def on_connect(client: mqtt.Client, *_: object) -> None:
        client.subscribe(FILTER, 1)

    ready = threading.Event()
    client = mqtt.Client(CallbackAPIVersion.VERSION2, "bench", clean_session=True)
    client.on_message = on_message
    client.on_subscribe = lambda *_: ready.set()
    client.on_connect = on_connect
    client.connect("127.0.0.1", port)
    client.loop_start()
    assert ready.wait(10)
    yield
    client.disconnect()
    client.loop_stop()


@contextmanager
def bus(port: int, meter: Meter, _directory: Path) -> Iterator[None]:
    """Our connection without a store."""
    made: Bus

    def deliver(delivery: Delivery) -> bool:
        cbor2.loads(delivery.payload)
        made.ack([delivery])
        meter.one()
        return True

    made = Bus(Endpoint("127.0.0.1", port, "bench"), (FILTER,), deliver, lambda _line: None)
    made.start()
    assert made.up.wait(10)
    yield
    made.stop()


@contextmanager
def ingest(port: int, meter: Meter, directory: Path) -> Iterator[Ingest]:
    """The service's path."""
    store = Store.open(directory / "fleet.db")
    store.migrate()
    for index in range(NODES):
        store.nodes.add(Node(node_name(index), Kind.AIR, "bench"))
    inbox = Inbox(limit=20000, batch=1000, linger_s=0.05)

    def deliver(delivery: Delivery) -> bool:
        if meter.first == 0:
            meter.first = time.perf_counter()
        return inbox.offer(delivery)

    def ack(done: list[Delivery]) -> None:
        made.ack(done)
        meter.seen += len(done)
        if meter.seen >= meter.count:
            meter.last = time.perf_counter()
            meter.done.set()

    made = Bus(Endpoint("127.0.0.1", port, "bench"), (FILTER,), deliver, lambda _line: None)
    writer = Ingest(inbox, Sorter(store.nodes.keys), store.intake(), ack, made.resume, print_error)
    writer.start()
    made.start()
    assert made.up.wait(10)
    yield writer
    made.hold()
    assert writer.finish(60)
    made.stop()
    store.close()


def print_error(line: str) -> None:
    """To stderr, so that stdout stays one line."""
    print(line, file=sys.stderr, flush=True)


PATHS = {"bare": bare, "bus": bus, "ingest": ingest}


def measure(name: str, port: int, first: int, count: int) -> None:
    """One measurement, in a process of its own: prints its result."""
    meter = Meter(count)
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        with PATHS[name](port, meter, Path(directory)), publishing(port, first, count, 0) as start:
            before = time.process_time()
            start()
            rate = meter.wait()
            cpu_s = time.process_time() - before
        result: dict[str, Any] = {"rate": rate, "cpu_us": cpu_s / count * 1e6}
        if name == "ingest":
            result |= account(Path(directory, "fleet.db"), count)
    print(json.dumps(result))


@contextmanager
def publishing(port: int, first: int, count: int, rate: int) -> Iterator[Callable[[], None]]:
    """A publisher process that is ready; call what this gives to let it begin."""
    words = [sys.executable, "-m", "tools.bench_ingest", "publish", *map(str, (port, first, count, rate))]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"

        def start() -> None:
            assert child.stdin is not None
            child.stdin.write("\n")
            child.stdin.flush()

        yield start


def account(path: Path, count: int) -> dict[str, int]:
    """What is missing in the database, and what is there twice."""
    with sqlite3.connect(path) as connection:
        rows, distinct = connection.execute(
            "SELECT count(*), count(DISTINCT node * 4294967296 + seq) FROM record"
        ).fetchone()
    return {"lost": count - distinct, "duplicates": rows - distinct}


def compare(rounds: int, count: int, sync: str) -> dict[str, Any]:
    """Every path in turn, `rounds` times."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in PATHS}
    numbers = itertools.count(0, count)
    with broker(sync) as port:
        for _ in range(rounds):
            for name, results in found.items():
                words = [sys.executable, "-m", "tools.bench_ingest", name, str(port), str(next(numbers)), str(count)]
                run = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
                results.append(json.loads(run.stdout))
    rates = {name: statistics.median(row["rate"] for row in rows) for name, rows in found.items()}
    pairs = [mine["rate"] / base["rate"] for mine, base in zip(found["ingest"], found["bare"], strict=True)]
    return {
        "bench": "ingest",
        "sync": sync,
        "rounds": rounds,
        "messages": count,
        "rate_per_s": {name: round(rate) for name, rate in rates.items()},
        "cpu_us": {name: round(statistics.median(r["cpu_us"] for r in rows), 1) for name, rows in found.items()},
        "ratio": round(statistics.median(pairs), 3),
        "ratio_low": round(min(pairs), 3),
        "ratio_high": round(max(pairs), 3),
        "lost": sum(row["lost"] for row in found["ingest"]),
        "duplicates": sum(row["duplicates"] for row in found["ingest"]),
    }


def paused(pause_s: float, rate: int, sync: str) -> dict[str, Any]:
    """Lock the database for `pause_s` while `rate` messages a second flow: how far memory grows, and what is lost."""
    count = int(rate * (pause_s + 4))
    meter = Meter(count)
    with broker(sync) as port, tempfile.TemporaryDirectory(prefix="bench-") as directory:
        with ingest(port, meter, Path(directory)) as writer, publishing(port, 0, count, rate) as start:
            start()
            _until(lambda: meter.seen > rate, PATIENCE_S)
            before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            lock = sqlite3.connect(Path(directory, "fleet.db"), isolation_level=None)
            lock.execute("BEGIN IMMEDIATE")
            time.sleep(pause_s)
            stored_while = meter.seen
            lock.close()
            began = time.perf_counter()
            meter.wait()
            caught_up_s = meter.last - began
            after_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        figures = account(Path(directory, "fleet.db"), count)
    return {
        "bench": "ingest-pause",
        "sync": sync,
        "pause_s": pause_s,
        "rate_per_s": rate,
        "messages": count,
        "waiting_at_end_of_pause": int(rate * (pause_s + 1)) - stored_while,
        "failed_attempts": writer.failures,
        "caught_up_s": round(max(0.0, caught_up_s), 2),
        "rss_mb_before": round(before_kb / 1024, 1),
        "rss_mb_most": round(after_kb / 1024, 1),
        **figures,
    }


def main(arguments: list[str]) -> None:
    """Parse and run; the first word `publish`, `bare`, `bus` or `ingest` means: be the child of a measurement."""
    if arguments and arguments[0] == "publish":
        publish(*map(int, arguments[1:]))
    elif arguments and arguments[0] in PATHS:
        measure(arguments[0], *map(int, arguments[1:]))
    else:
        parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
        parser.add_argument("--rounds", type=int, default=5)
        parser.add_argument("--messages", type=int, default=20000, help="of one measurement")
        parser.add_argument("--sync", default="2m", help="JetStream sync_interval: always, or a time such as 2m")
        parser.add_argument("--pause", type=float, default=0, help="seconds for which the database is locked")
        parser.add_argument("--rate", type=int, default=1000, help="messages a second of the pause")
        given = parser.parse_args(arguments)
        result = (
            paused(given.pause, given.rate, given.sync)
            if given.pause
            else compare(given.rounds, given.messages, given.sync)
        )
        print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1:])
