"""Signed documents and their signatures: what a node takes from a broker that it does not trust."""

from protocol import cbor, cose, trust
from protocol.errors import ProtocolError
from protocol.tests import judged
from tools.fuzz import inputs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from protocol.message import Message
    from tools.fuzz.rng import Random

INTERPRETERS = ("cpython", "micropython")
BOUND = (16384, 320)
KINDS = (trust.Release, trust.Campaign, trust.Epoch)
_ROLES = [judged.ROLES[kind] for kind in sorted(judged.ROLES)]
MAX_SIZE = 1200  # bytes of an input: an envelope with a root and three signatures


def seeds() -> "list[bytes]":
    """Each document, and each in its envelope with signatures that have the right form."""
    found = []
    for kind in sorted(judged.DOCUMENTS):  # dicts have no order on MicroPython
        data = judged.DOCUMENTS[kind].encode()
        header = cose.protected(judged.TYPES[kind])
        reported = cose.protected(judged.TYPES[kind], judged.REPORT)
        made = [cose.assemble(header, cose.kid(judged.KEYS[at]), bytes(range(64))) for at in (0, 3)]
        made.append(cose.assemble(reported, cose.kid(judged.KEYS[5]), bytes(64)))
        found += [data, trust.Signed(document=data, signatures=made, root=2).encode(), made[0], made[2]]
    return found


def generate(random: "Random", seeds: "list[bytes]") -> bytes:
    """Noise, damaged documents and envelopes, and good envelopes around damaged parts."""
    how = random.below(8)
    if how == 0:
        return inputs.noise(random)
    if how < 4:
        return seeds[random.below(len(seeds))] if random.below(16) == 0 else inputs.damaged(random, seeds)[:MAX_SIZE]
    signed = {1: inputs.damaged(random, seeds) or b"x", 3: random.below(9)}
    signed[2] = [_part(random, seeds) for _ in range(random.below(4))]
    return cbor.encode(signed)[:MAX_SIZE]


def _part(random: "Random", seeds: "list[bytes]") -> bytes:
    good = seeds[2 + 4 * random.below(len(judged.DOCUMENTS)) + random.below(2)]
    return good if random.below(2) else inputs.damaged(random, [good])


def parse(data: bytes) -> None:
    """Decode as an envelope, with all that is in it, and swallow the one declared error."""
    try:
        signed = trust.Signed.decode(data)
        trust.parse_signatures(signed)
        trust.load_root(signed.document)
    except ProtocolError:
        return


def verdict(data: bytes) -> bytes:
    """What each kind says of it, and what it says of the signatures in it."""
    said = [_told(kind, data) for kind in KINDS] + [_root(data), _sign1(data)]
    try:
        signed = trust.Signed.decode(data)
    except ProtocolError as error:
        said.append(str(error))
    else:
        said += ["=" + _judged(signed), _root(signed.document)] + [_told(kind, signed.document) for kind in KINDS]
    line = " ".join(said)
    return ("ok " + line if "=" in line else line).encode()


def _told(kind: "type[Message]", data: bytes) -> str:
    try:
        found = kind.decode(data)
    except ProtocolError as error:
        return str(error)
    again = found.encode()
    assert kind.decode(again).encode() == again, "what is written is not what was read"
    return "=" + again.hex()


def _root(data: bytes) -> str:
    try:
        root = trust.load_root(data)
    except ProtocolError as error:
        return str(error)
    for role in root.roles:
        everybody = [(at, True, judged.REPORT) for at in role.keys]
        assert trust.fault_of(root, [role.name], list(everybody)) == 0, "a role that nobody can satisfy"
    return "=" + " ".join([role.name for role in root.roles])


def _sign1(data: bytes) -> str:
    try:
        found = cose.parse(data)
    except ProtocolError as error:
        return str(error)
    assert cose.assemble(cose.protected(found.typ, found.report), found.kid, found.signature) == data, (
        "two forms of one"
    )
    return "=" + found.typ


def _judged(signed: trust.Signed) -> str:
    try:
        found = trust.parse_signatures(signed)
    except ProtocolError as error:
        return str(error)
    signers = [(trust.key_at(judged.ROOT, sign.kid), True, sign.report) for sign in found]
    return " ".join([str(trust.fault_of(judged.ROOT, roles, signers)) for roles in _ROLES])
