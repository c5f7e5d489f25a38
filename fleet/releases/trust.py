"""Who signed a release, and whether that is enough: sign, verify, publish."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from fleet import signing
from fleet.errors import NotAllowedError, UsageError, VerificationError
from fleet.releases import contents
from fleet.releases.archive import MAX_OBJECT, Archive
from fleet.releases.contents import Contents
from fleet.signing import Roots, Signature, SignatureError, Signer
from fleet.signing.public import MAX_FILE, read
from fleet.signing.roots import load, load_document
from fleet.store import Store
from fleet.store.releases import Published
from protocol import cose, refusals
from protocol import trust as contract
from protocol.errors import DecodeError
from protocol.refusal_texts import text
from protocol.trust import BENCH, MAX_SIGNATURES, RELEASE_TYPE, ROOT_TYPE, Release, Root, Signed

_SIGN = "whoever has a key of that role adds it: fleet release sign DIR --role NAME --key FILE"
_RENEW = "make the next root: fleet key draft"
_AGAIN = "build it again, with a later date"
_LACKING = (
    refusals.U_UNSIGNED,
    refusals.U_UNKNOWN_KEY,
    refusals.U_WRONG_ROLE,
    refusals.U_TOO_FEW,
    refusals.U_ROLE_MISSING,
    refusals.U_NO_REPORT,
)


@dataclass(frozen=True)
class RoleState:
    """How far the signatures of one role are."""

    role: str
    threshold: int
    signers: tuple[str, ...]  # kids of the signatures that count
    needs_report: bool

    @property
    def is_met(self) -> bool:
        """Whether they are enough."""
        return len(self.signers) >= self.threshold


def root_in(path: Path) -> Root:
    """The root in a file that somebody trusts, as `keys/root-N.cbor`; SignatureError when its own keys disagree."""
    signed = load(read(path)[:MAX_FILE])
    root = load_document(signed)
    signing.verify(signed, root, [contract.ROOT], ROOT_TYPE)
    return root


def kid(signer: Signer) -> str:
    """What signatures call the key of a signer."""
    return cose.kid(signer.public).hex()


def sign(release: Contents, signer: Signer, role: str, report: bytes = b"", root: Root | None = None) -> Contents:
    """The release with one signature more.

    `report` is the SHA-256 of the report that the signer has seen. With `root` the key has to be one of the role.
    """
    _check_role(role, signer, report, root)
    if kid(signer) in (one.kid.hex() for one in _parsed(release.signed)):
        raise NotAllowedError(
            f"{release.id} has a signature by that key already",
            cause=f"key {kid(signer)} of {signer.name}",
            hint="a threshold counts keys: another signature takes another key",
        )
    signed = signing.add(release.signed, RELEASE_TYPE, signer, report)
    signed.root = root.version if root else signed.root
    return replace(release, signed=signed)


def verify(signed: Signed, release: Release, root: Root, now_s: int) -> None:
    """SignatureError, with what a node would answer, unless the release may be installed under `root`."""
    if root.expires <= now_s:
        raise SignatureError(refusals.U_ROOT_EXPIRED, text(refusals.U_ROOT_EXPIRED), _RENEW, f"on {_day(root.expires)}")
    try:
        signing.verify(signed, root, contract.roles_for(root, release.product), RELEASE_TYPE)
    except SignatureError as error:
        hint = error.hint or (_SIGN if error.fault in _LACKING else "")
        raise SignatureError(error.fault, error.message, hint, error.cause) from error
    if release.expires <= now_s:
        raise SignatureError(refusals.U_EXPIRED, text(refusals.U_EXPIRED), _AGAIN, f"on {_day(release.expires)}")


def signers(signed: Signed, root: Root | None) -> list[Signature]:
    """Every signature; without a root nothing is known of them but their keys and reports."""
    if root is not None:
        return signing.signatures(signed, root, RELEASE_TYPE)
    return [Signature(one.kid.hex(), None, False, one.report, ()) for one in _parsed(signed)]


def roles(signed: Signed, release: Release, root: Root) -> list[RoleState]:
    """How far each role is that the product needs."""
    found = signers(signed, root)
    states = []
    for name in contract.roles_for(root, release.product):
        role = contract.role_of(root, name)
        counted = [one for one in found if one.holds and name in one.roles and (one.report or not role.report)]
        states.append(RoleState(name, role.threshold, tuple(sorted({one.kid for one in counted})), role.report))
    return states


def publish(
    release: Contents, roots: Roots, store: Store, archive: Archive | None, now_s: int, actor: str, older: bool = False
) -> tuple[Published, bool]:
    """Keep a release for good; (its row, whether anything is new). SignatureError unless its roles have signed it.

    Signatures of the same release that were published before are kept. NotAllowedError for a version or sequence that
    was used, and for a sequence below the newest unless `older`. Without an archive nothing is kept: a dry run.
    """
    signed = _united(release, store)
    verify(signed, release.release, roots.current, now_s)
    signed.root = roots.version
    row = row_of(release, signed, now_s, actor)
    is_new = store.releases.check(row, older)
    if archive is not None:
        for data in release.parts().values():
            archive.put(data)
        is_new = store.releases.add(row, older)
    return row, is_new


def row_of(release: Contents, signed: Signed, now_s: int, actor: str) -> Published:
    """The row of a release that is published now."""
    about = release.release
    return Published(
        digest=release.digest,
        product=about.product,
        version=about.version,
        sequence=about.sequence,
        manifest=about.manifest,
        size=about.size,
        base=about.base,
        envelope=signed.encode(),
        published_s=now_s,
        published_by=actor,
    )


def published(row: Published, archive: Archive) -> Contents:
    """A published release out of the archive; VerificationError when a part of it is not what it was."""

    def fetch(_: str, digest: bytes, most: int) -> bytes:
        data = archive.get(digest)
        assert len(data) <= MAX_OBJECT
        return data[: most + 1]

    return contents.load(row.envelope, fetch)


def _united(release: Contents, store: Store) -> Signed:
    """The signatures of a release, and those of the same one that was published before."""
    own = release.signed.signatures
    there = store.releases.find(release.digest)
    before = Signed.decode(there.envelope).signatures if there else []
    kids = {one.kid for one in _parsed(release.signed)}
    united = [*own, *(data for data in before if cose.parse(data).kid not in kids)]
    return Signed(document=release.signed.document, signatures=united[:MAX_SIGNATURES])


def _parsed(signed: Signed) -> list[cose.Sign1]:
    try:
        return contract.parse_signatures(signed)
    except DecodeError as error:
        raise VerificationError("a signature is malformed", cause=str(error)) from error


def _check_role(name: str, signer: Signer, report: bytes, root: Root | None) -> None:
    """UsageError or NotAllowedError when a signature in that role would count for nothing."""
    needs_report = name == BENCH
    if root is not None:
        try:
            role = contract.role_of(root, name)
        except DecodeError:
            known = ", ".join(one.name for one in root.roles)
            raise UsageError(f"root {root.version} has no role {name}", hint=f"it has {known}") from None
        if contract.key_at(root, cose.kid(signer.public)) not in role.keys:
            raise NotAllowedError(
                f"{signer.name} is no key of role {name}",
                cause=f"root {root.version} does not have {kid(signer)} in that role",
                hint="`fleet key list` shows who may sign what",
            )
        needs_report = role.report
    if needs_report and not report:
        raise UsageError(
            f"role {name} signs over a report",
            hint="name the run.json of `fleet hil run`: --report FILE"
            + ("" if root else "; or say by --root FILE that this role needs none"),
        )


def _day(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"
