"""Documents under a root of fixed keys, who signed them, and what a receiver makes of that (SPEC 14).

For both interpreters. `tools/vectors.py` makes the signatures. The secret keys are those of `SEEDS` and open nothing.
"""

from protocol import trust
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
from protocol.trust import Campaign, Epoch, Product, Release, Role, Root

T = 1_785_758_400  # 2026-08-03 12:00:00 UTC
YEAR = 31_536_000
SEEDS = [bytes([number]) * 32 for number in range(1, 10)]
KEYS = [
    bytes.fromhex(text)
    for text in (
        "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c",
        "8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394",
        "ed4928c628d1c2c6eae90338905995612959273a5c63f93636c14614ac8737d1",
        "ca93ac1705187071d67b83c7ff0efe8108e8ec4530575d7726879333dbdabe7c",
        "6e7a1cdd29b0b78fd13af4c5598feff4ef2a97166e3ca6f2e4fbfccd80505bf1",
        "8a875fff1eb38451577acd5afee405456568dd7c89e090863a0557bc7af49f17",
        "ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c",
        "1398f62c6d1a457c51ba6a4b5f3dbd2f69fca93216218dc8997e416bd17d93ca",
    )
]
STRANGER = 8  # place of the seed of a key that the root does not have
REPORT = bytes(range(32))

ROOT = Root(
    version=1, issued=T, expires=T + 10 * YEAR, keys=KEYS, recovery=["broker.example:8883"],
    roles=[
        Role(name="root", threshold=2, keys=[0, 1, 2]), Role(name="build", threshold=2, keys=[3, 4, 7]),
        Role(name="bench", threshold=1, keys=[5, 7], report=True), Role(name="campaign", threshold=1, keys=[6]),
    ],
    products=[Product(name="air", roles=["bench", "build"])],
)  # fmt: skip
RELEASE = Release(
    product="air", version="1.4.0", sequence=12, floor=9, issued=T, expires=T + YEAR, boards=["esp32_air"],
    chips=["esp32", "esp32s3"], mpy=6, base_min="1.24.0", manifest=b"\x11" * 32, manifest_size=2625, size=70_341,
    sbom=b"\x22" * 32, kind=trust.SECURITY, cves=["CVE-2026-0001"], support_until=T + 5 * YEAR, source="4691715",
)  # fmt: skip
CAMPAIGN = Campaign(
    counter=7, nodes=["air-0001", "air-0002"], action=trust.INSTALL, release=b"\x33" * 32, issued=T,
    expires=T + 86_400, nonce=b"\x44" * 16,
)  # fmt: skip
EPOCH = Epoch(number=5, issued=T, halted=[3, 4])
DOCUMENTS = {"root": ROOT, "release": RELEASE, "campaign": CAMPAIGN, "epoch": EPOCH}
TYPES = {
    "root": trust.ROOT_TYPE,
    "release": trust.RELEASE_TYPE,
    "campaign": trust.CAMPAIGN_TYPE,
    "epoch": trust.EPOCH_TYPE,
}
ROLES = {"root": ["root"], "release": ["build", "bench"], "campaign": ["campaign"], "epoch": ["campaign"]}

# What may be wrong with a signature
REPORTED = "names a report"
FLIPPED = "one bit of it is another"
OTHER = "over another document"
OTHER_TYPE = "over a document of another type"
BORROWED = "by a stranger, under the kid of that key"
HIGH = "its S is not below the order"

# what: (document, [(place of the key, what is wrong), ...], U_*)
JUDGED = {
    "a release that everybody has signed": ("release", [(3, ""), (4, ""), (5, REPORTED)], U_NONE),
    "signatures in another order": ("release", [(5, REPORTED), (4, ""), (3, "")], U_NONE),
    "a stranger beside them": ("release", [(STRANGER, ""), (3, ""), (4, ""), (5, REPORTED)], U_NONE),
    "a stranger's signature beside them that does not hold": (
        "release",
        [(3, ""), (4, ""), (5, REPORTED), (STRANGER, FLIPPED)],
        U_NONE,
    ),
    "a key that is in two roles": ("release", [(3, ""), (7, REPORTED)], U_NONE),
    "a signer who names a report that nobody asked for": ("release", [(3, REPORTED), (4, ""), (5, REPORTED)], U_NONE),
    "the bench twice, first without its report": ("release", [(3, ""), (4, ""), (5, ""), (5, REPORTED)], U_NONE),
    "the bench twice, then without its report": ("release", [(3, ""), (4, ""), (5, REPORTED), (5, "")], U_NONE),
    "nobody": ("release", [], U_UNSIGNED),
    "strangers only": ("release", [(STRANGER, "")], U_UNKNOWN_KEY),
    "a bit that was changed": ("release", [(3, FLIPPED), (4, ""), (5, REPORTED)], U_BAD_SIGNATURE),
    "a signature of another release": ("release", [(3, OTHER), (4, ""), (5, REPORTED)], U_BAD_SIGNATURE),
    "a signature of the same bytes as a campaign": (
        "release",
        [(3, OTHER_TYPE), (4, ""), (5, REPORTED)],
        U_BAD_SIGNATURE,
    ),
    "a stranger who gives a signer's kid": ("release", [(3, BORROWED), (4, ""), (5, REPORTED)], U_BAD_SIGNATURE),
    "a signature that was changed and would hold": ("release", [(3, HIGH), (4, ""), (5, REPORTED)], U_BAD_SIGNATURE),
    "one that does not hold beside enough that do": (
        "release",
        [(3, ""), (4, ""), (5, REPORTED), (7, FLIPPED)],
        U_BAD_SIGNATURE,
    ),
    "one of two builders": ("release", [(3, ""), (5, REPORTED)], U_TOO_FEW),
    "one builder twice": ("release", [(3, ""), (3, ""), (5, REPORTED)], U_TOO_FEW),
    "a release that root keys have signed": ("release", [(0, ""), (1, "")], U_WRONG_ROLE),
    "a release by a stolen online key": ("release", [(6, "")], U_WRONG_ROLE),
    "the bench alone": ("release", [(5, REPORTED)], U_WRONG_ROLE),
    "no bench": ("release", [(3, ""), (4, "")], U_ROLE_MISSING),
    "a builder's report in the place of the bench's": ("release", [(3, REPORTED), (4, "")], U_ROLE_MISSING),
    "a bench without a report": ("release", [(3, ""), (4, ""), (5, "")], U_NO_REPORT),
    "a campaign": ("campaign", [(6, "")], U_NONE),
    "a campaign by a builder": ("campaign", [(3, "")], U_WRONG_ROLE),
    "a campaign by a stranger": ("campaign", [(STRANGER, "")], U_UNKNOWN_KEY),
    "an epoch": ("epoch", [(6, "")], U_NONE),
    "an epoch by builders": ("epoch", [(3, ""), (4, "")], U_WRONG_ROLE),
    "an epoch by root keys": ("epoch", [(0, ""), (1, "")], U_WRONG_ROLE),
    "an epoch by a stranger": ("epoch", [(STRANGER, "")], U_UNKNOWN_KEY),
    "a signature of the same bytes as a campaign, over an epoch": ("epoch", [(6, OTHER_TYPE)], U_BAD_SIGNATURE),
    "an epoch that nobody has signed": ("epoch", [], U_UNSIGNED),
    "a root under itself": ("root", [(0, ""), (2, "")], U_NONE),
    "a root with one key too few": ("root", [(1, "")], U_TOO_FEW),
    "a root with one key twice": ("root", [(1, ""), (1, "")], U_TOO_FEW),
    "a root that builders have signed": ("root", [(3, ""), (4, "")], U_WRONG_ROLE),
}
