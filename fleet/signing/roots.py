"""The roots of a fleet: `keys/root-N.cbor`, every version, each signed by the keys of the one before and its own."""

from dataclasses import dataclass
from pathlib import Path

from fleet.config import Config
from fleet.errors import NotFoundError, VerificationError
from fleet.signing.documents import SignatureError, verify
from fleet.signing.public import read
from fleet.signing.signers import PemSigner, pem_signer
from protocol import refusals, trust
from protocol.errors import DecodeError
from protocol.refusal_texts import text
from protocol.trust import Root, Signed


@dataclass(frozen=True)
class Roots:
    """The chain, verified. `envelopes[N - 1]` is that of version N, as bytes."""

    envelopes: tuple[bytes, ...] = ()
    documents: tuple[bytes, ...] = ()
    newest: Root | None = None

    @property
    def version(self) -> int:
        """That of the newest; 0 = there is none."""
        return len(self.envelopes)

    @property
    def current(self) -> Root:
        """The newest; NotFoundError when there is none."""
        if self.newest is None:
            raise NotFoundError("the fleet has no root of trust", hint="`fleet key init` makes one")
        return self.newest

    @property
    def document(self) -> bytes:
        """The bytes of the newest, which provisioning pins; b"" when there is none."""
        return self.documents[-1] if self.documents else b""

    def envelope(self, version: int) -> bytes | None:
        """The envelope of a version, for nodes that have the one before; None when there is none."""
        return self.envelopes[version - 1] if 1 <= version <= self.version else None


def root_file(config: Config, version: int) -> Path:
    """Where a version is kept."""
    return config.keys_dir / f"root-{version}.cbor"


def roots(config: Config) -> Roots:
    """The roots of a fleet; VerificationError when the chain does not hold."""
    envelopes: list[bytes] = []
    documents: list[bytes] = []
    newest: Root | None = None
    while (path := root_file(config, len(envelopes) + 1)).exists():
        data = read(path)
        try:
            signed = load(data)
            newest = verify_root(signed, newest)
        except VerificationError as error:
            raise VerificationError(f"{path} does not hold", "restore it from a backup", str(error)) from error
        envelopes.append(data)
        documents.append(signed.document)
    return Roots(tuple(envelopes), tuple(documents), newest)


def load(data: bytes) -> Signed:
    """The envelope in `data`; SignatureError when it is none."""
    try:
        return Signed.decode(data)
    except DecodeError as error:
        raise SignatureError(refusals.U_MALFORMED, "not a signed document", cause=str(error)) from error


def load_document(signed: Signed) -> Root:
    """The root in an envelope, its signatures not looked at; SignatureError when it is none."""
    try:
        root = trust.load_root(signed.document)
    except DecodeError as error:
        raise SignatureError(refusals.U_MALFORMED, "not a root", cause=str(error)) from error
    words = [*(role.name for role in root.roles), *(product.name for product in root.products), *root.recovery]
    if not all(word.isprintable() for word in words):
        raise SignatureError(
            refusals.U_MALFORMED, "not a root", cause="a name of it has more than one line, or hides some"
        )
    return root


def verify_root(signed: Signed, old: Root | None) -> Root:
    """The root in `signed` when it may follow `old` (None: when it may be the first), else SignatureError."""
    root = load_document(signed)
    wanted = old.version + 1 if old else 1
    if root.version != wanted:
        cause = f"it is version {root.version}, and {wanted} is next"
        raise SignatureError(refusals.U_ROOT_VERSION, text(refusals.U_ROOT_VERSION), cause=cause)
    for by, fault in ((old, refusals.U_ROOT_OLD), (root, refusals.U_ROOT_NEW)):
        if by is not None:
            _verify_by(signed, by, fault)
    return root


def _verify_by(signed: Signed, root: Root, fault: int) -> None:
    try:
        verify(signed, root, [trust.ROOT], trust.ROOT_TYPE)
    except SignatureError as error:
        kept = refusals.U_MALFORMED if error.fault == refusals.U_MALFORMED else fault
        raise SignatureError(kept, text(kept), cause=error.cause or error.message) from error


def campaign_signer(config: Config) -> PemSigner:
    """The online key of a fleet; NotFoundError when `fleet init` has not made it yet."""
    try:
        return pem_signer(config.campaign_key_file)
    except NotFoundError:
        raise NotFoundError(f"no {config.campaign_key_file}", hint="`fleet init` makes what is missing") from None
