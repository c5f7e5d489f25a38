"""The documents of the field path: what a board reads from its flash and from a server, and a server from a board."""

from protocol import cbor, claim
from protocol.errors import ProtocolError
from protocol.identity import Identity
from tools.fuzz import inputs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from protocol.message import Message
    from tools.fuzz.rng import Random

INTERPRETERS = ("cpython", "micropython")
BOUND = (8192, 320)
KINDS = (claim.Ticket, claim.Claim, claim.Request, claim.Answer, Identity)
_SECRET = b"\x5a" * 32
_HIDDEN = (claim.Ticket, claim.Answer, Identity)  # hold a key
_TEXTS = ("", "air", "esp32_air", "https://h/c", "x" * 32, "x" * 33, "air\n", "\u00fc")
_NUMBERS = (0, 1, 4, 5, 300, 301, 0xFFFFFFFF, 0x100000000, -1)


def seeds() -> "list[bytes]":
    """One of each, with every field, and those within another."""
    ticket = claim.Ticket(
        urls=["https://claims.example:8443/api/v1/claim"],
        ca=b"ca",
        batch="b7",
        until=1900000000,
        secret=_SECRET,
        kind="air",
        board="esp32_air",
        node="air-1",
        ntp=["time"],
        wifi_ssid="ssid",
        wifi_psk="password",
        made=1800000000,
    )
    asked = claim.Claim(mac=b"\x24\x0a\xc4\x00\x00\x01", batch="b7", until=1900000000, kind="air", board="esp32_air")
    identity = Identity(
        node="air-1", kind="air", board="esp32_air", boot0=7, ca=b"ca", cert=b"cert", key=_SECRET, brokers=["h:8883"]
    )
    body = asked.encode()
    found = [ticket.encode(), body, identity.encode()]
    found.append(claim.Request(claim=body, proof=claim.prove(_SECRET, body)).encode())
    found.append(claim.Answer(status=claim.ISSUED, identity=identity.encode()).encode())
    found.append(claim.Answer(status=claim.REFUSED, retry_s=300, reason="not proved").encode())
    found.append(claim.Answer(status=claim.CHALLENGE, nonce=b"n" * 16).encode())
    return found


def generate(random: "Random", seeds: "list[bytes]") -> bytes:
    """Noise, damaged documents, and maps whose every value has the right type and often the wrong size."""
    how = random.below(8)
    if how == 0:
        return inputs.noise(random)
    if how < 5:
        return inputs.damaged(random, seeds)
    fields = {}
    for key, _, kind, low, high in KINDS[random.below(len(KINDS))].FIELDS:
        if random.below(16):
            fields[key] = _value(random, kind, low, high)
    if random.below(16) == 0:
        fields[1 + random.below(40)] = random.below(9)
    return cbor.encode({key: fields[key] for key in sorted(fields)})[: inputs.MAX_SIZE]


def _value(random: "Random", kind: "Any", low: int, high: int) -> "Any":
    if random.below(24) == 0:
        kind = (int, str, bytes, [str])[random.below(4)]
    if isinstance(kind, list):
        return [_TEXTS[random.below(len(_TEXTS))] for _ in range(random.below(6))]
    if kind is int:
        return low + random.below(high - low + 1) if random.below(8) else _NUMBERS[random.below(len(_NUMBERS))]
    size = min(low + random.below(high - low + 2), 40 + random.below(600 if random.below(16) == 0 else 1))
    if kind is bytes:
        return random.data(size)
    return "x" * size if random.below(4) else _TEXTS[random.below(len(_TEXTS))]


def parse(data: bytes) -> None:
    """Decode as a ticket, the largest of them, and swallow the one declared error."""
    try:
        claim.Ticket.decode(data)
    except ProtocolError:
        return


def verdict(data: bytes) -> bytes:
    """What each kind says of it, and what those within it say."""
    said = " ".join([_told(kind, data) for kind in KINDS])
    return ("ok " + said if "=" in said else said).encode()


def _told(kind: "type[Message]", data: bytes) -> str:
    try:
        found = kind.decode(data)
    except ProtocolError as error:
        return str(error)
    again = found.encode()
    assert kind.decode(again).encode() == again, "what is written is not what was read"
    if kind in _HIDDEN:
        assert "ZZZZ" not in repr(found), "a key is shown"
    shown = again.hex()
    if isinstance(found, claim.Request):
        shown = claim.prove(_SECRET, found.claim).hex() + _told(claim.Claim, found.claim)
    elif isinstance(found, claim.Answer) and found.identity:
        shown += _told(Identity, found.identity)
    return "=" + shown
