"""The same rights and identities for Mosquitto (>= 2.0), for people who run it instead: mosquitto.conf and an ACL file.

The ACL needs no line per node: `%u` stands for the user name, which is the CN of the certificate. So a retired node
is refused by the revocation list alone; send Mosquitto SIGHUP after `ca/crl.pem` changed.
The client id is the CN too, whatever a client says: no node can take over the session of another.
A subscription to what is not allowed is granted by this broker and delivers nothing.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from fleet.broker.process import Dialect
from fleet.broker.rights import Role, User
from fleet.config import Config
from protocol.topics import PREFIX

CONFIG_NAME = "mosquitto.conf"
ACL_NAME = "mosquitto.acl"
DATA_NAME = "mosquitto"
MAX_INFLIGHT = 1000  # messages on their way to one subscriber
_ALARMS = {  # refusals are told in its debug log only
    "stranger": re.compile(r"certificate verify failed|peer did not return a certificate|not authorised"),
    "takeover": re.compile(r"already connected, closing old connection"),
}


def config_text(config: Config) -> str:
    """The whole file."""
    broker = config.broker
    certs, path, authority = config.certs_dir.absolute(), config.broker_dir.absolute(), config.ca_dir.absolute()
    return f"""\
# Written by `fleet`; changes are lost. What can be chosen stands in fleet.toml.
listener {broker.port} {broker.listen}
cafile {authority / "ca.pem"}
crlfile {authority / "crl.pem"}
certfile {certs / "server.pem"}
keyfile {certs / "server.key"}
tls_version tlsv1.2
require_certificate true
use_identity_as_username true
use_username_as_clientid true
allow_anonymous false
acl_file {path / ACL_NAME}

# Kept over an orderly end. Over a crash or a power cut only what was saved at the last interval: NATS keeps all.
persistence true
persistence_location {path / DATA_NAME}/
autosave_interval 30
persistent_client_expiration {broker.session_days}d

max_connections {broker.max_connections}
max_packet_size {broker.max_payload_kb * 1024}
max_inflight_messages {MAX_INFLIGHT}
max_queued_messages 0
max_queued_bytes {broker.max_disk_mb << 20}
memory_limit {(broker.max_disk_mb + broker.max_ram_mb) << 20}
max_keepalive 1200
set_tcp_nodelay true
connection_messages true
log_dest stderr
log_type error
log_type warning
log_type notice
log_type information
log_timestamp_format %Y-%m-%dT%H:%M:%S
"""


def acl_text(users: Iterable[User]) -> str:
    """The ACL: two lines for all nodes, and the rights of each manager."""
    lines = ["# Written by `fleet`; changes are lost."]
    for user in users:
        if user.role is Role.MANAGER:
            lines += [f"user {user.name}", *(f"topic read {item}" for item in user.subscribe)]
            lines += [*(f"topic write {item}" for item in user.publish), f"topic deny {PREFIX}/{user.name}/#", ""]
    every = User("%u", 0)
    lines += [f"pattern write {item}" for item in every.publish]
    lines += [f"pattern read {item}" for item in every.subscribe]
    return "\n".join(lines) + "\n"


def dialect(binary: Path, config: Config) -> Dialect:
    """How `binary` is run on the configuration of this fleet."""
    return Dialect(
        command=(str(binary), "-c", str((config.broker_dir / CONFIG_NAME).absolute())),
        ready=re.compile(r"mosquitto version \S+ running"),
        reloaded=re.compile(r"Reloading config"),
        failed=re.compile(r"Error: .*|\[FTL\] .*"),
        alarms=_ALARMS,
    )
