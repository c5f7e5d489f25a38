"""COSE_Sign1 (RFC 9052 section 4.2) over the digest of a document, in the subset of cbor.py (SPEC 14).

Untagged, Ed25519 (alg -19, RFC 9864), payload detached: what is signed is the SHA-256 of the document's bytes, so a
node hashes a document as it comes, and signs and verifies 200 bytes whatever the size of it.
"""

from hashlib import sha256

from protocol import cbor
from protocol.errors import DecodeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ED25519 = -19  # COSE algorithm, RFC 9864
SHA256 = -16  # COSE algorithm, RFC 9054
ALG = 1  # labels of header parameters, RFC 9052 section 3.1 ...
KID = 4
TYP = 16  # ... RFC 9596 ...
REPORT = -65537  # ... and of private use: the SHA-256 of the bench report that the signer has seen
KID_SIZE = 8
PUBLIC_SIZE = 32
SIGNATURE_SIZE = 64
MAX_SIZE = 256  # bytes of one COSE_Sign1
_CONTEXT = "Signature1"


class Sign1:
    """One signature, taken apart. `report` is b"" when the signer names none."""

    def __init__(self, protected: bytes, typ: str, report: bytes, kid: bytes, signature: bytes) -> None:
        self.protected = protected
        self.typ = typ
        self.report = report
        self.kid = kid
        self.signature = signature


def digest(document: "cbor.Source") -> bytes:
    """The SHA-256 of a document's bytes: what names it, and what is signed."""
    return sha256(document).digest()


def kid(public: bytes) -> bytes:
    """What names a public key: the first bytes of its SHA-256."""
    return sha256(public).digest()[:KID_SIZE]


def protected(typ: str, report: bytes = b"") -> bytes:
    """The protected header of a signature over a document of type `typ`."""
    header: "dict[int, Any]" = {ALG: ED25519, TYP: typ}
    if report:
        header[REPORT] = report
    return cbor.encode(header)


def to_be_signed(header: bytes, document_digest: bytes) -> bytes:
    """The Sig_structure (RFC 9052 section 4.4): what the key signs, without external data."""
    return cbor.encode([_CONTEXT, header, b"", cbor.encode([SHA256, document_digest])])


def assemble(header: bytes, key_id: bytes, signature: bytes) -> bytes:
    """The COSE_Sign1: the payload is detached, so nil stands in its place."""
    return cbor.encode([header, {KID: key_id}, None, signature], MAX_SIZE)


def parse(data: "cbor.Source") -> Sign1:
    """The signature in `data`; raises DecodeError for anything but the one form of `assemble`."""
    found: "Any" = cbor.decode(data, MAX_SIZE, 16)
    if type(found) is not list or len(found) != 4 or found[2] is not None:
        raise DecodeError("not a COSE_Sign1 with a detached payload")
    header, unprotected, _, signature = found
    if type(header) is not bytes or type(signature) is not bytes or len(signature) != SIGNATURE_SIZE:
        raise DecodeError("COSE_Sign1 of other parts")
    if type(unprotected) is not dict or list(unprotected) != [KID]:
        raise DecodeError("unprotected header with anything but a kid")
    name = unprotected[KID]
    if type(name) is not bytes or len(name) != KID_SIZE:
        raise DecodeError("kid of another form")
    typ, report = _header(header)
    return Sign1(header, typ, report, name, signature)


def _header(data: bytes) -> "tuple[str, bytes]":
    """(typ, report) of a protected header; a parameter that we do not know could change the meaning: refused."""
    found: "Any" = cbor.decode(data, MAX_SIZE, 16)
    if type(found) is not dict or found.get(ALG) != ED25519 or type(found.get(TYP)) is not str:
        raise DecodeError("protected header without Ed25519 or typ")
    named = REPORT in found
    report = found.get(REPORT, b"")
    if type(report) is not bytes or len(report) != (32 if named else 0) or len(found) != (3 if named else 2):
        raise DecodeError("protected header with other parameters")
    return found[TYP], report
