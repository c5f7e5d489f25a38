"""What an epoch does to a node: it is judged, kept, and what it halts goes no further (SPEC 14.12)."""

from hashlib import sha256

from node.core.log import plain
from node.core.update import UpdateError, judge
from node.core.update.record import DOWNLOAD
from protocol import trust
from protocol.messages import LOG_WARNING
from protocol.refusals import U_EPOCH_FORGED, U_HALTED, U_STORAGE
from protocol.update import IDLE, REFUSED, STOPPED, TRIAL, WAITING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from node.core.update.parts import Desk, Judged

_SPREAD_MS = 30000  # within which nodes that an epoch does not concern say that they took it: not a city at once
_QUIET_MS = 60000  # between two forgeries that are worth a write
_TEXT = 96  # bytes of what an event says
_TAG = "update"


def consider(desk: "Desk") -> "Judged":
    """Look at the epoch that came. True when it ended what was at work.

    One that is not newer costs nothing. One that nobody may have sent costs an event now and then, and is not verified
    again when it is repeated; no Status speaks of it, since none of an order would then be the last.
    """
    node = desk.node
    payload, node.epoch = node.epoch or b"", None
    name = sha256(payload).digest()
    if name == node.forged or desk.trusted is None:
        return False
    before = node.taken
    try:
        signed = judge.envelope(payload)
        yield from desk.follow(signed.root)
        found = judge.epoch(signed)
        if found.number <= desk.trusted.epoch(before)[0] or node.epoch is not None:
            return False  # it is none of news, or one that is came meanwhile
        node.judging = True
        yield from judge.online(desk.trusted, signed, trust.EPOCH_TYPE, U_EPOCH_FORGED)
        node.taken = found.number, desk.trusted.counter_era, found.halted
        return _apply(desk)
    except UpdateError as error:
        if error.code == U_STORAGE:
            node.taken = before  # it is not on flash: do not say that it is known
            node.say = False
        else:
            node.forged = name
        _refuse(desk, error)
    finally:
        node.judging = False
    return False


def _refuse(desk: "Desk", error: UpdateError) -> None:
    node = desk.node
    now_ms = node.clock.uptime_ms()
    if now_ms >= node.quiet_ms:
        node.quiet_ms = now_ms + _QUIET_MS
        node.log(LOG_WARNING, _TAG, "epoch refused: code {} {}".format(error.code, error.text))
        code = error.code if error.code == U_STORAGE else U_EPOCH_FORGED
        node.event({1: 0, 2: REFUSED, 3: code, 4: plain(error.text, _TEXT)})


def _apply(desk: "Desk") -> bool:
    """End what the epoch halts: on flash first, then it is said. True when something ended."""
    desk.keep()  # what was confirmed while the epoch was judged stays
    node, record = desk.node, desk.record
    if not record.group or record.group not in node.taken[2]:
        node.later_ms = node.clock.uptime_ms() + node.random(_SPREAD_MS)
        return False
    node.say = True
    tried = record.stage in (WAITING, TRIAL) and node.slots.on_trial
    ends = tried or IDLE < record.stage <= WAITING
    if record.stage == WAITING and not tried:
        desk.unpoint()  # before the record: a cut in between leaves a campaign that waits for its pointer
    if ends:
        record.stage = TRIAL if tried else STOPPED
        record.code = U_HALTED
        record.text = ""
        record.untold = not tried
    record.taken = node.taken
    desk.save()
    if tried:
        node.ready = True  # first: when the flash refuses the pointer, the next start finds the record
        node.slots.settle()
    if ends:
        node.files.remove(DOWNLOAD)
        desk.done = desk.total = 0
        node.log(LOG_WARNING, _TAG, "campaign {} is halted".format(record.counter))
    return ends
