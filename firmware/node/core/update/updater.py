"""One campaign from its envelope to the pointer (SPEC 15.3). Imported while there is work, and dropped afterwards.

Every step is in the record before it is taken, so a reset finds out where it was; what was signed is judged anew then.
"""

from hashlib import sha256

from node.core import document
from node.core.log import plain
from node.core.update import UpdateError
from node.core.update import record as records
from node.core.update.record import FORCE, GUARD_PATH, NOW, Guard, Record
from protocol import refusals as u
from protocol import trust
from protocol.cose import digest as digest_of
from protocol.errors import DecodeError
from protocol.messages import LOG_INFO, LOG_WARNING
from protocol.trust import Campaign, Signed
from protocol.update import (
    CHECKING,
    FAILED,
    IDLE,
    REFUSED,
    ROOT,
    STOPPED,
    TRIAL,
    WAITING,
    Ask,
    Status,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from node.core.update.parts import Judged, Node, Steps

_QUIET_MS = 60000  # between two refusals that are worth a write
_TEXT = 96  # bytes of Status.text
_PASSING = (u.U_STORAGE, u.U_MEMORY, u.U_UNAVAILABLE, u.U_TIME)  # what is refused for these may be taken another time
_CLOCK = (u.U_CAMPAIGN_STALE, u.U_ROOT_EXPIRED)  # what was refused for these may have been right, and the clock wrong
_TAG = "update"


class Updater:
    """The work of `Resident.work`."""

    def __init__(self, node: "Node") -> None:
        self.node = node
        self.record = document.load(node.files, records.PATH, Record)
        self.guard = document.load(node.files, GUARD_PATH, Guard)
        self.trusted = records.trusted(node.files, node.identity.root)
        if not node.taken[0]:
            node.taken = self.record.taken
        self.said_ms = 0
        self.done = self.total = 0  # of what is being fetched

    def run(self) -> "Steps":
        """Yields as `Resident.work` does, until nothing is left to do."""
        going = True
        while going:
            self.keep()  # first: another campaign would take the place of what has to be remembered of this one
            self._expire()
            self._tell()
            yield None
            if self.node.epoch is not None or self.node.offered is not None:
                yield from self.attend()
            elif IDLE < self.record.stage < WAITING:
                going = yield from self._go_on()
            else:
                going = False
        self._tell()

    def attend(self) -> "Judged":
        """Look at what came, an epoch first. True when it changed what is to be done."""
        changed = False
        if self.node.epoch is not None:
            from node.core.update import epoch

            changed = yield from epoch.consider(self)
            self._tell()  # before an order: what is said of that has to be the last
        if self.node.offered is not None:
            changed = (yield from self.consider()) or changed
        return changed

    def _expire(self) -> None:
        """The last span for the restart is over."""
        node = self.node
        if self.record.stage == WAITING and node.ready and node.clock.wait_s(self.record.switch) == -1:
            self.unpoint()
            self._end(FAILED, UpdateError(u.U_CAMPAIGN_STALE, "its last span is over"))

    def unpoint(self) -> None:
        """The next restart is none into the other slot. Raises OSError."""
        node = self.node
        node.ready = node.staged = False
        node.switch = []
        node.slots.settle()

    def keep(self) -> None:
        """A program on trial that was confirmed is kept, and so is its campaign."""
        node, record = self.node, self.record
        tried = record.stage in (WAITING, TRIAL) and record.manifest == node.slots.manifest
        if tried and node.slots.is_kept and record.has_base(node.base):
            from node.core.update import trial

            trial.kept(node, record)
            self.save()
            self.guard = document.load(node.files, GUARD_PATH, Guard)
            node.say = True

    # -- what is said --

    def _tell(self) -> None:
        """Say what is due."""
        if self.record.untold:
            record = self.record
            attrs = {1: record.counter, 2: record.stage, 3: record.code, 4: record.text, 5: record.manifest}
            if self.node.event(attrs):
                record.untold = False
                document.save(self.node.files, records.PATH, record)
        if self.node.say or self.node.owes:
            self.say()

    def say(self) -> None:
        """Publish a status. When there is no room for it, the next session says it again."""
        from node.core.update import proof

        self.node.say = False
        self.node.later_ms = None
        self.said_ms = self.node.clock.uptime_ms()
        status = proof.status(self.node, self.record, self.guard, self.trusted)
        status.done = self.done
        status.total = self.total or self.record.total
        self.node.publish(status.encode())

    def save(self) -> None:
        """Keep the record, or UpdateError."""
        if not document.save(self.node.files, records.PATH, self.record):
            raise UpdateError(u.U_STORAGE)

    def enter(self, stage: int) -> None:
        """The campaign goes to another stage: kept first, then said."""
        if stage != self.record.stage:
            self.record.stage = stage
            self.record.code = u.U_NONE
            self.record.text = ""
            self.save()
            self.say()

    def _end(self, stage: int, error: UpdateError) -> None:
        """The campaign is over; the running program stays."""
        record, node = self.record, self.node
        record.stage = stage
        record.code = error.code
        record.text = plain(error.text, _TEXT)
        record.untold = True
        document.save(node.files, records.PATH, record)  # when the flash refuses, the next start finds it unfinished
        node.log(LOG_WARNING, _TAG, "campaign {} ends: code {} {}".format(record.counter, error.code, record.text))
        if stage != REFUSED:
            node.files.remove(records.DOWNLOAD)
        node.say = True

    # -- an envelope --

    def consider(self) -> "Judged":
        """Look at what came on down/ota. True when it changed what is to be done."""
        node, record = self.node, self.record
        payload, node.offered = node.offered or b"", None
        name = sha256(payload).digest()
        again = name == record.refused
        if again and record.refused_code not in _CLOCK:
            self._refuse(record.refused_counter, UpdateError(record.refused_code))
            return False
        counter = root = 0
        try:
            from node.core.update import judge

            yield None
            signed = judge.envelope(payload)
            root = signed.root
            counter = _counter(signed.document)
            if digest_of(signed.document) == record.campaign:
                node.say = True
                return False
            return (yield from self._judge(signed, payload))
        except UpdateError as error:
            if error.code == u.U_TIME:
                node.park(payload, 0)
            behind = self.trusted is not None and root > self.trusted.root.version
            self._refuse(counter, error, b"" if again else name, behind or error.code in _PASSING)
        except MemoryError:
            self._refuse(counter, UpdateError(u.U_MEMORY), name, True)
        return False

    def _refuse(self, counter: int, error: UpdateError, name: bytes = b"", passing: bool = False) -> None:
        """Say that an envelope is not taken. `name` is remembered unless it may be taken another time: `passing`."""
        node, record = self.node, self.record
        waits = error.code == u.U_TIME
        text = plain(error.text, _TEXT)
        stage = CHECKING if waits else REFUSED
        now_ms = node.clock.uptime_ms()
        if name and not waits and now_ms >= node.quiet_ms:
            node.quiet_ms = now_ms + _QUIET_MS  # whoever has the broker could wear the flash out
            node.log(LOG_WARNING, _TAG, "campaign {} refused: code {} {}".format(counter, error.code, text))
            node.event({1: counter, 2: stage, 3: error.code, 4: text})
            if not passing:
                record.refused, record.refused_counter, record.refused_code = name, counter, error.code
                document.save(node.files, records.PATH, record)
        version = self.trusted.root.version if self.trusted else 0
        said = Status(counter=counter, stage=stage, code=error.code, text=text, boot=node.boot, root=version)
        said.t = node.clock.utc_s() or 0
        said.epoch = self.trusted.epoch(node.taken)[0] if self.trusted else 0
        node.publish(said.encode())

    def _judge(self, signed: Signed, payload: bytes) -> "Judged":
        """Take the campaign in an envelope, or UpdateError. True when there is another job now."""
        from node.core.update import judge

        node, record = self.node, self.record
        if self.trusted is None:
            raise UpdateError(u.U_NO_ROOT)
        yield from self.follow(signed.root)
        if node.offered is not None:
            return False  # a newer one came meanwhile
        node.judging = True
        try:
            found = yield from judge.campaign(node, self.trusted, signed)
        finally:
            node.judging = False
        if record.era == self.trusted.counter_era and record.counter == found.counter:
            node.say = True
            return False
        judge.counter(self.trusted, record, found)
        judge.root_holds(node, self.trusted)
        if found.action != trust.STOP and found.group in self.trusted.epoch(node.taken)[1]:
            raise UpdateError(u.U_HALTED)
        if not node.slots.is_kept and found.action != trust.STOP:
            node.park(payload, None)  # the spare slot has the program that a revert needs
            return False
        self._take(found, digest_of(signed.document))
        return True

    def follow(self, version: int) -> "Steps":
        """Take the roots up to the hint, one by one. A hint that brings none is worth nothing."""
        trusted = self.trusted
        while trusted is not None and trusted.root.version < version:
            from node.core.update import judge
            from node.core.update.pull import Memory, Pull

            sink = Memory()
            ask = Ask(what=ROOT, version=trusted.root.version + 1)
            try:
                for wish in Pull(self.node, ask, sink, Signed.MAX_SIZE).run():
                    yield wish
                    if self.node.offered is not None or self.node.epoch is not None:
                        return
            except UpdateError as error:
                if error.code == u.U_UNAVAILABLE:
                    return
                raise
            trusted = yield from judge.next_root(trusted, sink.data)
            if not document.save(self.node.files, records.ROOT_PATH, trusted.kept):
                raise UpdateError(u.U_STORAGE)
            self.trusted = trusted

    def _take(self, found: Campaign, name: bytes) -> None:
        """This is what the node does from now on."""
        node = self.node
        self.keep()  # it may have been confirmed while the campaign was judged: so it is said
        self._tell()
        old = self.record
        stage = old.stage
        if stage == WAITING:  # before the record: if the power fails in between, the broker says the campaign again
            self.unpoint()
        record = Record(counter=found.counter, campaign=name, action=found.action, nonce=found.nonce)
        record.era = self.trusted.counter_era if self.trusted else b""
        record.expires = found.expires
        record.flags = (NOW if found.now else 0) | (FORCE if found.force else 0)
        record.quarantine = old.quarantine
        record.group, record.fetch, record.switch = found.group, found.fetch, found.switch
        record.taken = node.taken
        if found.action == trust.STOP:
            self._stop(record, stage)
            return
        record.stage = CHECKING
        record.release = found.release if found.action == trust.INSTALL else b""
        record.manifest = found.manifest if found.action == trust.BOOT else b""
        if IDLE < stage < WAITING and record.release == old.release:
            record.id, record.total, record.base_id, record.base_done = old.id, old.total, old.base_id, old.base_done
        self._replace(record)
        node.log(LOG_INFO, _TAG, "campaign {} taken".format(record.counter))
        self.say()

    def _replace(self, record: Record) -> None:
        if not document.save(self.node.files, records.PATH, record):
            raise UpdateError(u.U_STORAGE)
        self.record = record
        self.done = self.total = 0

    def _stop(self, record: Record, stage: int) -> None:
        """Drop what is there. A program on trial is left at the next restart, and the one before says so."""
        node, old = self.node, self.record
        record.stage = STOPPED
        record.release, record.manifest = old.release, old.manifest
        on_trial = node.slots.on_trial
        if on_trial:
            record.stage = TRIAL
            record.manifest = node.slots.manifest
        record.code = u.U_STOPPED if IDLE < stage <= TRIAL else u.U_NONE
        record.untold = not on_trial
        self._replace(record)
        if on_trial:
            node.now = record.flags & NOW != 0
            node.ready = True  # first: when the flash refuses the pointer, the next start finds the record
            node.slots.settle()
        node.files.remove(records.DOWNLOAD)
        node.say = True

    # -- the job --

    def _go_on(self) -> "Judged":
        """Do the job to its end, or to where another comes between. False when it has to wait for a time."""
        from node.core.update.job import Job, Superseded

        try:
            yield from Job(self).run()
        except Superseded:
            pass
        except UpdateError as error:
            if error.code in (u.U_TIME, u.U_WINDOW):
                clock, record = self.node.clock, self.record
                record.code, record.text = error.code, error.text
                self.node.park(b"", (clock.utc_s() or 0) + (clock.wait_s(record.fetch) or 0))
                self.say()
                return False
            self._end(REFUSED if self.record.stage == CHECKING else FAILED, error)
        except MemoryError:
            self._end(FAILED, UpdateError(u.U_MEMORY))
        except OSError as error:
            self._end(FAILED, UpdateError(u.U_STORAGE, str(error)))
        except Exception as error:
            self._end(FAILED, UpdateError(u.U_INTERNAL, "{}: {}".format(error.__class__.__name__, error)))
        return True


def _counter(data: bytes) -> int:
    """What a document that nobody has verified says its counter is, 0 when it says none."""
    try:
        return Campaign.decode(data).counter
    except DecodeError:
        return 0
