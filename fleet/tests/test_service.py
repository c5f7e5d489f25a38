"""The service with real brokers and real processes: whoever is killed, nothing is lost and nothing is there twice."""

import os
import signal
import sqlite3
import threading
import time
from pathlib import Path

import pytest

from fleet import service
from fleet.broker import binary, control, mosquitto, nats
from fleet.broker.process import BrokerProcess
from fleet.config import Config
from fleet.errors import UnreachableError
from fleet.store import Store
from fleet.tests.rig import MOSQUITTO, NATS, mosquitto_program, wait_for
from fleet.tests.service_rig import (
    PATIENCE_S,
    Service,
    assert_whole,
    fleet_with,
    nodes,
    serving,
    stored,
    wait_stored,
)
from fleet.tests.store_rig import batch, record

# paho leaves a socket whose handshake failed, as when a broker is killed, to the garbage collector
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

NAMES = ("air-1", "air-2")
COUNT = 600  # records of each node


def broker_of(kind: str, config: Config) -> BrokerProcess:
    """A broker that belongs to the test and not to the service."""
    dialect = nats.dialect(binary.find().path, config)
    if kind == MOSQUITTO:
        dialect = mosquitto.dialect(mosquitto_program("mosquitto"), config)
        if os.getuid() == 0:  # Mosquitto would become another user, who may not enter a fleet directory
            with (config.broker_dir / mosquitto.CONFIG_NAME).open("a") as file:
                file.write("user root\n")
    return BrokerProcess(dialect, config.broker_dir, control.log_file(config))


@pytest.mark.parametrize("kind", [NATS, MOSQUITTO])
def test_the_service_is_killed_in_the_middle_of_batches(tmp_path: Path, kind: str) -> None:
    config = fleet_with(tmp_path / "fleet", *NAMES, kind="external", ack_wait_s=5)
    broker = broker_of(kind, config)
    broker.start()
    service = None
    try:
        broker.wait_ready()
        service = Service(config)
        service.wait_ready()
        with nodes(config, *NAMES) as senders:
            for part in range(4):
                before = stored(config)
                for node in senders:
                    node.send(part * COUNT // 4, COUNT // 4)
                wait_stored(config, before + 20)
                service.kill()
                service.start()
                service.wait_ready()
            wait_stored(config, COUNT * len(NAMES))
            assert all(node.acked == COUNT for node in senders)
        assert service.end() == 0
        assert_whole(config, NAMES, COUNT)
    finally:
        if service is not None and service.child.poll() is None:
            service.kill()
        broker.stop()


def test_service_and_embedded_broker_are_killed_together(tmp_path: Path) -> None:
    config = fleet_with(tmp_path / "fleet", *NAMES, ack_wait_s=5)
    with serving(config) as service, nodes(config, *NAMES) as senders:
        for part in range(2):
            before = stored(config)
            for node in senders:
                node.send(part * COUNT // 2, COUNT // 2)
            wait_stored(config, before + 20)
            service.kill()
            service.start()
            service.wait_ready()
        wait_stored(config, COUNT * len(NAMES))
    assert_whole(config, NAMES, COUNT)


def test_the_broker_is_killed_with_records_in_flight(tmp_path: Path) -> None:
    config = fleet_with(tmp_path / "fleet", *NAMES, ack_wait_s=5)
    with serving(config) as service, nodes(config, *NAMES) as senders:
        killed = 0
        for part in range(2):
            before = stored(config)
            for node in senders:
                node.send(part * COUNT // 2, COUNT // 2)
            wait_stored(config, before + 20)
            wait_for(lambda: service.broker_pid != killed, "the next broker", PATIENCE_S)  # noqa: B023
            killed = service.broker_pid
            os.kill(killed, signal.SIGKILL)
        wait_stored(config, COUNT * len(NAMES))
        wait_for(lambda: figures(config)["broker_restarts"] == 2, "the restarts among the figures", PATIENCE_S)
    assert_whole(config, NAMES, COUNT)


def figures(config: Config) -> dict[str, object]:
    with Store.open(config.store_url) as store:
        return dict(store.journal.figures()[-1][1])


def test_a_locked_database_holds_up_and_loses_nothing(tmp_path: Path) -> None:
    config = fleet_with(tmp_path / "fleet", *NAMES, ack_wait_s=5)
    with serving(config), nodes(config, *NAMES) as senders:
        for node in senders:
            node.send(0, 100)
        wait_stored(config, 200)
        lock = sqlite3.connect(config.directory / "fleet.db", isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        for node in senders:
            node.send(100, 100)
        held = time.monotonic() + 6  # longer than a writer waits for another one
        wait_for(
            lambda: all(node.acked == 200 for node in senders), "the broker takes everything meanwhile", PATIENCE_S
        )
        wait_for(lambda: time.monotonic() > held, "the lock is held long enough", PATIENCE_S)
        assert stored(config) == 200
        lock.close()
        wait_stored(config, 400)
        wait_for(lambda: figures(config)["database_failures"] != 0, "the failure among the figures", PATIENCE_S)
    assert_whole(config, NAMES, 200)


def test_poison_does_not_stop_the_line(tmp_path: Path) -> None:
    config = fleet_with(tmp_path / "fleet", *NAMES, ack_wait_s=5)
    with serving(config), nodes(config, "air-1") as (node,):
        node.publish("tele", b"\xff")
        node.publish("tele", batch(record(0), b"\x00"))
        node.publish("tele", bytes(10_000))
        node.send(1, 1)
        wait_stored(config, 2)
    with Store.open(config.store_url) as store:
        assert sum(store.journal.refused().values()) == 3
    again = Service(config)
    again.wait_ready()
    assert again.end() == 0
    with Store.open(config.store_url) as store:
        assert sum(store.journal.refused().values()) == 3, "poison was acknowledged and does not come again"


def test_an_orderly_end_leaves_nothing_behind(tmp_path: Path) -> None:
    config = fleet_with(tmp_path / "fleet", *NAMES, ack_wait_s=5)
    with serving(config) as service, nodes(config, "air-1") as (node,):
        node.send(0, 300)
        wait_for(lambda: node.acked >= 100, "acknowledgements", PATIENCE_S)
        pid = service.broker_pid
        assert service.end() == 0
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        service.start()
        service.wait_ready()
        wait_stored(config, 300)
    assert_whole(config, ("air-1",), 300)


def test_a_second_service_is_refused(tmp_path: Path) -> None:
    config = fleet_with(tmp_path / "fleet")
    with serving(config) as service:
        second = Service(config)
        assert second.child.wait(PATIENCE_S) == 4
        second.end()
        assert f"process {service.child.pid}" in "".join(second.errors)


def test_a_broker_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = fleet_with(tmp_path / "fleet", kind="external")
    monkeypatch.setattr(service, "CONNECT_S", 0.5)
    with pytest.raises(UnreachableError, match="refused"):
        service.run(config, threading.Event())
