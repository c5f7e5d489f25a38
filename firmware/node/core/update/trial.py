"""What became of a program on trial: asked at the start of each run while an update is not over.

The new program learns why its last try ended, the program before why it runs again. A manifest that failed by itself is
remembered; one that may be innocent is tried again a few times.
"""

from node.core import document
from node.core.log import plain
from node.core.slots import NONE, decode, digest
from node.core.slots import PATH as POINTER
from node.core.update import record as records
from node.core.update.record import GUARD_PATH, NAME, NOW, QUARANTINED, Guard, Record
from protocol.messages import RESET_POWER_ON, RESET_WATCHDOG
from protocol.refusals import (
    U_BASE_REVERTED,
    U_CRASHED,
    U_HALTED,
    U_HUNG,
    U_IMAGE,
    U_NONE,
    U_POWER,
    U_RESTARTED,
    U_STOPPED,
    U_UNCONFIRMED,
    U_UNREACHED,
)
from protocol.update import CHECKING, CONFIRMED, FAILED, IDLE, INSTALLING, REVERTED, STOPPED, TRIAL, WAITING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from node.core.update.parts import Node

INNOCENT = (U_POWER, U_UNREACHED)
_CALLED_OFF = (U_STOPPED, U_HALTED)
_GIVEN_UP = _CALLED_OFF + (U_UNCONFIRMED, U_UNREACHED)  # this trial must not go on
RETRIES = 3  # of a trial that failed by nobody's fault
_POWER_COST = 1  # of a restart while an update is unfinished: a power cut is nobody's fault ...
_OTHER_COST = 10  # ... but whatever else ends a run may be the update's
_TEXT = 96  # bytes of Status.text


def why(cause: int, reason: str, crash: str) -> "tuple[int, str]":
    """(U_*, text) of a try: reset cause, reason of a restart on purpose, note of main.py about an exception."""
    if crash:
        return U_CRASHED, crash
    if cause == RESET_WATCHDOG:
        return U_HUNG, ""
    if cause == RESET_POWER_ON:
        return U_POWER, ""
    return U_RESTARTED, reason


def begin(node: "Node", cause: int, reason: str, crash: str) -> "tuple[bool, bool]":
    """Judge what the last run left, and keep the result. (a restart is wanted, there is work)."""
    record = document.load(node.files, records.PATH, Record)
    before = record.encode()
    if record.stage in (WAITING, TRIAL):
        code, text = why(cause, reason, crash)
        _trial(node, record, (code, plain(text, _TEXT)))
    elif IDLE < record.stage < WAITING:
        cost = _POWER_COST if cause == RESET_POWER_ON or reason else _OTHER_COST
        record.attempts = min(record.attempts + cost, 255)
    saved = record.encode() == before or document.save(node.files, records.PATH, record)
    over = record.stage == TRIAL and (record.code in _GIVEN_UP or not record.has_base(node.base))
    if over and saved:
        node.slots.settle()
    return over or record.stage == WAITING, record.untold or IDLE < record.stage < WAITING


def _trial(node: "Node", record: Record, last: "tuple[int, str]") -> None:
    slots = node.slots
    pointer = decode(node.files.read(POINTER))
    is_it = slots.manifest == record.manifest
    if is_it and slots.on_trial:
        _running(node, record, last)
    elif is_it and record.has_base(node.base):  # else it is the same program without the image that it came with
        if slots.is_kept:
            kept(node, record)
    elif pointer.trial == slots.spare and pointer.tries:
        pass  # stage 0 could not count it down: the next restart tries it
    elif record.stage == WAITING and pointer.trial == NONE:  # the pointer was not written
        node.switch, node.now = record.switch, record.flags & NOW != 0
        is_there = not record.base_from and digest(node.files, slots.spare) == record.manifest
        node.staged = is_there and len(record.switch) > 0
        if not node.staged:
            record.stage = INSTALLING  # go on
    else:
        _ended(record, last)


def _running(node: "Node", record: Record, last: "tuple[int, str]") -> None:
    """The new program runs: for the first time, or once more."""
    if record.stage != TRIAL:
        record.stage = TRIAL
        record.code = U_NONE
        record.text = ""
        record.untold = True
    elif record.code in (U_NONE, U_POWER):
        record.code, record.text = last
    if not record.has_base(node.base):
        record.untold = False  # it is over: the program before says so
        if record.code == U_NONE:  # the image did not get as far as here
            record.code = U_POWER if last[0] == U_POWER else U_BASE_REVERTED


def _ended(record: Record, last: "tuple[int, str]") -> None:
    """The program before runs again."""
    if record.stage == WAITING or record.code == U_NONE or (record.code == U_POWER and not record.base_from):
        record.code, record.text = last  # with a base image, which has one try, what ended that is the reason
    record.untold = True
    if record.code in _CALLED_OFF:
        record.stage = STOPPED
    elif record.code in INNOCENT and record.innocent < RETRIES:
        record.innocent += 1
        record.attempts = 0
        record.untold = False
        record.stage = CHECKING
    else:
        record.stage = REVERTED
        name = record.suspect
        others = [known for known in record.quarantine if known != name]
        record.quarantine = (others + [name])[-QUARANTINED:]


def kept(node: "Node", record: Record) -> None:
    """The program of `record` is confirmed: raise the floor first. The caller saves the record. Raises OSError."""
    guard = document.load(node.files, GUARD_PATH, Guard)
    if record.floor_era:
        guard.learn(digest(node.files, node.slots.spare), record)
        guard.floor = max(guard.floor, record.floor)
    if record.base and node.base is not None:
        guard.base, guard.base_label = record.base, node.base.label
    if guard != document.load(node.files, GUARD_PATH, Guard) and not document.save(node.files, GUARD_PATH, guard):
        raise OSError("the flash refuses the floor")
    record.stage = CONFIRMED
    record.code = U_NONE
    record.text = ""
    proved = (record.manifest[:NAME], record.suspect)
    record.quarantine = [known for known in record.quarantine if known not in proved]


def depart(node: "Node") -> None:
    """The node restarts into a program with its base image, or in its span. Raises OSError when the flash refuses.

    The pointer comes first: a program that finds itself without the new image gives up, while an image without its
    program would be believed by the program before.
    """
    record = document.load(node.files, records.PATH, Record)
    node.slots.try_next()
    try:
        if node.base is not None and record.base_from:
            node.base.activate()
    except OSError as error:
        node.slots.settle()
        record.stage = FAILED
        record.code, record.text = U_IMAGE, plain(str(error), _TEXT)
        record.untold = True
        document.save(node.files, records.PATH, record)
        node.ready = False
        node.up()
    node.staged = False


def give_up(node: "Node", reached: bool) -> None:
    """The program on trial shall not go on: the next restart runs the one before. Raises OSError."""
    record = document.load(node.files, records.PATH, Record)
    record.code = U_UNCONFIRMED if reached else U_UNREACHED
    record.text = ""
    if record.stage == TRIAL and not document.save(node.files, records.PATH, record):
        raise OSError("the flash refuses the record")
    node.slots.settle()
