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
RETRY_S = 0.2
CONNECT_S = 5.0
_LINE_MAX = 4096
_SCHEME = "lumenair:"
_NO_ANSWER = "_INBOX.guard"  # nobody listens there, but the server does nothing for a request without an address


def intruder(event: Any) -> tuple[int, str, str] | None:
    """(connection, node, client id that it showed) of a node under a foreign client id; None for everybody else."""
    client = event["client"]
    user, shown = str(client.get("user", "")), str(client.get("client_id", ""))
    name = user.removeprefix(_SCHEME).partition("/")[0]
    if not user.startswith(_SCHEME) or not is_node_id(name) or shown == name:
        return None
    return int(client["id"]), name, shown


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
            server = json.loads(lines.readline(_LINE_MAX).removeprefix(b"INFO "))["server_id"]
            own = {"user": USER, "pass": self._password, "verbose": False, "pedantic": False, "lang": "python"}
            _send(link, f"CONNECT {json.dumps(own)}", f"SUB {CONNECT_SUBJECT} 1", "PING")
            link.settimeout(None)
            while line := lines.readline(_LINE_MAX).split():
                if line[0] == b"MSG":
                    self._judge(link, server, json.loads(lines.read(int(line[-1]) + 2)))
                elif line[0] == b"PING":
                    _send(link, "PONG")
                elif line[0] == b"PONG":
                    self._watching.set()

    def _judge(self, link: socket.socket, server: str, event: Any) -> None:
        found = intruder(event)
        if found is not None:
            connection, node, shown = found
            order = json.dumps({"cid": connection})
            _send(link, f"PUB $SYS.REQ.SERVER.{server}.KICK {_NO_ANSWER} {len(order)}", order)
            self._on_intruder(f"{node} took the client id {shown} and was cut off: `fleet node retire {node}` ends it")


def _send(link: socket.socket, *lines: str) -> None:
    link.sendall(b"".join(line.encode() + b"\r\n" for line in lines))
