"""The signatures of the golden vectors, verified by a node; on both interpreters."""

from node.core import ed25519
from protocol import cose, trust
from protocol.tests import judged
from protocol.tests.test_vectors import load


def test_a_node_finds_what_the_vectors_say() -> None:
    known = {}  # a verification takes milliseconds, and the rows have many signatures in common
    for row in load("signed")["judge"]:
        root = trust.load_root(bytes.fromhex(row["root"]))
        signed = trust.Signed.decode(bytes.fromhex(row["hex"]))
        digest = cose.digest(signed.document)
        for sign, (at, wanted, _) in zip(trust.parse_signatures(signed), row["signers"]):
            if at is None:
                continue
            asked = (root.keys[at], sign.typ, cose.to_be_signed(sign.protected, digest), sign.signature)
            if asked not in known:
                known[asked] = sign.typ == judged.TYPES[row["type"]] and verified(asked[0], asked[2], asked[3])
            assert known[asked] is wanted, row["what"]


def verified(public: bytes, message: bytes, signature: bytes) -> bool:
    """The generator run to its end."""
    steps = ed25519.verify(public, message, signature)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return bool(end.value)
