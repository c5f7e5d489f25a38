"""fleet.toml: one frozen value per section, read once at the edge and passed in.

Each key stands here once, with its default, bounds and text; `load` checks the file against this table and
`default_text` writes the commented file that `fleet init` puts into a new fleet directory.
"""

import difflib
import json
import re
import textwrap
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints
from urllib.parse import urlsplit

from fleet.errors import ConfigError, NotAllowedError, NotFoundError

T = TypeVar("T")
FILE = "fleet.toml"
CLAIM_PATH = "/api/v1/claim"
MAX_FILE = 1 << 20  # bytes; the commented default has about 4 000
EMBEDDED = "embedded"
EXTERNAL = "external"
_DAYS = 36500  # a hundred years


def _key(default: T, text: str, low: int = 0, high: int = 0, form: str = "") -> T:
    """One key of the file: bounds apply to an int, `form` (a regular expression) to a str and to each of several."""
    result: T = field(default=default, metadata={"text": text, "low": low, "high": high, "form": form})
    return result


@dataclass(frozen=True)
class BrokerConfig:
    """Where MQTT happens."""

    kind: str = _key(
        EMBEDDED,
        'Who runs the broker: "embedded" = `fleet serve` starts NATS as its child; "external" = it is there already.',
        form=f"{EMBEDDED}|{EXTERNAL}",
    )
    host: str = _key("localhost", "Where the service and this machine's tools reach the broker.", form=r"\S+")
    port: int = _key(8883, "The port of MQTT over TLS.", 1, 65535)
    listen: str = _key("0.0.0.0", "Embedded: the address that the broker binds.", form=r"\S+")  # noqa: S104 - mutual TLS
    names: tuple[str, ...] = _key(
        (),
        "Embedded: further host names and IP addresses of the broker; they go into its certificate.",
        form=r"[A-Za-z0-9.:*-]+",
    )
    sync: str = _key(
        "always",
        'Embedded: when queued messages reach the disk. "always" = before the acknowledgement, survives a power cut; '
        'a time such as "30s" is faster and may lose that much.',
        form=r"always|[1-9][0-9]*(ms|s|m)",
    )
    max_disk_mb: int = _key(
        2048,
        "Embedded: disk for queued messages, sessions and retained state. When it is full nothing is acknowledged, "
        "so nothing is lost, but nobody can connect either: raise it and restart.",
        64,
        1 << 20,
    )
    max_ram_mb: int = _key(64, "Embedded: memory for the same.", 16, 1 << 16)
    max_payload_kb: int = _key(64, "Embedded: largest message; the contract's own bound is 8 KiB.", 8, 1024)
    max_connections: int = _key(20000, "Embedded: connections at a time.", 16, 1 << 20)
    ack_wait_s: int = _key(
        30,
        "Embedded: a message that was not acknowledged for so long is sent again, so what a killed service had in hand "
        "waits for it that long.",
        5,
        3600,
    )
    session_days: int = _key(
        30, "Embedded: what is queued for a node or service that was away for so long is given up.", 1, _DAYS
    )


@dataclass(frozen=True)
class PkiConfig:
    """The certificates."""

    ca_days: int = _key(7300, "How long the fleet's certificate authority is valid.", 1, _DAYS)
    node_days: int = _key(3650, "How long a node's certificate is valid.", 1, _DAYS)
    service_days: int = _key(3650, "The same for the broker's, the service's and operators' certificates.", 1, _DAYS)
    passphrase_file: str = _key("", "A file whose first line encrypts the CA's private key; empty = not encrypted.")
    passphrase_env: str = _key(
        "", "Or the name of an environment variable that holds it.", form=r"([A-Za-z_][A-Za-z0-9_]*)?"
    )


@dataclass(frozen=True)
class NodesConfig:
    """What provisioning writes into new nodes."""

    brokers: tuple[str, ...] = _key(
        (),
        'Brokers as nodes reach them, "host:port", tried in order. Empty = the host and port above.',
        form=r"\S+:[0-9]+",
    )
    ntp: tuple[str, ...] = _key(("pool.ntp.org",), "Time servers, host or host:port.", form=r"\S+")
    tz: str = _key("CET-1CEST,M3.5.0,M10.5.0/3", "The POSIX time zone of their programmes.")


@dataclass(frozen=True)
class ClaimConfig:
    """Where boards without an identity ask for one, with a ticket and its proof (docs/howto/claim-in-the-field.md)."""

    listen: str = _key(
        "",
        'The address that `fleet serve` binds for it, such as "0.0.0.0"; empty = boards cannot claim.',
        form=r"\S*",
    )
    port: int = _key(8443, "The port of HTTPS.", 1, 65535)
    urls: tuple[str, ...] = _key(
        (),
        "What goes into new tickets, tried in order. Empty = the broker's host and the port above.",
        form=r"https://[A-Za-z0-9.-]+(:[0-9]+)?(/\S*)?",
    )
    days: int = _key(365, "How long a new ticket is valid.", 1, _DAYS)
    pending: int = _key(1000, "Boards of one batch that may wait to be accepted.", 1, 1 << 20)
    retry_s: int = _key(60, "How often a board that waits asks again.", 1, 300)


@dataclass(frozen=True)
class StoreConfig:
    """Where records are kept, and for how long."""

    url: str = _key("", "The database; empty = the file fleet.db in this directory.")
    raw_days: int = _key(30, "Records as they were received.", 1, _DAYS)
    rollup_days: int = _key(3650, "Hourly means.", 1, _DAYS)
    event_days: int = _key(3650, "Events.", 1, _DAYS)
    log_days: int = _key(30, "Log lines, finished commands and refused messages.", 1, _DAYS)


@dataclass(frozen=True)
class IngestConfig:
    """From broker to database."""

    queue: int = _key(20000, "Messages received and not yet stored; the broker keeps what is beyond.", 100, 1 << 20)
    batch: int = _key(1000, "Messages of one transaction, at most.", 1, 100000)
    batch_ms: int = _key(50, "How long a transaction waits to fill up.", 0, 10000)


@dataclass(frozen=True)
class RolloutsConfig:
    """What a rollout needs before it starts (docs/howto/rollout.md)."""

    approvals: int = _key(
        0, "People who have to approve a plan before it starts, other than the one who made it.", 0, 16
    )


@dataclass(frozen=True)
class Config:
    """The whole file, and where everything of a fleet lies."""

    directory: Path
    broker: BrokerConfig = BrokerConfig()
    pki: PkiConfig = PkiConfig()
    nodes: NodesConfig = NodesConfig()
    claim: ClaimConfig = ClaimConfig()
    store: StoreConfig = StoreConfig()
    ingest: IngestConfig = IngestConfig()
    rollouts: RolloutsConfig = RolloutsConfig()

    @property
    def file(self) -> Path:
        """The configuration itself."""
        return self.directory / FILE

    @property
    def ca_dir(self) -> Path:
        """ca.key, ca.pem, crl.pem."""
        return self.directory / "ca"

    @property
    def certs_dir(self) -> Path:
        """NAME.pem and NAME.key of server, service and operator."""
        return self.directory / "certs"

    @property
    def broker_dir(self) -> Path:
        """Generated broker configuration, its pid file and its data."""
        return self.directory / "broker"

    @property
    def service_id_file(self) -> Path:
        """Holds the MQTT client id of the service, a secret (docs/explain/broker-security.md)."""
        return self.certs_dir / "service.id"

    @property
    def service_id(self) -> str:
        """The MQTT client id of the service: its persistent session on the broker."""
        try:
            return self.service_id_file.read_text().strip()
        except OSError as error:
            raise NotFoundError(
                f"cannot read {self.service_id_file}", hint="`fleet init` makes what is missing", cause=str(error)
            ) from error

    @property
    def claim_key_file(self) -> Path:
        """The secret behind every ticket, 32 bytes in hexadecimal."""
        return self.certs_dir / "claim.key"

    @property
    def keys_dir(self) -> Path:
        """root-N.cbor of every version, NAME.pub of keys whose names we know, and the online key."""
        return self.directory / "keys"

    @property
    def campaign_key_file(self) -> Path:
        """The online key, with which the service signs campaigns. No other private key of a root is kept here."""
        return self.keys_dir / "campaign.key"

    @property
    def proof_key_file(self) -> Path:
        """The secret behind every node's proof key, 32 bytes in hexadecimal."""
        return self.certs_dir / "proof.key"

    @property
    def claim_urls(self) -> tuple[str, ...]:
        """Where new tickets send boards."""
        return self.claim.urls or (f"https://{self.broker.host}:{self.claim.port}{CLAIM_PATH}",)

    @property
    def server_names(self) -> tuple[str, ...]:
        """The host names and addresses that the server's certificate must hold."""
        hosts = [urlsplit(url).hostname or "" for url in self.claim_urls]
        return tuple(dict.fromkeys((self.broker.host, *self.broker.names, *hosts)))

    @property
    def log_dir(self) -> Path:
        """Log files."""
        return self.directory / "log"

    @property
    def releases_dir(self) -> Path:
        """The archive of releases, and payloads made from it."""
        return self.directory / "releases"

    @property
    def store_url(self) -> str:
        """What `Store.open` takes: a URL, or the path of the SQLite file."""
        return self.store.url or str(self.directory / "fleet.db")

    @property
    def node_brokers(self) -> tuple[str, ...]:
        """The broker list for new nodes."""
        return self.nodes.brokers or (f"{self.broker.host}:{self.broker.port}",)


_SECTIONS: tuple[tuple[str, type[Any]], ...] = (
    ("broker", BrokerConfig),
    ("pki", PkiConfig),
    ("nodes", NodesConfig),
    ("claim", ClaimConfig),
    ("store", StoreConfig),
    ("ingest", IngestConfig),
    ("rollouts", RolloutsConfig),
)


def load(directory: Path) -> Config:
    """The configuration of the fleet in `directory`; NotFoundError when there is none, ConfigError when it is wrong.

    NotAllowedError when it belongs to somebody else.
    """
    path = directory / FILE
    try:
        with path.open("rb") as file:
            text = file.read(MAX_FILE).decode()
        tree = tomllib.loads(text)
    except (FileNotFoundError, NotADirectoryError):
        raise NotFoundError(
            f"no fleet in {directory}", hint=f"create one with `fleet init {directory}`, or name another with --fleet"
        ) from None
    except PermissionError as error:
        hint = "a fleet belongs to one user: do this as its owner"
        raise NotAllowedError(f"cannot read {path}", hint=hint, cause=error.strerror or "") from error
    except OSError as error:
        raise ConfigError(f"cannot read {path}", cause=error.strerror or str(error)) from error
    except (ValueError, RecursionError) as error:  # no UTF-8, or beyond what its reader takes, too
        raise ConfigError(
            f"{path} is not TOML", hint="correct that line, or take the file from a backup", cause=str(error)
        ) from error
    return parse(tree, directory)


def parse(tree: Mapping[str, Any], directory: Path) -> Config:
    """The configuration in a parsed file; ConfigError names file and key of the first fault."""
    where = directory / FILE
    sections = dict(_SECTIONS)
    _refuse_unknown(where, "", tree, sections)
    made = {name: _section(where, name, kind, tree.get(name, {})) for name, kind in _SECTIONS}
    return Config(directory=directory, **made)


def _section(where: Path, name: str, kind: type[Any], tree: Any) -> Any:
    if not isinstance(tree, dict):
        raise ConfigError(f"{where}: {name} must be a section", hint=f"write [{name}] on a line of its own")
    rows = {row.name: row for row in fields(kind)}
    _refuse_unknown(where, f"{name}.", tree, rows)
    hints = get_type_hints(kind)
    values = {}
    for key, value in tree.items():
        fault = _fault(hints[key], value, rows[key].metadata)
        if fault:
            raise ConfigError(f"{where}: {name}.{key} must be {fault}", cause=f"it is {json.dumps(value, default=str)}")
        values[key] = tuple(value) if isinstance(value, list) else value
    return kind(**values)


def _refuse_unknown(where: Path, prefix: str, tree: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    for key in tree:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f"did you mean {prefix}{near[0]}?" if near else f"known here: {', '.join(known)}"
            raise ConfigError(f"{where}: {prefix}{key} is not a setting", hint=hint)


def _fault(kind: Any, value: Any, limits: Mapping[str, Any]) -> str:
    """What `value` should have been, or nothing."""
    form = limits["form"]
    if kind is int:
        right = type(value) is int and limits["low"] <= value <= limits["high"]
        return "" if right else f"a whole number from {limits['low']} to {limits['high']}"
    if kind is str:
        right = isinstance(value, str) and (not form or re.fullmatch(form, value) is not None)
        return "" if right else f"text of the form {form}" if form else "text"
    assert get_args(kind) == (str, ...)
    right = isinstance(value, list) and all(isinstance(item, str) and re.fullmatch(form, item) for item in value)
    return "" if right else f"a list of texts of the form {form}"


def default_text(values: Mapping[str, Mapping[str, Any]] | None = None) -> str:
    """The commented file; `values` {section: {key: value}} stand in it as set, everything else as its default."""
    given = values or {}
    lines = [
        "# The configuration of this fleet, read by `fleet serve` when it starts and checked by `fleet doctor`.",
        "# A line such as `#port = 8883` shows a default; remove its # to change it.",
    ]
    for name, kind in _SECTIONS:
        lines += ["", f"[{name}]"]
        for row in fields(kind):
            own = given.get(name, {})
            lines += textwrap.wrap(row.metadata["text"], 110, initial_indent="# ", subsequent_indent="# ")
            lines.append(f"{'' if row.name in own else '#'}{row.name} = {_toml(own.get(row.name, row.default))}")
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    """A value as TOML writes it; the strings of this file are also JSON strings."""
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)
