"""The configuration of the embedded NATS broker (nats-server >= 2.15.1): MQTT over mutual TLS, and nothing else.

MQTT topics are NATS subjects with `.` for `/`; `x/#` also means `x`, so both are allowed where a filter ends so.
The rights of `rights.py` are the least set that works, found by trial: QoS 1, retained messages and wills need no right
on the server's own `$MQTT.` subjects, since it subscribes to them on the client's behalf and refuses clients that ask.
"""

import json
import re
from collections.abc import Iterable
from pathlib import Path

from fleet.broker import guard
from fleet.broker.process import Dialect
from fleet.broker.rights import User
from fleet.config import Config

CONFIG_NAME = "nats.conf"
DATA_NAME = "data"
PID_NAME = "nats.pid"
CLIENT_PORT = "client port"  # a fact of the running server
LEAST_VERSION = (2, 15, 1)  # before it: pre-authentication memory, panics, denied retained messages replayed
MAX_ACK_PENDING = 16384  # messages on their way to one subscription; 2**16 packet ids, some kept for others

_ALARMS = {
    "refused": re.compile(r"(Publish|Subscription) Violation"),  # PUBACKed all the same: this line is all there is
    "stranger": re.compile(r"authentication error|TLS handshake error"),
    "takeover": re.compile(r"both have the same client ID"),
    "full": re.compile(r"resource limits exceeded"),  # nothing is acknowledged and no session begins: max_disk_mb
}


def config_text(config: Config, users: Iterable[User], guard_secret: str) -> str:
    """The whole file. Apart from MQTT it admits one user, the guard, from this machine and with a password."""
    heading = "# Written by `fleet`; changes are lost. What can be chosen stands in fleet.toml.\n"
    return "\n".join((heading + _server(config), _mqtt(config), _accounts(users, guard_secret)))


def _server(config: Config) -> str:
    broker, path = config.broker, config.broker_dir.absolute()
    mega = 1 << 20
    return f"""\
server_name: lumenair
listen: "127.0.0.1:-1"  # NATS itself: a free port of this machine, for the guard alone
pid_file: {_quote(path / PID_NAME)}
max_payload: {broker.max_payload_kb * 1024}
max_connections: {broker.max_connections}
max_control_line: 4096
write_deadline: "10s"
system_account: SYS

jetstream {{
  store_dir: {_quote(path / DATA_NAME)}
  max_file_store: {broker.max_disk_mb * mega}
  max_memory_store: {broker.max_ram_mb * mega}
  sync_interval: {_quote(broker.sync)}
  limits {{
    default_max_consumers: -1  # a node has one; since 2.15 a server takes 1000 unless it is told otherwise
  }}
}}
"""


def _mqtt(config: Config) -> str:
    broker, certs = config.broker, config.certs_dir.absolute()
    return f"""\
mqtt {{
  listen: {_quote(f"{_host(broker.listen)}:{broker.port}")}
  tls {{
    cert_file: {_quote(certs / "server.pem")}
    key_file: {_quote(certs / "server.key")}
    ca_file: {_quote(config.ca_dir.absolute() / "ca.pem")}
    verify_and_map: true
    min_version: "1.2"
    timeout: 20  # seconds: an ESP32 needs some for its first handshake
  }}
  js_api_timeout: "20s"  # nodes wait 30 s; the default of 5 s cuts them off when thousands start at a time
  ack_wait: "{broker.ack_wait_s}s"
  max_ack_pending: {MAX_ACK_PENDING}
  consumer_inactive_threshold: "{broker.session_days * 24}h"
  reject_qos2_publish: true
  downgrade_qos2_subscribe: true
}}
"""


def _accounts(users: Iterable[User], guard_secret: str) -> str:
    return f"""\
accounts {{
  SYS {{
    users: [{{user: {_quote(guard.USER)}, password: {_quote(guard_secret)}, permissions: {{
      publish: {json.dumps(guard.REQUESTS)}, subscribe: {json.dumps([guard.CONNECT_SUBJECT, guard.ANSWER_SUBJECT])}
    }}, allowed_connection_types: ["STANDARD"]}}]
  }}
  FLEET {{
    jetstream: enabled
    users: [
{chr(10).join(_user(user) for user in users)}
    ]
  }}
}}
"""


def dialect(binary: Path, config: Config) -> Dialect:
    """How `binary` is run on the configuration of this fleet."""
    return Dialect(
        command=(str(binary), "-c", str((config.broker_dir / CONFIG_NAME).absolute())),
        ready=re.compile(r"Server is ready"),
        reloaded=re.compile(r"Reloaded server configuration"),
        failed=re.compile(r"\[FTL\] .*|Failed to reload server configuration.*|^nats-server: .*"),
        alarms=_ALARMS,
        facts={CLIENT_PORT: re.compile(r"Listening for client connections on \S+:(\d+)")},
    )


def _user(user: User) -> str:
    publish, subscribe = ", ".join(_subjects(user.publish)), ", ".join(_subjects(user.subscribe))
    rights = f"publish: [{publish}], subscribe: [{subscribe}]"
    return f'      {{user: {_quote(user.identity)}, permissions: {{{rights}}}, allowed_connection_types: ["MQTT"]}}'


def _subjects(filters: Iterable[str]) -> list[str]:
    """MQTT filters as NATS subjects, quoted."""
    found = []
    for item in filters:
        subject = item.replace("/", ".").replace("+", "*")
        if subject.endswith(".#"):
            found += [_quote(subject[:-2]), _quote(subject[:-1] + ">")]
        else:
            found.append(_quote(subject))
    return found


def _host(address: str) -> str:
    """An address as it stands before a port."""
    return f"[{address}]" if ":" in address else address


def _quote(value: object) -> str:
    """A NATS string; its escapes are those of JSON, and `$` is taken literally inside quotes."""
    return json.dumps(str(value), ensure_ascii=False)
