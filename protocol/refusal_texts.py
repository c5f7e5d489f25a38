"""What the codes of `refusals.py` mean, for people. Host side only."""

from protocol import refusals

TEXTS = {
    refusals.U_NONE: "no fault",
    refusals.U_MALFORMED: "not a document of this contract",
    refusals.U_UNSIGNED: "the release is not signed",
    refusals.U_UNKNOWN_KEY: "the release is signed by nobody whom the node trusts",
    refusals.U_BAD_SIGNATURE: "a signature of the release does not hold",
    refusals.U_WRONG_ROLE: "the release is signed by nobody who may sign releases",
    refusals.U_TOO_FEW: "the release has fewer signatures than the threshold of a role",
    refusals.U_ROLE_MISSING: "a role that the product requires has not signed the release",
    refusals.U_NO_REPORT: "a signature does not name the report that it needs",
    refusals.U_EXPIRED: "the release has expired",
    refusals.U_ROLLBACK: "the release is older than the node's security floor allows",
    refusals.U_PRODUCT: "the release is for another product",
    refusals.U_BOARD: "the release is for another board",
    refusals.U_CHIP: "the release is for another chip",
    refusals.U_ABI: "the release is compiled for another version of .mpy",
    refusals.U_BASE_OLD: "the release needs a newer MicroPython",
    refusals.U_MIXED: "the manifest is not the one of the release",
    refusals.U_PATH: "a path leaves the slot",
    refusals.U_OVERSIZE: "more data than was signed",
    refusals.U_FILE: "a file is not what the manifest says",
    refusals.U_PAYLOAD: "the payload is damaged",
    refusals.U_OTHER_RELEASE: "not the release that the campaign names",
    refusals.U_CAMPAIGN_FORGED: "the campaign is not signed by the fleet manager",
    refusals.U_CAMPAIGN_STALE: "the campaign has expired",
    refusals.U_CAMPAIGN_REPLAYED: "the campaign is an old one",
    refusals.U_NOT_ADDRESSED: "the campaign is for another node",
    refusals.U_HALTED: "its rollout was halted",
    refusals.U_EPOCH_FORGED: "an epoch that is not signed by the online key",
    refusals.U_NO_ROOT: "the node was provisioned without a root: it takes no updates",
    refusals.U_ROOT_OLD: "the new root lacks the signatures of the old one's keys",
    refusals.U_ROOT_NEW: "the new root lacks the signatures of its own keys",
    refusals.U_ROOT_VERSION: "the new root is not the next one",
    refusals.U_ROOT_EXPIRED: "the root has expired",
    refusals.U_SPACE: "the file system has no room for the update",
    refusals.U_STORAGE: "the flash refuses to be written",
    refusals.U_QUARANTINED: "the program has failed on this node before",
    refusals.U_TIME: "the node does not know the time",
    refusals.U_NO_SLOT: "the other slot does not hold that program",
    refusals.U_NO_PARTITION: "the board has no second application partition",
    refusals.U_IMAGE: "the base image is not what was signed",
    refusals.U_UNAVAILABLE: "the fleet manager does not have it",
    refusals.U_LOOP: "begun too often without an end",
    refusals.U_STOPPED: "stopped by the fleet manager",
    refusals.U_MEMORY: "not enough memory",
    refusals.U_INTERNAL: "a fault of the node's program",
    refusals.U_WINDOW: "it waits for its window",
    refusals.U_CRASHED: "the new program ended with an exception",
    refusals.U_HUNG: "the new program hung: the watchdog ended it",
    refusals.U_RESTARTED: "the new program restarted without a word",
    refusals.U_UNCONFIRMED: "the new program did not prove itself in time",
    refusals.U_UNREACHED: "the new program never reached the broker",
    refusals.U_POWER: "power cuts used up the tries",
    refusals.U_BASE_REVERTED: "the bootloader went back to the base image before",
}

NAMES = {value: name for name, value in vars(refusals).items() if name.startswith("U_")}


def text(code: int) -> str:
    """What a code means; a newer node may send codes that this table does not know."""
    return TEXTS.get(code, f"code {code}")
