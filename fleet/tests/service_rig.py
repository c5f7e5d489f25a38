"""What the tests of the running service share: the process, nodes that do not give up, and the accounts at the end."""

import contextlib
import gc
import signal
import sqlite3
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import paho.mqtt.client as mqtt

from fleet.config import Config
from fleet.model import Kind
from fleet.provision import Provisioner, Request
from fleet.store import Store
from fleet.tests.cli_rig import make_fleet
from fleet.tests.rig import tls, wait_for
from fleet.tests.store_rig import BOOT, NOW_S, batch, record
from protocol import topics

PATIENCE_S = 60.0


def fleet_with(directory: Path, *nodes: str, **broker: object) -> Config:
    """A fleet directory with nodes, whose certificates lie beside the service's."""
    config = make_fleet(directory, **broker)
    with Store.open(config.store_url) as store:
        for made in Provisioner(config, store.nodes).provision(*(Request(node, Kind.AIR, "esp32") for node in nodes)):
            pem = ssl.DER_cert_to_PEM_cert(made.key).replace("CERTIFICATE", "EC PRIVATE KEY")
            (config.certs_dir / f"{made.node}.pem").write_text(ssl.DER_cert_to_PEM_cert(made.cert))
            (config.certs_dir / f"{made.node}.key").write_text(pem)
    return config


class Service:
    """`fleet serve` as a process of its own."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.errors: list[str] = []
        self.starts = 0
        self.start()

    def start(self) -> None:
        words = [sys.executable, "-m", "fleet", "serve", "--fleet", str(self.config.directory)]
        self.child = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.starts += 1
        assert self.child.stdout is not None
        assert self.child.stderr is not None
        self._reader = threading.Thread(target=self._read, args=(self.child.stderr,), daemon=True)
        self._reader.start()

    def wait_ready(self) -> str:
        assert self.child.stdout is not None
        line = self.child.stdout.readline()
        assert line.startswith("ready "), "".join(self.errors)
        return line

    def _read(self, stream: IO[str]) -> None:
        self.errors.extend(iter(stream.readline, ""))

    def kill(self) -> None:
        self.end(signal.SIGKILL)

    def end(self, number: int = signal.SIGTERM) -> int:
        assert self.child.stdout is not None
        assert self.child.stderr is not None
        self.child.send_signal(number)
        code = self.child.wait(PATIENCE_S)
        self._reader.join()
        self.child.stdout.close()
        self.child.stderr.close()
        return code

    @property
    def broker_pid(self) -> int:
        return int((self.config.broker_dir / "nats.pid").read_text())


@contextlib.contextmanager
def serving(config: Config) -> Iterator[Service]:
    """The service, ready; ended in good order afterwards."""
    service = Service(config)
    try:
        service.wait_ready()
        yield service
    finally:
        if service.child.poll() is None:
            assert service.end() == 0, "".join(service.errors)
        gc.collect()  # sockets that paho leaves: here, where their warning is expected, not in whatever test comes next


class Node:
    """A node that publishes records until each is acknowledged, over as many connections as that takes."""

    def __init__(self, config: Config, name: str) -> None:
        self.name = name
        self.acked = 0
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, name, clean_session=False)
        self._client.tls_set_context(tls(config, name))
        self._client.reconnect_delay_set(1, 1)
        self._client.max_inflight_messages_set(50)
        self._client.on_publish = self._on_publish
        self._client.connect_async("localhost", config.broker.port, 30)
        self._client.loop_start()

    def _on_publish(self, *_: object) -> None:
        self.acked += 1

    def send(self, first: int, count: int) -> None:
        """Queue records with seq `first` and on; paho keeps them until they are acknowledged."""
        for seq in range(first, first + count):
            self.publish("tele", batch(record(seq, NOW_S + 60 * seq)))

    def publish(self, name: str, payload: bytes) -> None:
        self._client.publish(topics.up(self.name, name), payload, 1)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@contextlib.contextmanager
def nodes(config: Config, *names: str) -> Iterator[list[Node]]:
    made = [Node(config, name) for name in names]
    try:
        yield made
    finally:
        for node in made:
            node.close()


def stored(config: Config) -> int:
    """Records in the database, as another process sees them."""
    with contextlib.closing(sqlite3.connect(config.directory / "fleet.db", timeout=30)) as connection:
        found: int = connection.execute("SELECT count(*) FROM record").fetchone()[0]
        return found


def wait_stored(config: Config, count: int) -> None:
    wait_for(lambda: stored(config) >= count, f"{count} records", PATIENCE_S)


def assert_whole(config: Config, names: tuple[str, ...], count: int) -> None:
    """Every node's records 0 .. count - 1 are there, each once and with its own bytes."""
    with Store.open(config.store_url) as store:
        accounts = store.readings.accounts()
        assert [(item.node, item.boot, item.stored, item.missing) for item in accounts] == [
            (name, BOOT, count, 0) for name in names
        ]
        assert store.readings.count() == count * len(names)
        assert store.journal.refused() == {}
        for name in names:
            found = [(reading.seq, reading.mean) for reading in store.readings.range([name], 0, 1 << 32, channels={1})]
            assert found == [(seq, 10 * seq) for seq in range(count)]
