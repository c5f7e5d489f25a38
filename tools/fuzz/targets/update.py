"""The messages of an update: a node's questions as the manager reads them, and the answers as a node does."""

from protocol import cbor, update
from protocol.errors import ProtocolError
from protocol.tests.test_update import KEY, WRITTEN
from tools.fuzz import inputs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from protocol.message import Message
    from tools.fuzz.rng import Random

INTERPRETERS = ("cpython", "micropython")
BOUND = (8192, 320)
KINDS = update.MESSAGES
_NUMBERS = (0, 1, 4, 5, 10, 11, 63, 64, 1024, 1025, 0xFFFFFF, 0x1000000, 0xFFFFFFFF, -1)


def seeds() -> "list[bytes]":
    """Every row of the table, and a status with everything in it."""
    proof = update.Proof(nonce=b"n" * 16, manifest=b"\x07" * 32, slot="b", boot=5, confirmed=True)
    proof.mac = update.prove(KEY, "air-1", proof)
    status = update.Status(counter=3, stage=update.REVERTED, code=70, text="E", release=b"\x08" * 32, proof=proof)
    return sorted([bytes.fromhex(text) for _, text in WRITTEN.values()] + [status.encode()])


def generate(random: "Random", seeds: "list[bytes]") -> bytes:
    """Noise, damaged messages, and maps whose every value has the right type and often the wrong size."""
    how = random.below(8)
    if how == 0:
        return inputs.noise(random)
    if how < 4:
        return inputs.damaged(random, seeds)
    fields = {}
    for key, _, kind, low, high in KINDS[random.below(len(KINDS))].FIELDS:
        if random.below(4):
            fields[key] = _value(random, kind, low, high)
    return cbor.encode(fields)[: inputs.MAX_SIZE]


def _value(random: "Random", kind: "Any", low: int, high: int) -> "Any":
    if random.below(24) == 0:
        kind = (int, str, bytes, bool)[random.below(4)]
    if kind is int:
        return low + random.below(high - low + 1) if random.below(8) else _NUMBERS[random.below(len(_NUMBERS))]
    if kind is bool:
        return random.below(2) == 1
    if kind is update.Proof:
        return {key: _value(random, sort, least, most) for key, _, sort, least, most in kind.FIELDS if random.below(2)}
    size = min(low + random.below(high - low + 2), 40 + random.below(500 if random.below(16) == 0 else 1))
    return random.data(size) if kind is bytes else "x" * size


def parse(data: bytes) -> None:
    """Decode as a status, the largest of them, and swallow the one declared error."""
    try:
        update.Status.decode(data)
    except ProtocolError:
        return


def verdict(data: bytes) -> bytes:
    """What each kind says of it; of a proof also the mac that it ought to have."""
    said = " ".join([_told(kind, data) for kind in KINDS])
    return ("ok " + said if "=" in said else said).encode()


def _told(kind: "type[Message]", data: bytes) -> str:
    try:
        found = kind.decode(data)
    except ProtocolError as error:
        return str(error)
    again = found.encode()
    assert kind.decode(again).encode() == again, "what is written is not what was read"
    proof = found.proof if isinstance(found, update.Status) else found if isinstance(found, update.Proof) else None
    return "=" + again.hex() + (update.prove(KEY, "air-1", proof).hex() if proof else "")
