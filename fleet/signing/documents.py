"""Sign a document, and verify that who had to sign it did (SPEC 14)."""

from dataclasses import dataclass

from fleet.errors import VerificationError
from fleet.signing.signers import Signer, holds
from protocol import cose, refusals, trust
from protocol.errors import DecodeError
from protocol.refusal_texts import text
from protocol.trust import Role, Root, Signed


class SignatureError(VerificationError):
    """A document is not signed as it has to be. `fault` is what a node would answer, U_* of `protocol.refusals`."""

    def __init__(self, fault: int, message: str, hint: str = "", cause: str = "") -> None:
        super().__init__(message, hint, cause)
        self.fault = fault


@dataclass(frozen=True)
class Signature:
    """One signature of a document, as it looks under a root. `place` is that of its key, None when it is unknown."""

    kid: str
    place: int | None
    holds: bool
    report: bytes
    roles: tuple[str, ...]


def sign(document: bytes, typ: str, signer: Signer, report: bytes = b"") -> bytes:
    """A COSE_Sign1 by `signer` over the digest of `document`; `report` is the SHA-256 of the report it has seen."""
    header = cose.protected(typ, report)
    signature = signer.sign(cose.to_be_signed(header, cose.digest(document)))
    return cose.assemble(header, cose.kid(signer.public), signature)


def add(signed: Signed, typ: str, signer: Signer, report: bytes = b"") -> Signed:
    """`signed` with a signature by `signer` more, in the place of the one that it may have made before."""
    kid = cose.kid(signer.public)
    kept = [data for data, one in zip(signed.signatures, _parse(signed), strict=True) if one.kid != kid]
    if len(kept) >= trust.MAX_SIGNATURES:
        raise SignatureError(refusals.U_MALFORMED, f"a document has at most {trust.MAX_SIGNATURES} signatures")
    made = sign(signed.document, typ, signer, report)
    return Signed(document=signed.document, signatures=[*kept, made], root=signed.root)


def signatures(signed: Signed, root: Root, typ: str) -> list[Signature]:
    """Each signature of `signed`, looked at under `root`; SignatureError when one is malformed."""
    digest = cose.digest(signed.document)
    return [_look(one, digest, root, typ) for one in _parse(signed)]


def verify(signed: Signed, root: Root, roles: list[str], typ: str) -> None:
    """SignatureError unless every role of `roles` signed with its threshold; the text says who lacks what."""
    found = signatures(signed, root, typ)
    try:
        fault = trust.fault_of(root, roles, [(one.place, one.holds, one.report) for one in found])
    except DecodeError as error:
        raise SignatureError(refusals.U_MALFORMED, f"root {root.version} has not all of the roles {roles}") from error
    if fault:
        named = ", ".join(_lack(trust.role_of(root, name), found) for name in roles if _lack_of(root, name, found))
        raise SignatureError(fault, text(fault), cause=_cause(fault, found, root) or named)


def _parse(signed: Signed) -> list[cose.Sign1]:
    try:
        return trust.parse_signatures(signed)
    except DecodeError as error:
        raise SignatureError(refusals.U_MALFORMED, "a signature is malformed", cause=str(error)) from error


def _look(one: cose.Sign1, digest: bytes, root: Root, typ: str) -> Signature:
    place = trust.key_at(root, one.kid)
    if place is None:
        return Signature(one.kid.hex(), None, False, one.report, ())
    good = one.typ == typ and holds(root.keys[place], cose.to_be_signed(one.protected, digest), one.signature)
    roles = tuple(role.name for role in root.roles if place in role.keys)
    return Signature(one.kid.hex(), place, good, one.report, roles)


def _cause(fault: int, found: list[Signature], root: Root) -> str:
    """What is wrong with the signatures themselves, if that is it."""
    if fault == refusals.U_BAD_SIGNATURE:
        broken = [one.kid for one in found if one.place is not None and not one.holds]
        return f"that of key {', '.join(broken)} is not over this document"
    if fault == refusals.U_UNKNOWN_KEY:
        return f"{', '.join(one.kid for one in found)} is not in root {root.version}"
    return ""


def _lack_of(root: Root, name: str, found: list[Signature]) -> bool:
    signers = [(one.place, one.holds, one.report) for one in found]
    return trust.fault_of(root, [name], signers) != refusals.U_NONE


def _lack(role: Role, found: list[Signature]) -> str:
    """What a role lacks, for people."""
    counted = {one.place for one in found if one.place in role.keys and (one.report or not role.report)}
    named = " that name a report" if role.report else ""
    return f"role {role.name} has {len(counted)} of {role.threshold} signatures{named}"
