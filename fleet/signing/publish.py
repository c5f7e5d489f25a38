"""A draft becomes the root of a fleet: signed by enough keys of the one before and of its own, it is kept for ever."""

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fleet import files
from fleet.config import Config
from fleet.errors import NotAllowedError, NotFoundError, VerificationError
from fleet.signing.documents import SignatureError, add, signatures
from fleet.signing.make import new_key, private_pem
from fleet.signing.public import PublicKey, load_public
from fleet.signing.roots import load_document, root_file, roots, verify_root
from fleet.signing.signers import Signer, pem_signer
from protocol import cose, refusals, trust
from protocol.errors import DecodeError
from protocol.refusal_texts import text
from protocol.trust import Root, Signed

_NEXT = "campaign.next.key"  # an online key that waits for its root


@dataclass(frozen=True)
class Published:
    """What happened."""

    root: Root
    path: Path
    is_new: bool  # else it was there already
    has_new_online_key: bool


def sign_draft(draft: Signed, signer: Signer) -> Signed:
    """The draft with one signature more; SignatureError when it was changed after somebody signed it."""
    root = load_document(draft)
    broken = [one.kid for one in signatures(draft, root, trust.ROOT_TYPE) if one.place is not None and not one.holds]
    if broken:
        cause = f"what {', '.join(broken)} signed is another draft"
        raise SignatureError(refusals.U_BAD_SIGNATURE, "the draft was changed after it was signed", cause=cause)
    return add(draft, trust.ROOT_TYPE, signer)


def merge(drafts: Sequence[Signed]) -> Signed:
    """One envelope with the signatures of all copies of a draft; VerificationError when they are not of the same."""
    first = drafts[0]
    if any(one.document != first.document for one in drafts):
        raise VerificationError("these are different drafts", hint="sign copies of one and the same file")
    found = {}
    for data in (data for one in drafts for data in one.signatures):
        try:
            found[cose.parse(data).kid] = data
        except DecodeError as error:
            cause = str(error)
            raise SignatureError(refusals.U_MALFORMED, text(refusals.U_MALFORMED), cause=cause) from error
    return Signed(document=first.document, signatures=list(found.values())[: trust.MAX_SIGNATURES], root=first.root)


def publish(config: Config, drafts: Sequence[Signed], now_s: int, dry_run: bool = False) -> Published:
    """Keep a root, whose signatures were verified under it and the one before; VerificationError says what it lacks.

    Doing it again completes what a crash left: the online key that came with the root is put in its place.
    """
    merged = merge(drafts)
    root = load_document(merged)
    chain = roots(config)
    is_new = not 1 <= root.version <= chain.version or chain.documents[root.version - 1] != merged.document
    if is_new:
        verify_root(merged, chain.newest)
        if root.expires <= now_s:
            raise SignatureError(refusals.U_ROOT_EXPIRED, text(refusals.U_ROOT_EXPIRED), hint="make a new draft")
    path = root_file(config, root.version)
    if is_new and not dry_run:
        files.make_private_dir(config.keys_dir)
        files.write_new(path, _envelope(merged, root, chain.newest).encode(), files.PUBLIC)
    has_new_key = root.version >= chain.version and _take_over(config, root, dry_run)
    return Published(root, path, is_new, has_new_key)


def _envelope(merged: Signed, root: Root, old: Root | None) -> Signed:
    """What nodes get: signatures of strangers would cost them time and room."""
    known = {cose.kid(key) for one in (root, old) if one for key in one.keys}
    kept = [data for data in merged.signatures if cose.parse(data).kid in known]
    return Signed(document=merged.document, signatures=kept, root=root.version)


# ---- The online key


def new_online_key(config: Config, dry_run: bool = False) -> PublicKey:
    """A new online key, which waits beside the one in use until a root with it is published."""
    path = config.keys_dir / _NEXT
    if not path.exists():
        if dry_run:
            return PublicKey("campaign", new_key().public_key().public_bytes_raw())
        files.make_private_dir(config.keys_dir)
        files.write_new(path, private_pem(new_key()))
    return PublicKey("campaign", pem_signer(path).public)


def online_key(config: Config) -> bytes | None:
    """The public key of the online key in use; None when there is none."""
    try:
        return pem_signer(config.campaign_key_file).public
    except NotFoundError:
        return None


def _take_over(config: Config, root: Root, dry_run: bool) -> bool:
    """Put the online key that waits into use, if this root has it."""
    path = config.keys_dir / _NEXT
    if not path.exists() or not is_online(root, pem_signer(path).public):
        return False
    if not dry_run:
        files.replace(config.campaign_key_file, path.read_bytes())
        path.unlink()
    return True


def is_online(root: Root, public: bytes | None) -> bool:
    """Whether campaigns signed with that key count under `root`."""
    return public in [root.keys[at] for at in trust.role_of(root, trust.CAMPAIGN).keys]


# ---- Names of keys


def names(config: Config) -> dict[bytes, str]:
    """{public key: name} of the keys whose names this fleet knows."""
    known = {}
    if (used := online_key(config)) is not None:
        known[used] = "online"
    if (config.keys_dir / _NEXT).exists():
        known[new_online_key(config).public] = "online, next"
    for path in sorted(config.keys_dir.glob("*.pub")):
        with contextlib.suppress(VerificationError):
            one = load_public(path)
            known[one.public] = one.name
    return known


def keep_names(config: Config, keys: Iterable[PublicKey]) -> None:
    """Remember how these keys are called; NotAllowedError when another key is called so."""
    files.make_private_dir(config.keys_dir)
    for key in keys:
        path = config.keys_dir / f"{key.name}.pub"
        if path.exists():
            if load_public(path).public != key.public:
                raise NotAllowedError(f"another key is called {key.name}", hint=f"rename the new one, or see {path}")
            continue
        key.save(path)
