"""Ends NATS sessions in which a node shows another node's client id.

NATS keeps MQTT sessions by client id and does not ask whose they are: a node could take over the session of another,
which ends the other's connection and drops what is queued for it. The server tells its system account about every
connection; this guard listens, compares, and has the connection ended within milliseconds. What was queued is in the
database and is sent again by `deliver`. The service is out of reach: its client id is a secret (Config.service_id).
"""

import contextlib
import json
import socket
import threading
from collections.abc import Callable
from typing import Any

from protocol.topics import is_node_id

USER = "guard"
CONNECT_SUBJECT = "$SYS.ACCOUNT.FLEET.CONNECT"
ANSWER_SUBJECT = "_INBOX.guard"  # the server does nothing for a request without an address
REQUESTS = ("$SYS.REQ.SERVER.*.CONNZ", "$SYS.REQ.SERVER.*.KICK")
RETRY_S = 0.2
CONNECT_S = 5.0
_LINE_MAX = 4096
_SCHEME = "lumenair:"
_ALL = 1 << 20  # more connections than a server has


def foreign(user: str, shown: str) -> bool:
    """Whether the user is a node's certificate and the client id that it showed is not that node's."""
    name = user.removeprefix(_SCHEME).partition("/")[0]
    return user.startswith(_SCHEME) and is_node_id(name) and shown != name


class Guard:
    """A thread of its own. `port` says where the server listens on the loopback, or None while there is none."""

    def __init__(self, port: Callable[[], int | None], password: str, on_intruder: Callable[[str], None]) -> None:
        self._port = port
        self._password = password
        self._on_intruder = on_intruder
        self._stopping = threading.Event()
        self._watching = threading.Event()
        self._socket: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, name="guard", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def wait_watching(self, timeout_s: float = CONNECT_S) -> bool:
        """Whether it watches, at the latest after `timeout_s`."""
        return self._watching.wait(timeout_s)

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        with contextlib.suppress(OSError, AttributeError):
            self._socket.shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(RETRY_S):
            port = self._port()
            if port is None:
                continue
            with contextlib.suppress(OSError, ValueError, KeyError):  # the server went away: again, when it is back
                self._watch(port)
            self._watching.clear()

    def _watch(self, port: int) -> None:
        """Listen until the connection ends."""
        with socket.create_connection(("127.0.0.1", port), CONNECT_S) as link, link.makefile("rb") as lines:
            self._socket = link
            if self._stopping.is_set():  # `stop` may have looked for the socket before it was there
                return
            server = json.loads(lines.readline(_LINE_MAX).removeprefix(b"INFO "))["server_id"]
            own = {"user": USER, "pass": self._password, "verbose": False, "pedantic": False, "lang": "python"}
            order = json.dumps({"auth": True, "limit": _ALL})  # whoever came before us
            _send(link, f"CONNECT {json.dumps(own)}", f"SUB {CONNECT_SUBJECT} 1", f"SUB {ANSWER_SUBJECT} 2")
            _send(link, f"PUB $SYS.REQ.SERVER.{server}.CONNZ {ANSWER_SUBJECT} {len(order)}", order)
            link.settimeout(None)
            while line := lines.readline(_LINE_MAX).split():
                if line[0] == b"PING":
                    _send(link, "PONG")
                elif line[0] == b"MSG":
                    self._hear(link, server, json.loads(lines.read(int(line[-1]) + 2)))

    def _hear(self, link: socket.socket, server: str, said: Any) -> None:
        """An event about one new connection, the list of those that were there before, or the answer to an order."""
        if "client" in said:
            new = said["client"]
            self._judge(link, server, new["id"], new.get("user", ""), new.get("client_id", ""))
        elif "connections" in said.get("data", ()):
            for old in said["data"]["connections"]:
                self._judge(link, server, old["cid"], old.get("authorized_user", ""), old.get("mqtt_client", ""))
            self._watching.set()

    def _judge(self, link: socket.socket, server: str, connection: int, user: str, shown: str) -> None:
        if foreign(user, shown):
            node = user.removeprefix(_SCHEME).partition("/")[0]
            order = json.dumps({"cid": connection})
            _send(link, f"PUB $SYS.REQ.SERVER.{server}.KICK {ANSWER_SUBJECT} {len(order)}", order)
            self._on_intruder(f"{node} took the client id {shown} and was cut off: `fleet node retire {node}` ends it")


def _send(link: socket.socket, *lines: str) -> None:
    link.sendall(b"".join(line.encode() + b"\r\n" for line in lines))
