"""What the tests of the link share on the host: real brokers, the probe under MicroPython, a TCP proxy that reads along
plain MQTT, and a name server. Nothing listens beyond the loopback; every process and thread is ended by its owner."""

import contextlib
import getpass
import itertools
import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from fleet.broker import binary as nats
from fleet.pki import Authority
from tools.interpreter import ROOT, micropython

NATS = "nats"
MOSQUITTO = "mosquitto"
MOSQUITTO_BINARY = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
PATIENCE_S = 40.0
NODE = "n-1"


def free_port() -> int:
    """A TCP port of the loopback that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(condition: Callable[[], object], what: str) -> None:
    """Return as soon as `condition` holds."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, f"waited in vain for: {what}"
        time.sleep(0.005)


class Keys:
    """An authority and what it issues, as files in `folder`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        now = int(time.time())
        self.folder = folder
        authority = Authority.create("test", 10, now)
        authority.save(folder)
        node = authority.issue_node(NODE, 10, now)
        server = authority.issue_server(["broker.test"], 10, now)
        server.save(folder, "server")
        (folder / "node.cert").write_bytes(node.cert_der)
        (folder / "node.key").write_bytes(node.key_der)
        (folder / "ca.der").write_bytes(authority.cert.public_bytes(Encoding.DER))

    def of_node(self) -> dict[str, str]:
        """What the probe needs for TLS."""
        return {name: str(self.folder / file) for name, file in FILES.items()}


FILES = {"ca": "ca.der", "cert": "node.cert", "key": "node.key"}


class Broker:
    """A real broker on one port, with mutual TLS when there are keys; its data outlives `kill`."""

    def __init__(self, kind: str, folder: Path, keys: Keys | None = None) -> None:
        self.kind = kind
        self.port = free_port()
        self._config = folder / f"{kind}.conf"
        data = folder / f"{kind}-data"
        data.mkdir()
        text = _nats(self.port, data, keys) if kind == NATS else _mosquitto(self.port, keys)
        self._config.write_text(text)
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process and wait until it listens."""
        binary = str(MOSQUITTO_BINARY)
        if self.kind == NATS:
            binary = str(nats.find().path)
        log = (self._config.parent / f"{self.kind}.log").open("ab")
        command = [binary, "-c", str(self._config)]
        self._child = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        log.close()
        wait_for(lambda: _listens(self.port), f"{self.kind} on port {self.port}")

    def kill(self) -> None:
        """SIGKILL."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None


def _nats(port: int, data: Path, keys: Keys | None) -> str:
    tls = users = ""
    if keys is not None:
        files = f'cert_file: "{keys.folder}/server.pem", key_file: "{keys.folder}/server.key"'
        tls = f'tls {{ {files}, ca_file: "{keys.folder}/ca.pem", verify_and_map: true }}'
        users = f'authorization {{ users: [ {{ user: "{NODE}" }} ] }}'
    return f"""
server_name: test
listen: "127.0.0.1:-1"
jetstream {{ store_dir: "{data}", sync_interval: always }}
mqtt {{
  listen: "127.0.0.1:{port}"
  {tls}
}}
{users}
"""


def _mosquitto(port: int, keys: Keys | None) -> str:
    text = f"listener {port} 127.0.0.1\npersistence false\nuser {getpass.getuser()}\n"
    if keys is None:
        return text + "allow_anonymous true\n"
    return text + (
        f"cafile {keys.folder}/ca.pem\ncertfile {keys.folder}/server.pem\nkeyfile {keys.folder}/server.key\n"
        "require_certificate true\nuse_identity_as_username true\n"
    )


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Probe:
    """`link_probe.py` under MicroPython. `events` is what it said so far."""

    def __init__(self, folder: Path, brokers: list[str], **config: object) -> None:
        path = folder / "probe.json"
        path.write_text(json.dumps({"node": NODE, "brokers": brokers, **config}))
        command = [micropython(), str(ROOT / "firmware/tests/link_probe.py"), str(path), str(ROOT)]
        self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.events: list[dict[str, object]] = []
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._child.stdout is not None
        for line in self._child.stdout:
            try:
                event = json.loads(line)
            except ValueError:
                event = {"noise": line.decode(errors="replace").rstrip()}
            with self._changed:
                self.events.append(event)
                self._changed.notify_all()

    def tell(self, **order: object) -> None:
        """Give an order."""
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps(order).encode() + b"\n")
        self._child.stdin.flush()

    def until(self, condition: Callable[[dict[str, object]], object], since: int = 0) -> dict[str, object]:
        """The first event from index `since` on that fulfils `condition`; fails after PATIENCE_S."""
        with self._changed:
            found = self._changed.wait_for(lambda: [e for e in self.events[since:] if condition(e)], PATIENCE_S)
            assert found, "\n".join([str(event) for event in self.events])
            return dict(found[0])

    def done(self, *texts: str) -> None:
        """Wait until all of `texts` are acknowledged."""
        for text in texts:
            self.until(lambda event, text=text: event.get("done") == text)  # type: ignore[misc]

    def logged(self, text: str, since: int = 0) -> dict[str, object]:
        """Wait for a log line that holds `text`."""
        return self.until(lambda event: text in str(event.get("log", "")), since)

    def stats(self) -> dict[str, int]:
        """The counters of the link now."""
        since = len(self.events)
        self.tell(stats=1)
        found = self.until(lambda event: "stats" in event, since)["stats"]
        assert isinstance(found, dict)
        return found

    def close(self) -> None:
        """End the probe."""
        self._child.kill()
        self._reader.join()
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        self._child.wait()


class Packet(tuple[int, int, bytes]):
    """(first byte, connection number, body) of one packet that a client sent."""

    __slots__ = ()

    @property
    def kind(self) -> int:
        """Packet type."""
        return self[0] >> 4

    @property
    def dup(self) -> bool:
        """The DUP flag."""
        return bool(self[0] & 8)

    @property
    def packet_id(self) -> int:
        """Of a PUBLISH with QoS 1."""
        end = 2 + int.from_bytes(self[2][:2], "big")
        return int.from_bytes(self[2][end : end + 2], "big")

    @property
    def payload(self) -> str:
        """Of a PUBLISH with QoS 1."""
        return self[2][4 + int.from_bytes(self[2][:2], "big") :].decode()


class Proxy:
    """Forwards TCP to `port`, unless `refuse` is set; notes the MQTT packets of both directions when `plain`."""

    def __init__(
        self, port: int, *, host: str = "127.0.0.1", own_port: int = 0, plain: bool = True, piece: int = 0
    ) -> None:
        self.drop_pubacks = False
        self.refuse = False
        self.sent: list[Packet] = []
        self.answers: list[Packet] = []
        self._to = port
        self._plain = plain
        self._piece = piece
        self._numbers = itertools.count(1)
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server((host, own_port))
        self.port: int = self._listener.getsockname()[1]
        self._run(self._accept)

    def _run(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                if self.refuse:
                    raise OSError("refused")
                far = socket.create_connection(("127.0.0.1", self._to))
            except OSError:
                near.close()
                continue
            number = next(self._numbers)
            self._open += [near, far]
            self._run(self._pump, near, far, self.sent, number)
            self._run(self._pump, far, near, self.answers, number)

    def _pump(self, source: socket.socket, target: socket.socket, into: list[Packet], number: int) -> None:
        with contextlib.suppress(OSError):
            for data in _packets(source, into, number) if self._plain else _bytes(source, self._piece):
                if self.drop_pubacks and into is self.answers and data[0] >> 4 == 4:
                    continue
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def published(self, connection: int) -> list[Packet]:
        """The PUBLISH packets of one connection."""
        return [packet for packet in self.sent if packet[1] == connection and packet.kind == 3]

    def kinds(self, connection: int) -> list[int]:
        """The types of the packets that the client sent in one connection."""
        return [packet.kind for packet in self.sent if packet[1] == connection]

    def cut(self) -> None:
        """Cut every connection."""
        for end in self._open:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End all of it."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join()
        for end in self._open:
            end.close()


def _bytes(source: socket.socket, piece: int) -> Iterator[bytes]:
    while data := source.recv(piece or 65536):
        yield data


def _packets(source: socket.socket, into: list[Packet], number: int) -> Iterator[bytes]:
    """Whole MQTT packets as bytes, each noted in `into`."""
    file = source.makefile("rb")
    while first := file.read(1):
        head = first
        size = shift = 0
        while True:
            octet = file.read(1)
            head += octet
            size |= (octet[0] & 127) << shift
            shift += 7
            if octet[0] < 128:
                break
        body = file.read(size)
        into.append(Packet((first[0], number, body)))
        yield head + body
    file.close()


class NameServer:
    """Answers A questions from `addresses`; every other name does not exist. `asked` counts the questions."""

    def __init__(self, addresses: dict[str, str]) -> None:
        self.addresses = addresses
        self.asked = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._socket.getsockname()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            data, peer = self._socket.recvfrom(512)
            if not data:
                return
            self.asked += 1
            labels, at = [], 12
            while size := data[at]:
                labels.append(data[at + 1 : at + 1 + size].decode())
                at += 1 + size
            address = self.addresses.get(".".join(labels))
            head = data[:2] + (b"\x81\x80" if address else b"\x81\x83") + b"\x00\x01\x00" + bytes([bool(address)])
            answer = head + bytes(4) + data[12 : at + 5]
            if address:
                answer += b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x00\x00\x04" + socket.inet_aton(address)
            self._socket.sendto(answer, peer)

    def close(self) -> None:
        """Stop answering."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", self.address)
        self._thread.join()
        self._socket.close()
