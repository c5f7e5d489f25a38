"""What the broker tests share: a fleet directory, its register in memory, real brokers, and MQTT clients."""

import contextlib
import os
import shutil
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest

from fleet import config as settings
from fleet import pki, provision
from fleet.broker import binary, control, mosquitto
from fleet.broker.embedded import EmbeddedBroker
from fleet.broker.process import BrokerProcess
from fleet.broker.rights import Role, User
from fleet.config import Config
from fleet.errors import NotAllowedError, NotFoundError
from fleet.model import Kind, Node

PATIENCE_S = 10.0
NATS = "nats"
MOSQUITTO = "mosquitto"
AUDITORS = ("auditor", "late")


def free_port() -> int:
    """A TCP port of the loopback that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(condition: Callable[[], object], what: str, timeout_s: float = PATIENCE_S) -> None:
    """Return as soon as `condition` holds."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, f"waited in vain for: {what}"
        time.sleep(0.005)


class MemoryRegister:
    """A register without a database."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}

    def add(self, node: Node) -> None:
        if node.id in self._nodes:
            raise NotAllowedError(f"there is a node {node.id} already")
        self._nodes[node.id] = node

    def replace(self, node: Node) -> None:
        self._nodes[self.get(node.id).id] = node

    def get(self, node: str) -> Node:
        if node not in self._nodes:
            raise NotFoundError(f"no node {node}")
        return self._nodes[node]

    def all(self) -> list[Node]:
        return list(self._nodes.values())


class Auditor(User):
    """A user of the tests alone, who may do everything below `lum` and so sees what went through."""

    publish = ("lum/#",)  # type: ignore[assignment]
    subscribe = ("lum/#",)  # type: ignore[assignment]


@dataclass
class Rig:
    """One fleet directory with its authority. Certificates of nodes lie beside the service's."""

    config: Config
    register: MemoryRegister = field(default_factory=MemoryRegister)
    auditors: tuple[User, ...] = ()
    broker: BrokerProcess | None = None
    kind: str = NATS

    @classmethod
    def create(cls, directory: Path, **broker: object) -> "Rig":
        values = {"broker": {"port": free_port(), "listen": "127.0.0.1", **broker}}
        config = settings.parse(values, directory)
        for path in (config.ca_dir, config.certs_dir, config.log_dir):
            path.mkdir(parents=True)
        now = int(time.time())
        authority = pki.Authority.create("test", 100, now)
        authority.save(config.ca_dir)
        authority.issue_server([], 100, now).save(config.certs_dir, "server")
        for name in (*provision.MANAGERS, *AUDITORS):
            authority.issue_client(f"{name}.fleet", 100, now).save(config.certs_dir, name)
        config.proof_key_file.write_text(f"{bytes(32).hex()}\n")
        certs = {name: pki.load_cert(config.certs_dir / f"{name}.pem") for name in AUDITORS}
        auditors = (Auditor(f"{name}.fleet", cert.serial_number, Role.MANAGER) for name, cert in certs.items())
        return cls(config, auditors=tuple(auditors))

    @property
    def provisioner(self) -> provision.Provisioner:
        return provision.Provisioner(self.config, self.register, self.apply)

    def add(self, *nodes: str) -> None:
        """Provision nodes and keep their certificates as files."""
        requests = [provision.Request(node, Kind.AIR, "esp32") for node in nodes]
        for identity in self.provisioner.provision(*requests):
            self.keep(identity.node, identity.cert, identity.key)

    def keep(self, name: str, cert_der: bytes, key_der: bytes) -> None:
        for kind, data in (("pem", cert_der), ("key", key_der)):
            header = "CERTIFICATE" if kind == "pem" else "EC PRIVATE KEY"
            (self.config.certs_dir / f"{name}.{kind}").write_text(_pem(header, data))

    def apply(self) -> None:
        """What `sync` and reload do, with the auditors as more users."""
        every = provision.users(self.config, self.register)
        control.write(self.config, [*every, *self.auditors])
        if os.getuid() == 0:  # as root Mosquitto would become another user, who may not enter a fleet directory
            with (self.config.broker_dir / mosquitto.CONFIG_NAME).open("a") as file:
                file.write("user root\n")
        if self.broker is not None:
            self.broker.reload()

    def start(self, kind: str) -> BrokerProcess:
        """The broker, ready; the caller stops it."""
        self.kind = kind
        self.apply()
        if kind == MOSQUITTO:
            dialect = mosquitto.dialect(mosquitto_program("mosquitto"), self.config)
            self.broker = BrokerProcess(dialect, self.config.broker_dir, control.log_file(self.config))
        else:
            self.broker = EmbeddedBroker(binary.find().path, self.config)
        self.broker.start()
        self.broker.wait_ready()
        return self.broker

    @contextlib.contextmanager
    def running(self, kind: str) -> Iterator[BrokerProcess]:
        broker = self.start(kind)
        try:
            yield broker
        finally:
            broker.stop()

    def assert_refused(self, cert: str | None, client_id: str = "") -> None:
        """The certificate gets no session."""
        client = self.client(cert, client_id)
        with contextlib.suppress(ssl.SSLError, ConnectionResetError), client:
            pass
        assert client.reason in (None, "Not authorized")

    def client(self, cert: str | None, client_id: str = "", clean: bool = True) -> "Client":
        return Client(self.config, cert, client_id or cert or "nobody", clean)


def mosquitto_program(name: str) -> Path:
    """A program of Debian's mosquitto packages; the test is skipped, with the command to run, when it is missing."""
    found = shutil.which(name, path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if found is None:
        pytest.skip(f"{name} is not installed: apt-get install mosquitto mosquitto-clients")
    return Path(found)


class Client:
    """A paho client that keeps what happened. Use it as a context manager."""

    def __init__(self, config: Config, cert: str | None, client_id: str, clean: bool) -> None:
        self.messages: list[tuple[str, bytes]] = []
        self.reason: str | None = None
        self.session_present = False
        self.off = threading.Event()
        self._acks: dict[int, int] = {}
        self._sent = 0
        self._granted: dict[int, int] = {}
        self._port = config.broker.port
        self._mqtt = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, client_id, clean_session=clean, reconnect_on_failure=False
        )
        self._mqtt.tls_set_context(tls(config, cert))
        self._mqtt.on_connect = self._on_connect
        self._mqtt.on_message = lambda _c, _u, message: self.messages.append((message.topic, message.payload))
        self._mqtt.on_subscribe = lambda _c, _u, mid, codes, _p: self._granted.update({mid: codes[0].value})
        self._mqtt.on_publish = lambda _c, _u, mid, code, _p: self._acks.update({mid: code.value})
        self._mqtt.on_disconnect = lambda _c, _u, _f, _r, _p: self.off.set()

    def _on_connect(self, _c: object, _u: object, flags: mqtt.ConnectFlags, code: object, _p: object) -> None:
        self.session_present = flags.session_present
        self.reason = str(code)

    def __enter__(self) -> "Client":
        try:
            self._mqtt.connect("localhost", self._port, 60)
        except OSError:
            self._mqtt._reset_sockets()
            raise
        self._mqtt.loop_start()
        wait_for(lambda: self.reason is not None or self.off.is_set(), "an answer to CONNECT")
        return self

    def __exit__(self, *_: object) -> None:
        self._mqtt.disconnect()
        self._mqtt.loop_stop()
        self._mqtt._reset_sockets()  # paho leaves its wake-up pair to the collector, which may warn

    def will(self, topic: str, payload: bytes) -> None:
        """Before the connection: what the broker shall say when it breaks."""
        self._mqtt.will_set(topic, payload, 1)

    def vanish(self) -> None:
        """Break the connection as a power cut does, without DISCONNECT."""
        found = self._mqtt.socket()
        assert found is not None
        found.shutdown(socket.SHUT_RDWR)
        wait_for(self.off.is_set, "the end of the connection")

    def subscribe(self, topics: str, qos: int = 1) -> int:
        """The granted QoS, or 128."""
        mid = self._mqtt.subscribe(topics, qos)[1]
        assert mid is not None
        wait_for(lambda: mid in self._granted, "SUBACK")
        return self._granted[mid]

    def publish(self, topic: str, payload: bytes, qos: int = 1, retain: bool = False) -> None:
        """Returns after PUBACK."""
        mid = self._mqtt.publish(topic, payload, qos, retain).mid
        wait_for(lambda: mid in self._acks, "PUBACK")

    def send(self, topic: str, payload: bytes) -> None:
        """Returns at once."""
        self._sent += 1
        self._mqtt.publish(topic, payload, 1)

    @property
    def unacknowledged(self) -> int:
        """What `send` sent and the broker has not taken."""
        return self._sent - len(self._acks)

    def got(self, payload: bytes) -> bool:
        return any(found == payload for _, found in self.messages)


def tls(config: Config, cert: str | None) -> ssl.SSLContext:
    """A context that trusts the fleet's authority and shows that certificate."""
    context = ssl.create_default_context(cafile=str(config.ca_dir / "ca.pem"))
    if cert is not None:
        context.load_cert_chain(config.certs_dir / f"{cert}.pem", config.certs_dir / f"{cert}.key")
    return context


def _pem(header: str, der: bytes) -> str:
    text = ssl.DER_cert_to_PEM_cert(der)
    return text.replace("CERTIFICATE", header)
