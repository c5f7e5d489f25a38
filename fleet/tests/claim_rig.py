"""What the tests of claims share: a fleet, boards with tickets, and a desk on a clock that stands still."""

import logging
from dataclasses import dataclass, field
from pathlib import Path

from fleet import claims
from fleet.claims import Desk, TicketRequest
from fleet.config import Config
from fleet.model import Kind
from fleet.store import Store
from fleet.tests.cli_rig import make_fleet
from protocol import claim
from protocol.claim import Answer, Claim, Request, Ticket

NOW = 1_800_000_000
MAC = bytes.fromhex("240ac4000001")


@dataclass
class Board:
    """A board with a ticket: makes requests as a node does."""

    ticket: Ticket
    mac: bytes = MAC
    nonce: bytes = b""
    says: dict[str, object] = field(default_factory=dict)  # in the place of what its ticket says

    def request(self, secret: bytes | None = None) -> bytes:
        values = {
            "mac": self.mac,
            "batch": self.ticket.batch,
            "until": self.ticket.until,
            "nonce": self.nonce,
            "kind": self.ticket.kind,
            "board": self.ticket.board,
            "node": self.ticket.node,
            "firmware": "0.1.0",
            **self.says,
        }
        asked = Claim(**values).encode()
        return Request(claim=asked, proof=claim.prove(secret or self.ticket.secret, asked)).encode()


class Log(logging.Handler):
    """Keeps the lines of a logger."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.logger = logging.Logger("claims", logging.INFO)
        self.logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


class Office:
    """A fleet with a desk. Time is `now_s`; nothing listens."""

    def __init__(self, directory: Path, **settings: object) -> None:
        self.config = fleet_that_takes_claims(directory, **settings)
        self.store = Store.open(self.config.store_url)
        self.now_s = NOW
        self.log = Log()
        self.restart()

    def restart(self) -> None:
        """The service starts anew."""
        self.desk = Desk(self.config, self.store, self.log.logger, lambda: self.now_s, lambda: float(self.now_s))

    def board(self, mac: bytes = MAC, batch: str = "b7", kind: Kind = Kind.AIR, **more: object) -> Board:
        board = f"esp32_{kind}"
        wanted = TicketRequest(mac, batch, kind, board, **more)  # type: ignore[arg-type]
        return Board(claims.ticket(self.config, wanted, self.now_s), mac)

    def ask(self, board: Board) -> Answer:
        """One question with its challenge, as a board asks it."""
        for _ in range(2):
            answer = self.desk.answer(board.request())
            board.nonce = answer.nonce
            if answer.status != claim.CHALLENGE:
                break
        return answer

    def accept(self, name: str, node: str = "") -> None:
        one = self.store.claims.find(name)
        claims.accept(self.store, one, node or one.node, "ops@test", self.now_s)


def fleet_that_takes_claims(directory: Path, **settings: object) -> Config:
    """A fleet directory that listens on the loopback for claims, on a free port."""
    from fleet.tests.rig import free_port

    values = {"listen": "127.0.0.1", "port": free_port(), "retry_s": 1, **settings}
    return make_fleet(directory, claim=values)
