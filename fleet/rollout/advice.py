"""What an operator can do about each reason for which a node is not where it shall be. A test demands every row."""

from collections.abc import Mapping

from fleet.rollout.model import Hold, Stage
from protocol import messages, refusals

WAIT = "nothing: it passes by itself"
_BUILD = "a fault of the release: build and publish it again, and plan a rollout of that"
_SIGN = "have the missing roles sign the release, publish it again, and plan a rollout of that"
_PLAN = "plan the rollout with a release for it, or leave it out with --where"
_ROOT = "`fleet key list` shows which keys the root names; make the next root with `fleet key draft`"
_AGAIN = "`fleet rollout retry` queues it again"
_TRACE = "`fleet node logs` has its last words; nodes that fail alike are a fault of the release"
_BOARD = "look at the board: `fleet node show` and `fleet node logs`; it may need a new flash or a bench"
_KEYS = "the manager's online key or the broker's rights are not what the node trusts: `fleet doctor`, `fleet key list`"

# What a node says, or the plan foresaw (U_* of protocol.refusals)
CODES: Mapping[int, str] = {
    refusals.U_NONE: WAIT,
    refusals.U_MALFORMED: _BUILD,
    refusals.U_UNSIGNED: _SIGN,
    refusals.U_UNKNOWN_KEY: _ROOT,
    refusals.U_BAD_SIGNATURE: _BUILD,
    refusals.U_WRONG_ROLE: _SIGN,
    refusals.U_TOO_FEW: _SIGN,
    refusals.U_ROLE_MISSING: _SIGN,
    refusals.U_NO_REPORT: "sign with the report of the bench: `fleet release sign --report`",
    refusals.U_EXPIRED: _BUILD,
    refusals.U_ROLLBACK: "choose a release at or above the node's security floor (`fleet node show`)",
    refusals.U_PRODUCT: _PLAN,
    refusals.U_BOARD: _PLAN,
    refusals.U_CHIP: _PLAN,
    refusals.U_ABI: "bring a release with a base image first, or build for its MicroPython",
    refusals.U_BASE_OLD: "bring a release with a base image first",
    refusals.U_MIXED: _BUILD,
    refusals.U_PATH: _BUILD,
    refusals.U_OVERSIZE: _BUILD,
    refusals.U_FILE: _BUILD,
    refusals.U_PAYLOAD: _AGAIN,
    refusals.U_OTHER_RELEASE: _BUILD,
    refusals.U_CAMPAIGN_FORGED: _KEYS,
    refusals.U_CAMPAIGN_STALE: _AGAIN + "; its clock may be wrong",
    refusals.U_CAMPAIGN_REPLAYED: "the database may be a restored one: " + _AGAIN,
    refusals.U_NOT_ADDRESSED: _KEYS,
    refusals.U_HALTED: "`fleet rollout resume` orders it anew",
    refusals.U_EPOCH_FORGED: _KEYS,
    refusals.U_NO_ROOT: "provision it again once the fleet has a root (`fleet key list`)",
    refusals.U_ROOT_OLD: _ROOT,
    refusals.U_ROOT_NEW: _ROOT,
    refusals.U_ROOT_VERSION: "publish every root between its own and the present one: `fleet key list`",
    refusals.U_ROOT_EXPIRED: _ROOT,
    refusals.U_SPACE: "make the release smaller (`fleet release show`), or let its outbox drain",
    refusals.U_STORAGE: "its flash wears out: replace the board",
    refusals.U_QUARANTINED: "find out why it failed; --force of `fleet node update` tries it again",
    refusals.U_TIME: "it waits for the time: look whether it reaches the time server",
    refusals.U_NO_SLOT: "there is nothing to go back to: install a release instead",
    refusals.U_NO_PARTITION: "leave it out, or choose a release without a base image",
    refusals.U_IMAGE: _BUILD,
    refusals.U_UNAVAILABLE: "`fleet release list`: is the release there still, and the service running?",
    refusals.U_LOOP: _BOARD,
    refusals.U_STOPPED: _AGAIN,
    refusals.U_MEMORY: "`fleet node command NODE reboot`, then " + _AGAIN,
    refusals.U_INTERNAL: _TRACE,
    refusals.U_WINDOW: WAIT,
    refusals.U_CRASHED: _TRACE,
    refusals.U_HUNG: _TRACE,
    refusals.U_RESTARTED: _TRACE,
    refusals.U_UNCONFIRMED: _TRACE,
    refusals.U_UNREACHED: "its network failed, or the release cannot reach it: look at others first, then " + _AGAIN,
    refusals.U_POWER: "its power fails: look at the supply, then " + _AGAIN,
    refusals.U_BASE_REVERTED: _TRACE,
}

# What a node says of a configuration (E_* of protocol.messages): meaning, advice
CONFIG_CODES: Mapping[int, tuple[str, str]] = {
    messages.E_NONE: ("no fault", WAIT),
    messages.E_UNKNOWN: ("it does not know a setting", "its firmware is older than the setting: update it first"),
    messages.E_ARGUMENT: ("a value is out of its range", "docs/reference/settings.md has the ranges"),
    messages.E_BUSY: ("it is busy", _AGAIN),
    messages.E_HARDWARE: ("its hardware does not answer", _BOARD),
    messages.E_STATE: ("not possible now", _AGAIN),
    messages.E_INTERNAL: ("an error inside the node", _TRACE),
    messages.E_PROBATION: (
        "it lost the broker with them and took them back",
        "the values cut it off: look at keep-alive and broker",
    ),
    messages.E_STORAGE: ("it cannot store them", _BOARD),
}

HOLDS: Mapping[Hold, str] = {
    Hold.DRAFT: "`fleet rollout start`",
    Hold.APPROVAL: "`fleet rollout approve`, by somebody who may",
    Hold.PAUSED: "`fleet rollout resume`",
    Hold.HALTED: "look at `fleet rollout status`, then `resume`, `abort` or `undo`",
    Hold.ENDED: "plan another rollout for it",
    Hold.WAVE: WAIT,
    Hold.SOAK: WAIT,
    Hold.VERDICT: "`fleet rollout evidence` shows what is known so far; `promote` goes on without it",
    Hold.THRESHOLD: "`fleet rollout status` shows who is missing; `promote` goes on without them",
    Hold.QUARANTINE: "find out why it failed; it is left alone until then",
    Hold.BACKOFF: WAIT,
    Hold.OTHER_ROLLOUT: "`fleet rollout list` shows the other one",
    Hold.OFFLINE: "it is ordered as soon as it is heard: look at its power and network",
    Hold.DOWNLOAD_WINDOW: WAIT,
    Hold.SWITCH_WINDOW: "no switch window opens in time: a longer deadline, or another window",
    Hold.DAYLIGHT: "no daylight in the switch window: a window by day, or places.dark_hours = false",
    Hold.NEIGHBOUR: WAIT,
    Hold.DISTRICT: "too few stations of its district measure: bring the others back first",
    Hold.JITTER: WAIT,
    Hold.RATE: WAIT,
    Hold.IN_FLIGHT: WAIT,
}

STAGES: Mapping[Stage, str] = {
    Stage.QUEUED: WAIT,
    Stage.ORDERED: WAIT,
    Stage.ACTIVE: WAIT,
    Stage.TRIAL: WAIT,
    Stage.PROVED: "",
    Stage.FAILED: _AGAIN,
    Stage.REJECTED: "remove its reason, then plan another rollout for it",
    Stage.REVERTED: _TRACE,
    Stage.TIMED_OUT: "look what keeps it: `fleet node logs`; " + _AGAIN,
    Stage.DARK: "look at its power and network; when it is back, " + _AGAIN,
    Stage.SUPERSEDED: "the newer order counts: `fleet node show`",
    Stage.STOPPED: "plan another rollout for it",
    Stage.REMOVED: "there is no way back: a retired node takes no updates",
}
