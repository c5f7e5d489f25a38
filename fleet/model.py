"""What the fleet manager talks about, as frozen values without behaviour.

Times are whole numbers of UTC and carry their unit: `_s` seconds, `_ms` milliseconds since 1970.
Measured values are the scaled integers of the wire; `protocol.registry` knows unit and scale of each channel.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

TQ_AHEAD = -1  # beside TQ_* of protocol.records: the entry's own date lies in the future, so its arrival stands for it


class Kind(StrEnum):
    """The two products."""

    AIR = "air"
    LIGHT = "light"


class Standing(StrEnum):
    """Whether the fleet trusts a node."""

    PENDING = "pending"  # it claimed, and nobody has accepted it
    ACCEPTED = "accepted"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class Node:
    """A node, provisioned or about to be. Its id is its certificate's CN and its MQTT client id (SPEC 2.2)."""

    id: str
    kind: Kind
    board: str
    standing: Standing = Standing.ACCEPTED
    cert_serial: int = 0  # of the certificate in force; 0 while it has none
    cert_sha256: str = ""  # hex, of its DER
    cert_until_s: int = 0  # its notAfter
    boot0: int = 0  # minutes since 1970 at provisioning; boot numbers start above it
    added_s: int = 0
    retired_s: int | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Claimed:
    """The claim of one board: the ticket that it has proved, and what became of it. Its node is there too."""

    mac: str  # hex, of its chip
    node: str
    batch: str
    until_s: int  # end of the ticket
    firmware: str
    first_s: int  # asked for the first time
    last_s: int
    accepted_s: int | None = None
    accepted_by: str = ""
    issued_s: int | None = None  # an identity was given out, the last time
    issues: int = 0  # how often


@dataclass(frozen=True, slots=True)
class NodeState:
    """What a node last said about itself (State), or its will said for it."""

    node: str
    online: bool
    received_ms: int
    boot: int = 0
    firmware: str = ""
    slot: str = ""
    config_desired: int = 0
    config_applied: int = 0
    config_error: int = 0
    config_path: str = ""
    safe_mode: bool = False
    manifest: bytes = b""  # SHA-256 of the manifest of the program that runs
    health: Mapping[str, Any] = field(default_factory=dict)  # fields of Heartbeat by name


@dataclass(frozen=True, slots=True)
class Reading:
    """One channel of one record. `mean` is None when the flag says *missing*."""

    node: str
    boot: int
    seq: int
    t_s: int
    tq: int
    interval_s: int
    channel: int
    mean: int | None
    flag: int
    n: int | None = None
    sd: int | None = None
    low: int | None = None
    high: int | None = None


@dataclass(frozen=True, slots=True)
class DesiredConfig:
    """The configuration a node shall have: setting ids that differ from their default, and their values."""

    node: str
    rev: int
    values: Mapping[int, Any]
    issued_s: int
    probation_s: int = 600


@dataclass(frozen=True, slots=True)
class Ordered:
    """The newest campaign for a node: what it shall do about its program."""

    node: str
    counter: int  # grows with every order to the node
    action: int  # INSTALL, STOP, BOOT of protocol.trust
    release: bytes  # INSTALL: SHA-256 of the release document
    manifest: bytes  # SHA-256 of the manifest that shall run; empty with STOP
    nonce: bytes  # that the proof has to answer
    envelope: bytes  # encoded Signed
    issued_s: int
    expires_s: int
    actor: str
    group: int = 0  # of its rollout, that an epoch can halt; 0 = none


@dataclass(frozen=True, slots=True)
class Proved:
    """A proof that holds: its node ran that, and knew our nonce."""

    at_ms: int  # its arrival
    nonce: bytes
    manifest: bytes
    slot: str
    boot: int
    base: bytes


@dataclass(frozen=True, slots=True)
class NodeUpdate:
    """How far a node says that its update got (Status), and the newest thing that it proved."""

    node: str
    received_ms: int
    boot: int
    t_s: int  # 0 while the node did not know the time
    counter: int  # of the campaign that it speaks of, which it may just have refused; 0 = it was given none
    stage: int  # IDLE .. STOPPED of protocol.update
    done: int  # bytes
    total: int
    code: int  # U_* of protocol.refusals
    text: str
    release: bytes
    manifest: bytes
    root: int  # version of its root; 0 = none
    floor: int  # sequence below which it refuses releases
    spare: bytes  # manifest in its other slot; empty = nothing that could be started
    seen: int  # the greatest counter that it did not refuse
    proved: Proved | None = None
