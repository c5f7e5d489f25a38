"""Use case: what a node proves of the program that it runs (SPEC 15.7).

Each node has a key of its own, derived from one secret of the fleet, so there is no list of them to lose.
"""

import hmac
import secrets
import time
from collections.abc import Callable

from fleet.config import Config
from fleet.errors import ConfigError, NotFoundError, VerificationError
from protocol import update
from protocol.update import Proof

KEY_BYTES = 32
NONCE_BYTES = 16
KNOWN_S = 60.0  # how long a node may still prove by the key of the provisioning before
_CONTEXT = b"lumenair proof key 1\x00"


def secret_of(config: Config) -> bytes:
    """The fleet's proof secret; NotFoundError when `fleet init` has not made it yet."""
    path = config.proof_key_file
    try:
        found = bytes.fromhex(path.read_text().strip())
    except OSError as error:
        hint = "`fleet init` makes what is missing"
        raise NotFoundError(f"cannot read {path}", hint=hint, cause=error.strerror or str(error)) from error
    except ValueError:
        found = b""
    if len(found) != KEY_BYTES:
        raise ConfigError(f"{path} is damaged", hint="restore it from a backup: no node can prove anything without it")
    return found


def key_of(secret: bytes, node: str, boot0: int) -> bytes:
    """The proof key that a node got when it was provisioned at minute `boot0`; each provisioning gives another."""
    return hmac.digest(secret, _CONTEXT + node.encode() + boot0.to_bytes(4, "big"), "sha256")


def new_nonce() -> bytes:
    """What a node has to put into its next proof, so that an old one is none."""
    return secrets.token_bytes(NONCE_BYTES)


def check(secret: bytes, node: str, boot0: int, proof: Proof, nonce: bytes) -> None:
    """VerificationError unless `proof` was made by that node, as provisioned at `boot0`, for that nonce."""
    key = key_of(secret, node, boot0)
    is_made = hmac.compare_digest(update.prove(key, node, proof), proof.mac)
    if not is_made:
        hint = "was it provisioned anew? then its next proof holds; else somebody speaks in its name"
        raise VerificationError(f"the proof of {node} does not hold", hint=hint)
    if not hmac.compare_digest(proof.nonce, nonce):
        raise VerificationError(f"the proof of {node} is an old one", hint="ask again")


class Judge:
    """Says whether proofs hold, for one thread; it remembers when each node was provisioned."""

    def __init__(self, secret: bytes, boot0: Callable[[str], int], clock: Callable[[], float] = time.monotonic) -> None:
        """`boot0` gives the minute at which a node was provisioned last."""
        self._secret = secret
        self._boot0 = boot0
        self._clock = clock
        self._known: dict[str, tuple[int, float]] = {}  # that minute, and until when it is believed

    def holds(self, node: str, proof: Proof) -> bool:
        """Whether that node made it, for whatever nonce it names."""
        known, until = self._known.get(node, (0, 0.0))
        if self._clock() < until and self._is_made(node, proof, known):
            return True
        known = self._boot0(node)
        self._known[node] = known, self._clock() + KNOWN_S
        return self._is_made(node, proof, known)

    def _is_made(self, node: str, proof: Proof, boot0: int) -> bool:
        try:
            check(self._secret, node, boot0, proof, proof.nonce)
        except VerificationError:
            return False
        return True
