"""The signed documents of an update: root, release, campaign, epoch; and who has to have signed what (SPEC 14).

A document travels in an envelope `Signed`: its bytes, and signatures over the digest of these bytes. Nothing is signed
by encoding an object again. Both ends use this file; only the arithmetic of Ed25519 is brought by each.
"""

from protocol import cose
from protocol.errors import DecodeError
from protocol.message import Message
from protocol.refusals import (
    U_BAD_SIGNATURE,
    U_NO_REPORT,
    U_NONE,
    U_ROLE_MISSING,
    U_TOO_FEW,
    U_UNKNOWN_KEY,
    U_UNSIGNED,
    U_WRONG_ROLE,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from protocol.cose import Sign1

_U32 = 0xFFFFFFFF
ROOT_TYPE = "application/vnd.lumenair.root"  # COSE typ of each document
RELEASE_TYPE = "application/vnd.lumenair.release"
CAMPAIGN_TYPE = "application/vnd.lumenair.campaign"
EPOCH_TYPE = "application/vnd.lumenair.epoch"

# Roles that every root has
ROOT = "root"
BUILD = "build"
CAMPAIGN = "campaign"
BENCH = "bench"  # and the usual name of the one that signs over a report

# Release.kind
FEATURE = 1
SECURITY = 2

# Campaign.action
INSTALL = 1
STOP = 2
BOOT = 3

MAX_DOCUMENT = 1536  # bytes of one document
MAX_SIGNATURES = 8
MAX_SPANS = 16  # numbers: eight spans
MAX_HALTED = 32
MAX_EPOCH = 2048  # bytes of the envelope of an epoch


class Signed(Message):
    """A document and its signatures. `root` is a hint that is not signed: the version of the root that they need."""

    MAX_SIZE = 4096
    MAX_ITEMS = 32
    FIELDS = (
        (1, "document", bytes, 1, MAX_DOCUMENT),
        (2, "signatures", [bytes], 0, MAX_SIGNATURES),
        (3, "root", int, 0, _U32),
    )
    document: bytes  # encoded Root, Release, Campaign or Epoch
    signatures: "list[bytes]" = []  # COSE_Sign1, each by another key
    root: int = 0  # version of the root that has the keys; 0 = the one that the receiver has


class Role(Message):
    """Who may sign what."""

    FIELDS = (
        (1, "name", str, 1, 16),
        (2, "threshold", int, 1, MAX_SIGNATURES),
        (3, "keys", [int], 1, 16),
        (4, "report", bool, 0, 0),
    )
    name: str  # root, build, campaign, bench or another
    threshold: int  # keys that have to sign
    keys: "list[int]"  # their places in Root.keys, from 0
    report: bool = False  # each signature has to name the report that its signer has seen


class Product(Message):
    """What a release for a product needs."""

    FIELDS = (
        (1, "name", str, 1, 8),
        (2, "roles", [str], 1, 4),
    )
    name: str  # "air" or "light"
    roles: "list[str]"  # each has to have signed with its threshold


class Root(Message):
    """Whom a node trusts. The first is pinned at provisioning; each next one is signed by the keys of both."""

    MAX_SIZE = MAX_DOCUMENT
    MAX_ITEMS = 256
    FIELDS = (
        (1, "version", int, 1, _U32),
        (2, "issued", int, 0, _U32),
        (3, "expires", int, 1, _U32),
        (4, "keys", [bytes], 1, 16),
        (5, "roles", [Role], 1, 8),
        (6, "products", [Product], 0, 8),
        (7, "recovery", [str], 0, 4),
        (8, "recovery_s", int, 3600, _U32),
    )
    version: int  # grows by one with each change
    issued: int = 0  # seconds since 1970 UTC
    expires: int  # seconds since 1970 UTC: nothing new is accepted under it afterwards, but the next root
    keys: "list[bytes]"  # Ed25519 public keys
    roles: "list[Role]"  # at least root, build and campaign
    products: "list[Product]" = []  # what is not named here needs the role build
    recovery: "list[str]" = []  # brokers "host:port" for a node that has lost its own
    recovery_s: int = 604800  # how long it has to have lost them


class Release(Message):
    """One program for one product, signed offline. It names its manifest, and that names every file."""

    MAX_SIZE = MAX_DOCUMENT
    MAX_ITEMS = 128
    FIELDS = (
        (1, "product", str, 1, 8),
        (2, "version", str, 1, 32),
        (3, "sequence", int, 1, _U32),
        (4, "floor", int, 0, _U32),
        (5, "issued", int, 0, _U32),
        (6, "expires", int, 1, _U32),
        (7, "boards", [str], 1, 16),
        (8, "chips", [str], 1, 8),
        (9, "mpy", int, 0, 255),
        (10, "base_min", str, 1, 16),
        (11, "manifest", bytes, 32, 32),
        (12, "manifest_size", int, 1, 32768),
        (13, "size", int, 1, 0xFFFFFF),
        (14, "sbom", bytes, 32, 32),
        (15, "kind", int, FEATURE, SECURITY),
        (16, "cves", [str], 0, 16),
        (17, "support_until", int, 0, _U32),
        (18, "base_version", str, 0, 16),
        (19, "base_size", int, 0, 0xFFFFFF),
        (20, "base", bytes, 0, 32),
        (21, "source", str, 0, 64),
    )
    product: str  # "air" or "light"
    version: str  # of the program
    sequence: int  # grows with every release of a product
    floor: int = 0  # once confirmed, a node refuses releases with a lower sequence
    issued: int = 0  # seconds since 1970 UTC
    expires: int  # seconds since 1970 UTC: not installed afterwards
    boards: "list[str]"  # pin maps that it serves: the board class
    chips: "list[str]"  # esp32, esp32s3 ...
    mpy: int  # version of the .mpy format
    base_min: str  # oldest MicroPython that it runs on, "1.24.0"
    manifest: bytes  # SHA-256 of the manifest
    manifest_size: int  # bytes of the manifest
    size: int  # bytes of all files of the slot, the manifest left out
    sbom: bytes  # SHA-256 of the bill of materials (CycloneDX JSON)
    kind: int = FEATURE  # FEATURE or SECURITY
    cves: "list[str]" = []  # what it mends
    support_until: int = 0  # seconds since 1970 UTC: end of support; 0 = not stated
    base_version: str = ""  # MicroPython that comes with it; empty = none does
    base_size: int = 0  # bytes of its image
    base: bytes = b""  # SHA-256 of its image
    source: str = ""  # commit that it was built from


class Campaign(Message):
    """An order of the manager, signed online: what these nodes shall do with what others signed."""

    MAX_SIZE = MAX_DOCUMENT
    MAX_ITEMS = 128
    FIELDS = (
        (1, "counter", int, 1, _U32),
        (2, "nodes", [str], 1, 16),
        (3, "action", int, INSTALL, BOOT),
        (4, "release", bytes, 0, 32),
        (5, "manifest", bytes, 0, 32),
        (6, "issued", int, 0, _U32),
        (7, "expires", int, 1, _U32),
        (8, "nonce", bytes, 0, 32),
        (9, "now", bool, 0, 0),
        (10, "force", bool, 0, 0),
        (11, "group", int, 0, _U32),
        (12, "fetch", [int], 0, MAX_SPANS),
        (13, "switch", [int], 0, MAX_SPANS),
    )
    counter: int  # grows with every order to a node
    nodes: "list[str]"  # ids
    action: int  # INSTALL, STOP, BOOT
    release: bytes = b""  # INSTALL: SHA-256 of the release document
    manifest: bytes = b""  # BOOT: SHA-256 of the manifest of the program in the other slot
    issued: int = 0  # seconds since 1970 UTC
    expires: int  # seconds since 1970 UTC: not begun afterwards
    nonce: bytes = b""  # for the proof of what runs afterwards
    now: bool = False  # restart also while the node should better not, as a lamp at night
    force: bool = False  # also what failed on this node before
    group: int = 0  # that an epoch can halt; 0 = none
    fetch: "list[int]" = []  # begin, end, begin, end ... in seconds since 1970 UTC: fetched then only; empty = always
    switch: "list[int]" = []  # likewise: restarted into the new program then only


class Epoch(Message):
    """What nobody goes on with: campaigns of these groups, wherever they are. For every node; the greatest counts."""

    MAX_SIZE = 512
    MAX_ITEMS = 64
    FIELDS = (
        (1, "number", int, 1, _U32),
        (2, "issued", int, 0, _U32),
        (3, "halted", [int], 0, MAX_HALTED),
    )
    number: int  # grows with every epoch
    issued: int = 0  # seconds since 1970 UTC
    halted: "list[int]" = []  # Campaign.group


DOCUMENTS = (Signed, Role, Product, Root, Release, Campaign, Epoch)


def load_root(data: bytes) -> Root:
    """The root in `data`; raises DecodeError also for one that cannot be meant: keys twice, roles without keys."""
    root = Root.decode(data)
    kids = [cose.kid(key) for key in root.keys]
    if any(len(key) != cose.PUBLIC_SIZE for key in root.keys) or _twice(kids):
        raise DecodeError("Root.keys of another size or twice")
    names = [role.name for role in root.roles]
    if _twice(names) or not all(name in names for name in (ROOT, BUILD, CAMPAIGN)):
        raise DecodeError("Root.roles twice or missing")
    online = role_of(root, CAMPAIGN).keys
    for role in root.roles:
        _check_role(role, len(root.keys), online)
    if _twice([product.name for product in root.products]):
        raise DecodeError("Root.products twice")
    for product in root.products:
        if BUILD not in product.roles or not all(name in names for name in product.roles):
            raise DecodeError("Product.roles without build or unknown")
    return root


def _twice(items: "list[Any]") -> bool:
    return len(set(items)) != len(items)


def _check_role(role: Role, count: int, online: "list[int]") -> None:
    if _twice(role.keys) or not all(0 <= at < count for at in role.keys):
        raise DecodeError("Role.keys without a key or twice")
    if role.threshold > len(role.keys):
        raise DecodeError("Role.threshold above its keys")
    if role.name != CAMPAIGN and any(at in online for at in role.keys):
        raise DecodeError("Role.keys with the one that is online")


def role_of(root: Root, name: str) -> Role:
    """The role of that name; raises DecodeError when the root has none."""
    for role in root.roles:
        if role.name == name:
            return role
    raise DecodeError("no such role")


def roles_for(root: Root, product: str) -> "list[str]":
    """The roles that have to have signed a release of a product, `build` first."""
    for row in root.products:
        if row.name == product:
            return [BUILD] + [name for name in row.roles if name != BUILD]
    return [BUILD]


def parse_signatures(signed: Signed) -> "list[Sign1]":
    """The signatures, taken apart; raises DecodeError when one is none. One of another `typ` does not hold."""
    return [cose.parse(data) for data in signed.signatures]


def key_at(root: Root, kid: bytes) -> "int | None":
    """The place of the key that is called so, or None."""
    for at, key in enumerate(root.keys):
        if cose.kid(key) == kid:
            return at
    return None


def voids(old: Root, new: Root, name: str) -> bool:
    """True when nothing that was signed under `old` can pass for signed by the role under `new`, its next root.

    What a node keeps against replaying (its floor with the role build, the counter with the role campaign) then guards
    against nothing, and may have been pushed up by whoever had the keys: it starts anew (SPEC 14.9).
    """
    role = role_of(new, name)
    return len([at for at in role.keys if new.keys[at] in old.keys]) < role.threshold


def fault_of(root: Root, names: "list[str]", signers: "list[tuple[int | None, bool, bytes]]") -> int:
    """U_NONE when every role of `names` (at least one) has signed with its threshold, else why not, as U_*.

    `signers` has for each signature (place of its key in the root or None, whether it holds, its report or b"").
    Keys are counted, not signatures. A signature that does not hold under a key of the root spoils the whole: nobody
    honest makes one.
    """
    if not signers:
        return U_UNSIGNED
    if all(at is None for at, _, _ in signers):
        return U_UNKNOWN_KEY
    if any(at is not None and not holds for at, holds, _ in signers):
        return U_BAD_SIGNATURE
    for name in names:
        fault = _role_fault(role_of(root, name), signers, name == names[0])
        if fault:
            return fault
    return U_NONE if names else U_WRONG_ROLE


def _role_fault(role: Role, signers: "list[tuple[int | None, bool, bytes]]", is_first: bool) -> int:
    signed = {at for at, _, _ in signers if at in role.keys}
    if not signed:
        return U_WRONG_ROLE if is_first else U_ROLE_MISSING
    if role.report:
        signed = {at for at, _, report in signers if at in role.keys and report}
        if not signed:
            return U_NO_REPORT
    return U_NONE if len(signed) >= role.threshold else U_TOO_FEW
