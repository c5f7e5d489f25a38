"""Claiming: a board without an identity asks for one over HTTPS and proves that a ticket was made for it (SPEC 13).

The ticket lies in its flash as identity.TICKET_PATH. It is worth one identity, to one chip, until its end.
"""

from protocol.hmac import hmac_sha256
from protocol.message import Message

CHALLENGE = 1
PENDING = 2
ISSUED = 3
REFUSED = 4

MAX_RETRY_S = 300
MAX_REQUEST = 640  # bytes of the body of a request
MAX_ANSWER = 5120  # and of an answer
MEDIA_TYPE = "application/cbor"
_CONTEXT = b"lumenair claim 1\x00"  # what is proved here is a proof of nothing else
_U32 = 0xFFFFFFFF


class Ticket(Message):
    """What a board needs to claim an identity. It holds the secret of that board, and of no other."""

    FIELDS = (
        (1, "urls", [str], 1, 4),
        (2, "ca", bytes, 1, 1500),
        (3, "batch", str, 1, 32),
        (4, "until", int, 0, _U32),
        (5, "secret", bytes, 32, 32),
        (6, "kind", str, 1, 8),
        (7, "board", str, 1, 32),
        (8, "node", str, 0, 32),
        (9, "ntp", [str], 0, 4),
        (10, "wifi_ssid", str, 0, 32),
        (11, "wifi_psk", str, 0, 64),
        (12, "made", int, 0, _U32),
    )
    urls: "list[str]"  # "https://host:port/path", tried in order
    ca: bytes  # certificate of the authority that signed the server's
    batch: str  # delivery or order that the board belongs to
    until: int  # seconds since 1970 UTC: not accepted afterwards
    secret: bytes  # of this board
    kind: str  # "air" or "light"
    board: str  # name of a file in firmware/boards
    node: str = ""  # the node id it would like
    ntp: "list[str]" = []  # "host" or "host:port"
    wifi_ssid: str = ""  # network
    wifi_psk: str = ""  # its key
    made: int = 0  # seconds since 1970 UTC: the board's first floor for the time

    def __repr__(self) -> str:
        return "Ticket(batch={!r})".format(self.batch)  # the secret stays out of logs


class Claim(Message):
    """What a board says about itself when it asks."""

    MAX_SIZE = 512
    MAX_ITEMS = 64
    FIELDS = (
        (1, "mac", bytes, 6, 8),
        (2, "batch", str, 1, 32),
        (3, "until", int, 0, _U32),
        (4, "nonce", bytes, 0, 32),
        (5, "kind", str, 1, 8),
        (6, "board", str, 1, 32),
        (7, "node", str, 0, 32),
        (8, "firmware", str, 0, 32),
    )
    mac: bytes  # serial number of the chip
    batch: str  # of its ticket
    until: int  # of its ticket
    nonce: bytes = b""  # of the last answer; empty in the first request
    kind: str  # "air" or "light"
    board: str  # name of its pin map
    node: str = ""  # the node id it would like
    firmware: str = ""  # version


class Request(Message):
    """The body of a request."""

    MAX_SIZE = MAX_REQUEST
    MAX_ITEMS = 64
    FIELDS = (
        (1, "claim", bytes, 1, 512),
        (2, "proof", bytes, 32, 32),
    )
    claim: bytes  # an encoded Claim
    proof: bytes  # HMAC-SHA256 under the secret of the ticket, SPEC 13.3


class Answer(Message):
    """The body of an answer."""

    MAX_SIZE = MAX_ANSWER
    MAX_ITEMS = 64
    FIELDS = (
        (1, "status", int, CHALLENGE, REFUSED),
        (2, "nonce", bytes, 0, 32),
        (3, "retry_s", int, 0, MAX_RETRY_S),
        (4, "identity", bytes, 0, 4800),
        (5, "reason", str, 0, 96),
    )
    status: int  # CHALLENGE .. REFUSED
    nonce: bytes = b""  # for the next request
    retry_s: int = 0  # when to ask again; 0 = at once
    identity: bytes = b""  # an encoded Identity
    reason: str = ""  # of a refusal, for people

    def __repr__(self) -> str:
        return "Answer(status={})".format(self.status)  # an identity holds a private key


def prove(secret: bytes, claim: bytes) -> bytes:
    """The proof that whoever wrote the encoded `claim` has the secret of its ticket (SPEC 13.3)."""
    return hmac_sha256(secret, _CONTEXT + claim)


MESSAGES = (Ticket, Claim, Request, Answer)
