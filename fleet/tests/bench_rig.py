"""A fleet and virtual boards on one bench, for the tests of provisioning."""

from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from cryptography import x509

from fleet.boards.unfinished import Unfinished
from fleet.config import Config
from fleet.flashing import image
from fleet.model import Node, Standing
from fleet.store import Store
from fleet.tests import board_rig
from fleet.tests.cli_rig import Result, make_fleet, run
from protocol.identity import Identity
from tools.virtual_board.launch import BoardProcess

MAC = "24:0A:C4:00:00:01"
WIFI = ("--wifi-ssid", "city")
PSK = "a wifi key that is secret"


@dataclass
class Bench:
    """A fleet, and boards."""

    config: Config
    tmp_path: Path
    boards: list[BoardProcess] = field(default_factory=list)

    @classmethod
    def create(cls, tmp_path: Path) -> Self:
        return cls(make_fleet(tmp_path / "fleet"), tmp_path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        for one in self.boards:
            one.__exit__(None, None, None)

    def board(self, contents: bytes | None, number: int = 1, **options: object) -> BoardProcess:
        found = board_rig.board(self.tmp_path / f"b{number}", contents, mac=f"{MAC[:-1]}{number}", **options)
        self.boards.append(found.__enter__())
        return found

    def provision(self, *words: str | Path, board: BoardProcess | None = None) -> Result:
        port = () if board is None else ("--port", board.port)
        return run("board", "provision", *words, *port, "--fleet", self.config.directory, "--json")

    def node(self, name: str = "air-1") -> Node:
        with Store.open(self.config.store_url) as store:
            return store.nodes.get(name)

    def nodes(self) -> list[str]:
        with Store.open(self.config.store_url) as store:
            return [node.id for node in store.nodes.all()]

    def revoked(self) -> list[int]:
        crl = x509.load_pem_x509_crl((self.config.ca_dir / "crl.pem").read_bytes())
        return [entry.serial_number for entry in crl]

    def unfinished(self) -> list[str]:
        return [note.node for note in Unfinished(self.config.directory).all()]


def identity_of(board: BoardProcess) -> Identity:
    """What is in the flash of a board."""
    files = image.read((board.directory / "flash.bin").read_bytes()[board_rig.VFS :])
    return Identity.decode(files["/id.cbor"])


def serial_of(identity: Identity) -> int:
    return x509.load_der_x509_certificate(identity.cert).serial_number


def agreed(bench: Bench, board: BoardProcess, name: str = "air-1") -> None:
    """Board, register, revocation list and notes say the same of a node."""
    node, identity = bench.node(name), identity_of(board)
    assert node.standing is Standing.ACCEPTED
    assert serial_of(identity) == node.cert_serial
    assert node.cert_serial not in bench.revoked()
    assert bench.unfinished() == []
