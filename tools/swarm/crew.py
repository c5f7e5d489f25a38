"""The nodes of one worker, as the host writes them into a file: a private one, for it holds their keys."""

import os
import ssl
import tempfile
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cbor2

from fleet import files
from protocol.identity import Identity
from tools.swarm.flaws import Flaws
from tools.swarm.node import Pace


@dataclass(frozen=True)
class Member:
    """One node: its flash holds the files `programs[program]` of the crew."""

    identity: Identity
    flaws: Flaws
    program: int = 0


@dataclass(frozen=True)
class Crew:
    """What one worker runs. `handshakes` may happen at a time."""

    address: tuple[str, int]
    members: tuple[Member, ...]
    programs: tuple[dict[str, bytes], ...]  # {path: content}
    pace: Pace
    handshakes: int = 8

    def save(self, path: Path) -> None:
        """Write it; FleetError when the file exists."""
        members = [[one.identity.encode(), asdict(one.flaws), one.program] for one in self.members]
        whole = [list(self.address), members, list(self.programs), asdict(self.pace), self.handshakes]
        files.write_new(path, cbor2.dumps(whole))

    @classmethod
    def load(cls, path: Path) -> "Crew":
        """Read what `save` wrote."""
        address, members, programs, pace, handshakes = cbor2.loads(path.read_bytes())
        found = tuple(Member(Identity.decode(data), Flaws(**flaws), at) for data, flaws, at in members)
        return cls((address[0], address[1]), found, tuple(programs), Pace(**pace), handshakes)


def shares(members: Sequence[Member], count: int) -> list[tuple[Member, ...]]:
    """The members for each of `count` workers, dealt in turn."""
    return [tuple(members[at::count]) for at in range(count)]


def context(identity: Identity) -> ssl.SSLContext:
    """The TLS of a node: it trusts its fleet's authority alone, and shows its own certificate."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.load_verify_locations(cadata=identity.ca)
    key = ssl.DER_cert_to_PEM_cert(identity.key).replace("CERTIFICATE", "EC PRIVATE KEY")
    handle, name = tempfile.mkstemp()  # 0600; `ssl` takes files only
    try:
        with open(handle, "w") as file:
            file.write(key + ssl.DER_cert_to_PEM_cert(identity.cert))
        made.load_cert_chain(name)
    finally:
        os.unlink(name)
    return made


def facts_of(rows: Sequence[Sequence[Any]]) -> dict[str, "Facts"]:
    """{node: what it really is} from what a worker answers."""
    return {row[0]: Facts(*row) for row in rows}


@dataclass(frozen=True, slots=True)
class Facts:
    """What a node really is, whatever it says."""

    node: str
    flaws: str  # Flaws.name
    manifest: str  # of the program that runs, hex
    is_kept: bool  # the next restart runs it again
    is_brick: bool  # what the next boot chooses is no whole program
    is_up: bool
    is_silent: bool
    boots: int
    cuts: int
    connects: int
    steps: int
    orders: tuple[int, ...]  # ms since 1970
    epochs: tuple[tuple[int, int], ...]  # (ms since 1970, number)
    said: tuple[tuple[int, int, int, int], ...]  # (ms since 1970, counter, stage, code)
    sessions: tuple[int, ...]  # ms since 1970: up, down, up ...
    envelopes: tuple[tuple[int, str], ...] = ()  # (counter, SHA-256 in hex) of each of `orders`

    def session(self, at_ms: int) -> int:
        """A number of the session that it had then, 0 when it had none or is silent by now."""
        found = bisect_right(self.sessions, at_ms)
        return found if found % 2 and not self.is_silent else 0
