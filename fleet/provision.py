"""Nodes come and go: keys and certificates, the register, and the broker's users, in this order.

The register (the database) decides. What the broker reads is derived from it and written again by `sync` whenever
something changed and whenever the service starts, so a crash in between is made good there. A certificate is revoked
before the register forgets it: after a crash in between, doing the same again completes it.
One process at a time does any of this; others wait for it.
"""

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from fleet import files, pki, proofs, signing
from fleet.broker import control
from fleet.broker.rights import User, manager
from fleet.config import Config
from fleet.errors import NotAllowedError
from fleet.model import Kind, Node, Standing
from protocol.identity import Identity

LOCK = "provision.lock"  # in the fleet directory
MANAGERS = ("service", "operator")  # files in certs/


class Register(Protocol):
    """The part of the store that provisioning needs (fleet.store.nodes)."""

    def add(self, node: Node) -> None:
        """Keep a new node; NotAllowedError when its id was ever used."""

    def replace(self, node: Node) -> None:
        """Keep new values of a node that exists, all but its tags."""

    def get(self, node: str) -> Node:
        """The node with that id; NotFoundError."""

    def all(self) -> list[Node]:
        """Every node, retired ones too."""


@dataclass(frozen=True)
class Request:
    """A node to be. What is None or empty comes from fleet.toml."""

    node: str
    kind: Kind
    board: str
    brokers: tuple[str, ...] = ()
    ntp: tuple[str, ...] | None = None
    wifi_ssid: str = ""
    wifi_psk: str = ""
    tz: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


def users(config: Config, register: Register) -> list[User]:
    """Whom the broker admits: the managers' certificates and those of accepted nodes."""
    found = [manager(pki.load_cert(config.certs_dir / f"{name}.pem")) for name in MANAGERS]
    trusted = (node for node in register.all() if node.standing is Standing.ACCEPTED and node.cert_serial)
    return found + [User(node.id, node.cert_serial) for node in trusted]


def sync(config: Config, register: Register) -> None:
    """Write the broker's configuration as the register has it."""
    with _alone(config):
        _write(config, register)


def _write(config: Config, register: Register) -> None:
    control.write(config, users(config, register))


def _alone(config: Config) -> contextlib.AbstractContextManager[None]:
    return files.locked(config.directory / LOCK)


class Provisioner:
    """Adds, renews and retires nodes. `reload` tells the broker; by default the one that runs on this directory."""

    def __init__(
        self,
        config: Config,
        register: Register,
        reload: Callable[[], object] | None = None,
        now_s: Callable[[], int] = lambda: int(time.time()),
    ) -> None:
        self._config = config
        self._register = register
        self._reload = reload or (lambda: control.reload(config))
        self._now_s = now_s
        self._authority = pki.Authority.load(config.ca_dir, pki.passphrase(config.pki))

    @property
    def takes_updates(self) -> bool:
        """Whether what is provisioned here trusts anybody's updates: without a root it never will."""
        return bool(signing.roots(self._config).document)

    def provision(self, *requests: Request) -> list[Identity]:
        """Make new nodes and admit them; what each needs in its flash comes back, and its key is kept nowhere else."""
        with _alone(self._config):
            return self._provision(requests, self._now_s())

    def _provision(self, requests: tuple[Request, ...], now: int) -> list[Identity]:
        self._refuse_used(requests)
        trust = self._trust()
        issues = [self._authority.issue_node(request.node, self._config.pki.node_days, now) for request in requests]
        made = []
        for request, issued in zip(requests, issues, strict=True):
            node = Node(id=request.node, kind=request.kind, board=request.board, added_s=now, tags=request.tags)
            self._register.add(_certified(node, issued.cert, now))
            made.append(self._identity(request, issued, now, trust))
        self._apply()
        return made

    def renew(self, request: Request) -> Identity:
        """A new key and certificate for a node that exists, say after a repair; the old certificate ends at once.

        Also the first one of a node that claimed and was accepted."""
        with _alone(self._config):
            now = self._now_s()
            old = self._accepted(request.node)
            trust = self._trust()
            issued = self._authority.issue_node(request.node, self._config.pki.node_days, now)
            self._revoke(old, now)
            self._register.replace(_certified(replace(old, kind=request.kind, board=request.board), issued.cert, now))
            self._apply()
            return self._identity(request, issued, now, trust)

    def retire(self, *nodes: str) -> None:
        """Trust these nodes no more: their certificates are revoked, and the broker ends their connections.

        Those that wait to be accepted are refused."""
        with _alone(self._config):
            now = self._now_s()
            for old in [self._present(node) for node in nodes]:
                self._revoke(old, now)
                self._register.replace(replace(old, standing=Standing.RETIRED, retired_s=now))
            self._apply()

    def _refuse_used(self, requests: tuple[Request, ...]) -> None:
        """All or none: a node whose key nobody got would be a loss."""
        used = {node.id for node in self._register.all()}
        for request in requests:
            if request.node in used:
                raise NotAllowedError(
                    f"there is a node {request.node} already", hint="choose another id: ids are never used again"
                )
            used.add(request.node)

    def _revoke(self, node: Node, now: int) -> None:
        if node.cert_serial:
            self._authority.revoke(self._config.ca_dir, node.cert_serial, now)

    def _present(self, node: str) -> Node:
        found = self._register.get(node)
        if found.standing is Standing.RETIRED:
            raise NotAllowedError(f"{node} is retired", hint="provision a node with another id")
        return found

    def _accepted(self, node: str) -> Node:
        found = self._present(node)
        if found.standing is Standing.PENDING:
            raise NotAllowedError(f"{node} is not accepted yet", hint=f"fleet node accept {node}")
        return found

    def _apply(self) -> None:
        _write(self._config, self._register)
        self._reload()

    def _trust(self) -> tuple[bytes, bytes]:
        """(the newest root, b"" when there is none; the secret behind proof keys), before anything is registered."""
        return signing.roots(self._config).document, proofs.secret_of(self._config)

    def _identity(self, request: Request, issued: pki.Issued, now: int, trust: tuple[bytes, bytes]) -> Identity:
        nodes, boot0 = self._config.nodes, now // 60
        root, secret = trust
        return Identity(
            node=request.node,
            kind=request.kind.value,
            board=request.board,
            boot0=boot0,
            ca=self._authority.cert.public_bytes(Encoding.DER),
            cert=issued.cert_der,
            key=issued.key_der,
            brokers=list(request.brokers or self._config.node_brokers),
            ntp=list(nodes.ntp if request.ntp is None else request.ntp),
            wifi_ssid=request.wifi_ssid,
            wifi_psk=request.wifi_psk,
            tz=request.tz or nodes.tz,
            made=now,
            root=root,
            proof_key=proofs.key_of(secret, request.node, boot0),
        )


def _certified(node: Node, cert: x509.Certificate, now: int) -> Node:
    return replace(
        node,
        cert_serial=cert.serial_number,
        cert_sha256=pki.sha256_of(cert),
        cert_until_s=pki.until_s(cert),
        boot0=now // 60,
    )
