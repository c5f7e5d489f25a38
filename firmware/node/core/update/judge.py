"""Whether a document is believed, and whether it fits this node: each fault is an UpdateError with its own code.

Nothing here writes. Functions that verify signatures are generators: they yield while they calculate.
"""

from node.core import ed25519
from node.core.update import UpdateError
from node.core.update.record import NAME
from protocol import cose, trust
from protocol import refusals as u
from protocol.errors import DecodeError
from protocol.trust import Campaign, Epoch, Release, Signed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator

    from node.core.clock import Clock
    from node.core.update.parts import Node
    from node.core.update.record import Guard, Record, Trusted
    from protocol.cbor import Source
    from protocol.trust import Root

    Signers = list[tuple[int | None, bool, bytes]]


def envelope(data: "Source") -> Signed:
    """The envelope in `data`."""
    try:
        return Signed.decode(data)
    except DecodeError as error:
        raise UpdateError(u.U_MALFORMED, str(error))


def expired(clock: "Clock", expires: int) -> bool:
    """True when that time has passed for certain; UpdateError(U_TIME) when nobody here knows."""
    now = clock.utc_s()
    if max(now or 0, clock.floor_s) > expires:
        return True
    if now is None:
        raise UpdateError(u.U_TIME)
    return False


def signers(root: "Root", signed: Signed, typ: str) -> "Generator[None, None, Signers]":
    """What `trust.fault_of` judges: each signature with the place of its key, and whether it holds."""
    try:
        found = trust.parse_signatures(signed)
    except DecodeError as error:
        raise UpdateError(u.U_MALFORMED, str(error))
    digest = cose.digest(signed.document)
    result: "Signers" = []
    for sign in found:
        at = trust.key_at(root, sign.kid)
        holds = False
        if at is not None and sign.typ == typ:
            message = cose.to_be_signed(sign.protected, digest)
            holds = yield from ed25519.verify(root.keys[at], message, sign.signature)
        result.append((at, holds, sign.report))
    return result


def next_root(now: "Trusted", data: "Source") -> "Generator[None, None, Trusted]":
    """Whom the node trusts after the root in the envelope `data` (SPEC 14.7)."""
    signed = envelope(data)
    try:
        root = trust.load_root(signed.document)
    except DecodeError as error:
        raise UpdateError(u.U_MALFORMED, str(error))
    if root.version != now.root.version + 1:
        raise UpdateError(u.U_ROOT_VERSION, "{} after {}".format(root.version, now.root.version))
    for by, code in ((now.root, u.U_ROOT_OLD), (root, u.U_ROOT_NEW)):
        found = yield from signers(by, signed, trust.ROOT_TYPE)
        if trust.fault_of(by, [trust.ROOT], found):
            raise UpdateError(code)
    return now.next(root, signed.document)


def campaign(node: "Node", now: "Trusted", signed: Signed) -> "Generator[None, None, Campaign]":
    """The campaign in an envelope: signed by who may, not expired, and for this node. Its counter is not looked at."""
    try:
        found = Campaign.decode(signed.document)
    except DecodeError as error:
        raise UpdateError(u.U_MALFORMED, str(error))
    for spans in (found.fetch, found.switch):
        if len(spans) % 2 or spans != sorted(spans):
            raise UpdateError(u.U_MALFORMED, "spans")
    yield from online(now, signed, trust.CAMPAIGN_TYPE, u.U_CAMPAIGN_FORGED)
    if expired(node.clock, found.expires):
        raise UpdateError(u.U_CAMPAIGN_STALE)
    if node.identity.node not in found.nodes:
        raise UpdateError(u.U_NOT_ADDRESSED)
    return found


def online(now: "Trusted", signed: Signed, typ: str, code: int) -> "Generator[None, None, None]":
    """The manager has signed it, or UpdateError(code)."""
    by = yield from signers(now.root, signed, typ)
    fault = trust.fault_of(now.root, [trust.CAMPAIGN], by)
    if fault:
        raise UpdateError(code, "signatures: code {}".format(fault))


def epoch(signed: Signed) -> Epoch:
    """The epoch in an envelope, whoever signed it."""
    try:
        return Epoch.decode(signed.document)
    except DecodeError as error:
        raise UpdateError(u.U_MALFORMED, str(error))


def counter(now: "Trusted", record: "Record", found: Campaign) -> None:
    """The counter of a campaign is above the last one, as far as that still counts."""
    if record.era == now.counter_era and found.counter <= record.counter:
        raise UpdateError(u.U_CAMPAIGN_REPLAYED, "{} after {}".format(found.counter, record.counter))


def root_holds(node: "Node", now: "Trusted") -> None:
    """Something new may begin under the root."""
    if expired(node.clock, now.root.expires):
        raise UpdateError(u.U_ROOT_EXPIRED)


def release(node: "Node", now: "Trusted", digest: bytes, data: "Source") -> "Generator[None, None, Release]":
    """The release in the envelope `data`: that of `digest`, signed by all who have to, and not expired."""
    signed = envelope(data)
    if cose.digest(signed.document) != digest:
        raise UpdateError(u.U_OTHER_RELEASE)
    try:
        found = Release.decode(signed.document)
        roles = trust.roles_for(now.root, found.product)
        if node.setting("bench_required") and trust.BENCH not in roles:
            roles = roles + [trust.BENCH]
    except DecodeError as error:
        raise UpdateError(u.U_MALFORMED, str(error))
    by = yield from signers(now.root, signed, trust.RELEASE_TYPE)
    try:
        fault = trust.fault_of(now.root, roles, by)
    except DecodeError:
        fault = u.U_ROLE_MISSING  # the node wants a bench, and the root knows none
    if fault:
        raise UpdateError(fault)
    if expired(node.clock, found.expires):
        raise UpdateError(u.U_EXPIRED)
    return found


def fitness(node: "Node", found: Release) -> None:
    """The release is for this product, board, chip and interpreter."""
    chip, mpy, version = node.facts
    if found.product != node.identity.kind:
        raise UpdateError(u.U_PRODUCT, found.product)
    if node.identity.board not in found.boards:
        raise UpdateError(u.U_BOARD, " ".join(found.boards)[:96])
    if chip not in found.chips:
        raise UpdateError(u.U_CHIP, " ".join(found.chips)[:96])
    if found.mpy != mpy:
        raise UpdateError(u.U_ABI, "{} here {}".format(found.mpy, mpy))
    if node.base is None:
        if found.base_version not in ("", version):
            raise UpdateError(u.U_NO_PARTITION)
    elif found.base:
        version = found.base_version
        if found.base_size > node.base.size:
            raise UpdateError(u.U_SPACE, "{} bytes of {}".format(found.base_size, node.base.size))
    if _parts(version) < _parts(found.base_min):
        raise UpdateError(u.U_BASE_OLD, "{} here {}".format(found.base_min, version))


def _parts(version: str) -> "list[int]":
    """1.24.0 as numbers; what is no number counts as 0."""
    return [int(part) if part.isdigit() else 0 for part in (version + ".0.0").split(".")[:3]]


def history(now: "Trusted", guard: "Guard", record: "Record", manifest: bytes, sequence: int, force: bool) -> None:
    """A program is not below the floor, and has not failed here before."""
    if guard.era == now.floor_era and sequence < guard.floor:
        raise UpdateError(u.U_ROLLBACK, "{} below {}".format(sequence, guard.floor))
    failed = manifest[:NAME] in record.quarantine or record.release[:NAME] in record.quarantine
    if failed and not force:
        raise UpdateError(u.U_QUARANTINED)
