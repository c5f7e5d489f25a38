"""Root, release, campaign, epoch, and who has to have signed what; on both interpreters."""

from protocol import trust
from protocol.errors import DecodeError, EncodeError
from protocol.message import Message
from protocol.refusals import U_BAD_SIGNATURE, U_NONE, U_WRONG_ROLE
from protocol.tests import judged
from protocol.tests.expect import raises
from protocol.tests.judged import KEYS
from protocol.trust import Campaign, Epoch, Product, Release, Role, Root, Signed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

_K = ["5820" + "0{}".format(at) * 32 for at in (1, 2, 3)]
ROLES = "83" + "a3016" + "4726f6f740201038100" + "a30165" + "6275696c640201038101" + "a3016863616d706169676e0201038102"

WRITTEN: "dict[str, tuple[Message, str]]" = {
    "a role": (Role(name="build", threshold=1, keys=[3]), "a301656275696c640201038103"),
    "a role that needs a report": (
        Role(name="b", threshold=2, keys=[0, 1], report=True),
        "a40161620202038200" + "0104f5",
    ),
    "a product": (Product(name="air", roles=["build"]), "a2016361697202816562" + "75696c64"),
    "the smallest root": (
        Root(
            version=1,
            expires=9,
            keys=[b"\x01" * 32, b"\x02" * 32, b"\x03" * 32],
            roles=[Role(name=name, threshold=1, keys=[at]) for at, name in enumerate(("root", "build", "campaign"))],
        ),
        "a4" + "0101" + "0309" + "0483" + "".join(_K) + "05" + ROLES,
    ),
    "a release": (
        Release(
            product="air", version="1", sequence=1, expires=9, boards=["x"], chips=["esp32"], mpy=6, base_min="1.24",
            manifest=b"\x07" * 32, manifest_size=5, size=9, sbom=b"\x08" * 32,
        ),
        "ac" + "0163616972" + "026131" + "0301" + "0609" + "07816178" + "0881656573703332" + "0906" + "0a64312e3234"
        + "0b5820" + "07" * 32 + "0c05" + "0d09" + "0e5820" + "08" * 32,
    ),
    "a campaign": (
        Campaign(counter=1, nodes=["a-1"], action=trust.INSTALL, release=b"\x07" * 32, expires=9),
        "a5" + "0101" + "0281" + "63612d31" + "0301" + "045820" + "07" * 32 + "0709",
    ),
    "a campaign of a group, with spans": (
        Campaign(counter=1, nodes=["a-1"], action=trust.BOOT, expires=9, group=7, fetch=[2, 5, 6, 8], switch=[3, 4]),
        "a7" + "0101" + "0281" + "63612d31" + "0303" + "0709" + "0b07" + "0c8402050608" + "0d820304",
    ),
    "an epoch that halts nothing": (Epoch(number=1), "a10101"),
    "an epoch": (Epoch(number=2, issued=9, halted=[7, 500]), "a3" + "0102" + "0209" + "0382071901f4"),
    "an envelope": (Signed(document=b"\xa0", signatures=[b"\x80"], root=2), "a30141a00281418003" + "02"),
    "an envelope that nobody has signed": (Signed(document=b"\xa0"), "a10141a0"),
}  # fmt: skip

_NODE = {1: 1, 2: ["a-1"], 3: 1, 7: 9}
REFUSED: "dict[str, tuple[type[Message], Any, str]]" = {
    "an envelope of nothing": (Signed, {1: b""}, "Signed.document out of range"),
    "a document that is too long": (Signed, {1: bytes(1537)}, "Signed.document out of range"),
    "too many signatures": (Signed, {1: b"\xa0", 2: [b""] * 9}, "Signed.signatures out of range"),
    "a threshold of nobody": (Role, {1: "r", 2: 0, 3: [1]}, "Role.threshold out of range"),
    "a role of nobody": (Role, {1: "r", 2: 1, 3: []}, "Role.keys out of range"),
    "a product without roles": (Product, {1: "air", 2: []}, "Product.roles out of range"),
    "a root without an end": (Root, {1: 1, 4: [b""], 5: [{1: "r", 2: 1, 3: [0]}]}, "Root.expires missing"),
    "a release without its manifest": (
        Release,
        {1: "a", 2: "1", 3: 1, 6: 9, 7: ["x"], 8: ["c"], 9: 6, 10: "1"},
        "Release.manifest missing",
    ),
    "a campaign of the counter 0": (Campaign, {1: 0, 2: ["a-1"], 3: 1, 7: 9}, "Campaign.counter out of range"),
    "a campaign for nobody": (Campaign, {1: 1, 2: [], 3: 1, 7: 9}, "Campaign.nodes out of range"),
    "an action that does not exist": (Campaign, {1: 1, 2: ["a-1"], 3: 4, 7: 9}, "Campaign.action out of range"),
    "a campaign without an end": (Campaign, {1: 1, 2: ["a-1"], 3: 1}, "Campaign.expires missing"),
    "more than eight spans": (Campaign, dict(list(_NODE.items()) + [(13, [1] * 17)]), "Campaign.switch out of range"),
    "a span that is no number": (Campaign, dict(list(_NODE.items()) + [(12, ["1"])]), "Campaign.fetch is not an int"),
    "an epoch without a number": (Epoch, {3: [1]}, "Epoch.number missing"),
    "an epoch of the number 0": (Epoch, {1: 0}, "Epoch.number out of range"),
    "an epoch that halts too much": (Epoch, {1: 1, 3: [1] * 33}, "Epoch.halted out of range"),
    "a digest that is too long": (
        Campaign,
        dict(list(_NODE.items()) + [(4, bytes(33))]),
        "Campaign.release out of range",
    ),
}


def root(**changes: "Any") -> Root:
    """The root of the table, but."""
    found = Root.decode(judged.ROOT.encode())
    for name, value in changes.items():
        setattr(found, name, value)
    return found


def roles(*changed: Role) -> "list[Role]":
    """The roles of the table, with these in the place of theirs, or behind them."""
    names = [role.name for role in changed]
    return [role for role in judged.ROOT.roles if role.name not in names] + list(changed)


_KEYS = "Root.keys of another size or twice"
_ROLE_KEYS = "Role.keys without a key or twice"
_PRODUCT = "Product.roles without build or unknown"
SENSELESS: "dict[str, tuple[Callable[[], Root], str]]" = {
    "a key of 31 bytes": (lambda: root(keys=KEYS[:7] + [bytes(31)]), _KEYS),
    "a key twice": (lambda: root(keys=KEYS[:7] + KEYS[:1]), _KEYS),
    "no role build": (
        lambda: root(roles=[role for role in judged.ROOT.roles if role.name != "build"]),
        "Root.roles twice or missing",
    ),
    "a role twice": (lambda: root(roles=judged.ROOT.roles + judged.ROOT.roles[:1]), "Root.roles twice or missing"),
    "a key that is not there": (lambda: root(roles=roles(Role(name="build", threshold=1, keys=[8]))), _ROLE_KEYS),
    "a key before the first": (lambda: root(roles=roles(Role(name="build", threshold=1, keys=[-1]))), _ROLE_KEYS),
    "a key that counts twice": (lambda: root(roles=roles(Role(name="build", threshold=2, keys=[3, 3]))), _ROLE_KEYS),
    "a threshold that nobody reaches": (
        lambda: root(roles=roles(Role(name="build", threshold=3, keys=[3, 4]))),
        "Role.threshold above its keys",
    ),
    "the online key among the builders": (
        lambda: root(roles=roles(Role(name="build", threshold=1, keys=[3, 6]))),
        "Role.keys with the one that is online",
    ),
    "an offline key that is put online": (
        lambda: root(roles=roles(Role(name="campaign", threshold=1, keys=[0]))),
        "Role.keys with the one that is online",
    ),
    "a product twice": (lambda: root(products=judged.ROOT.products * 2), "Root.products twice"),
    "a product that needs no builder": (lambda: root(products=[Product(name="air", roles=["bench"])]), _PRODUCT),
    "a product that needs a role which is not there": (
        lambda: root(products=[Product(name="air", roles=["build", "city"])]),
        _PRODUCT,
    ),
}


def test_documents_are_written_as_the_tables_say_and_read_back() -> None:
    for what, (message, text) in WRITTEN.items():
        data = bytes.fromhex(text)
        assert message.encode() == data, (what, message.encode().hex())
        assert message.__class__.decode(data) == message, what


def test_a_root_that_cannot_be_meant_is_refused() -> None:
    assert trust.load_root(judged.ROOT.encode()) == judged.ROOT
    for what, (make, reason) in SENSELESS.items():
        error = raises(DecodeError, trust.load_root, make().encode())
        assert str(error) == reason, (what, str(error))


def test_who_signed_enough() -> None:
    for what, (kind, signers, code) in judged.JUDGED.items():
        places = [(None if at == judged.STRANGER else at) for at, _ in signers]
        seen = [
            (place, flaw in ("", judged.REPORTED), judged.REPORT if flaw == judged.REPORTED else b"")
            for place, (_, flaw) in zip(places, signers)
        ]
        assert trust.fault_of(judged.ROOT, judged.ROLES[kind], seen) == code, what


def test_nobody_needed_is_nobody_trusted() -> None:
    assert trust.fault_of(judged.ROOT, [], [(3, True, b"")]) == U_WRONG_ROLE
    assert trust.fault_of(judged.ROOT, [], [(3, False, b"")]) == U_BAD_SIGNATURE
    raises(DecodeError, trust.fault_of, judged.ROOT, ["city"], [(3, True, b"")])


def test_a_product_needs_its_builders_first_and_any_other_product_too() -> None:
    assert trust.roles_for(judged.ROOT, "air") == ["build", "bench"]
    assert trust.roles_for(judged.ROOT, "light") == ["build"]
    light = [(3, True, b""), (4, True, b"")]
    assert trust.fault_of(judged.ROOT, trust.roles_for(judged.ROOT, "light"), list(light)) == U_NONE


def test_a_key_is_found_by_its_kid_alone() -> None:
    for at, key in enumerate(KEYS):
        assert trust.key_at(judged.ROOT, trust.cose.kid(key)) == at
    assert trust.key_at(judged.ROOT, bytes(8)) is None


KEPT = {
    "nothing has changed": ([3, 4, 7], 2, KEYS, False),
    "one of three builders is replaced": ([3, 4, 7], 2, KEYS[:3] + [b"\x51" * 32] + KEYS[4:], False),
    "so many are replaced that old signatures are too few": (
        [3, 4, 7],
        2,
        KEYS[:3] + [b"\x51" * 32, b"\x52" * 32] + KEYS[5:],
        True,
    ),
    "all builders are replaced": (
        [3, 4, 7],
        2,
        KEYS[:3] + [b"\x51" * 32, b"\x52" * 32] + KEYS[5:7] + [b"\x53" * 32],
        True,
    ),
    "the keys are the same in other places": ([0, 1, 2], 2, [KEYS[4], KEYS[7], KEYS[3]] + KEYS[:3] + KEYS[5:7], False),
    "the threshold is lowered": ([3, 4, 7], 1, KEYS, False),
    "another role's key becomes a builder's": ([2, 5], 2, KEYS, False),
}


def test_a_floor_is_kept_as_long_as_old_signatures_could_reach_the_threshold() -> None:
    for what, (places, threshold, keys, starts_anew) in KEPT.items():
        later = root(version=2, keys=keys, roles=roles(Role(name="build", threshold=threshold, keys=places)))
        assert trust.voids(judged.ROOT, later, "build") is starts_anew, what


def test_a_counter_starts_anew_with_a_new_online_key() -> None:
    assert not trust.voids(judged.ROOT, root(version=2), "campaign")
    assert trust.voids(judged.ROOT, root(version=2, keys=KEYS[:6] + [b"\x51" * 32] + KEYS[7:]), "campaign")


def test_the_largest_documents_fit_their_bounds() -> None:
    most = Release(
        product="p" * 8, version="v" * 32, sequence=0xFFFFFFFF, floor=0xFFFFFFFF, issued=1, expires=0xFFFFFFFF,
        boards=["b" * 32] * 16, chips=["c" * 8] * 8, mpy=255, base_min="1" * 16, manifest=bytes(32),
        manifest_size=32768, size=0xFFFFFF, sbom=bytes(32), kind=2, cves=["CVE-2026-12345"] * 16,
        support_until=0xFFFFFFFF, base_version="1" * 16, base_size=0xFFFFFF, base=bytes(32), source="s" * 64,
    )  # fmt: skip
    addressed = Campaign(
        counter=0xFFFFFFFF, nodes=["n" * 32] * 16, action=3, release=bytes(32), manifest=bytes(32), expires=0xFFFFFFFF,
        nonce=bytes(32), group=0xFFFFFFFF, fetch=[0xFFFFFFFF] * 16, switch=[0xFFFFFFFF] * 16,
    )  # fmt: skip
    halting = Epoch(number=0xFFFFFFFF, issued=0xFFFFFFFF, halted=[0xFFFFFFFF] * trust.MAX_HALTED)
    keys = [bytes([at]) * 32 for at in range(16)]
    many = [Role(name="role-{:011}".format(at), threshold=8, keys=list(range(8, 16)), report=True) for at in range(5)]
    three = [Role(name=name, threshold=1, keys=[at]) for at, name in enumerate(("root", "build", "campaign"))]
    wide = Root(
        version=1, expires=9, keys=keys, roles=three + many, products=[Product(name="air", roles=["build"])] * 2
    )
    longest = trust.cose.assemble(trust.cose.protected(trust.CAMPAIGN_TYPE, bytes(32)), bytes(8), bytes(64))
    for document in (most, addressed, wide, halting):
        data = document.encode()
        assert document.__class__.decode(data) == document
        signed = Signed(document=data, signatures=[longest] * trust.MAX_SIGNATURES, root=0xFFFFFFFF)
        assert Signed.decode(signed.encode()) == signed
        assert document is not halting or len(signed.encode()) <= trust.MAX_EPOCH
    raises(EncodeError, Signed(document=bytes(trust.MAX_DOCUMENT + 1)).encode)
