"""Ed25519 for thousands of nodes: the arithmetic is OpenSSL's, and what was verified or parsed once is known.

A verification in the firmware's own integers takes 6 ms on a host; a fleet would wait for nothing else. What judges the
result is the firmware's (`node.core.update.judge`). OpenSSL takes a few forgeries-by-construction that the node
refuses (`node.core.ed25519` says which); nobody makes one here. The root of the fleet, which every node parses each
time that it judges something, and an envelope that comes to all of them are parsed once.
"""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from node.core import ed25519
from node.core.update import judge
from protocol import trust

_KNOWN = 64  # roots and envelopes at a time; one that is malformed is parsed again


class Verifier:
    """`node.core.ed25519.verify`, for all nodes of a process."""

    def __init__(self) -> None:
        self._known: dict[tuple[bytes, bytes, bytes], bool] = {}
        self.asked = 0
        self.computed = 0

    def verify(self, public: bytes, message: bytes, signature: bytes) -> Generator[None, None, bool]:
        """Return whether `signature` is one of `message` under the key; a generator like the one it stands for."""
        yield None
        self.asked += 1
        asked = bytes(public), bytes(message), bytes(signature)
        found = self._known.get(asked)
        if found is None:
            self.computed += 1
            found = self._known[asked] = _holds(*asked)
        return found


def _holds(public: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


@contextmanager
def installed(verifier: Verifier) -> Iterator[None]:
    """Nodes of this process use it meanwhile."""
    before = ed25519.verify, trust.load_root, judge.envelope
    ed25519.verify, trust.load_root = verifier.verify, lru_cache(_KNOWN)(trust.load_root)
    known = lru_cache(_KNOWN)(judge.envelope)
    judge.envelope = lambda data: known(data) if isinstance(data, bytes) else before[2](data)
    try:
        yield
    finally:
        ed25519.verify, trust.load_root, judge.envelope = before
