"""What the tests of signed documents share: keys that are always the same, and a root with all roles."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fleet.signing import PublicKey, add
from fleet.signing.draft import Changes, draft
from fleet.signing.roots import load_document
from fleet.signing.signers import PemSigner
from protocol import trust
from protocol.trust import Root, Signed

NOW = 1_800_000_000
NAMES = ("anna", "berta", "carl", "build", "second", "bench", "campaign", "stranger")


def key(name: str) -> PemSigner:
    """The key of that name."""
    seed = NAMES.index(name) + 1
    return PemSigner(name, "", Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32))


def public(name: str) -> PublicKey:
    return PublicKey(name, key(name).public)


ROLES = (
    ("root", "anna"),
    ("root", "berta"),
    ("root", "carl"),
    ("build", "build"),
    ("build", "second"),
    ("bench", "bench"),
    ("campaign", "campaign"),
)
FIRST = Changes(
    add=tuple((role, public(name)) for role, name in ROLES),
    thresholds={"root": 2, "build": 2},
    require={"light": ("bench",)},
)


def signed_by(signed: Signed, *names: str, typ: str = trust.ROOT_TYPE, report: bytes = b"") -> Signed:
    for name in names:
        signed = add(signed, typ, key(name), report)
    return signed


def first() -> Signed:
    """Root 1: root needs two of anna, berta, carl; build both of build, second; light the bench besides."""
    return signed_by(draft(None, FIRST, NOW), "anna", "berta")


def root() -> Root:
    return load_document(first())
