"""From a campaign that was taken to the pointer: fetch the release, check it, fetch the payload, install (SPEC 15.3).

Begun anew after each reset. What is there already is not fetched again: a payload in part, a program in the other slot.
What only one step needs is imported for that step: judging, fetching and installing are never in memory together.
"""

from hashlib import sha256

from node.core import document
from node.core.slots import digest
from node.core.update import UpdateError
from node.core.update import record as records
from node.core.update.record import FORCE, NOW
from protocol import refusals as u
from protocol import trust
from protocol.trust import Signed
from protocol.update import BASE, DOWNLOADING, INSTALLING, PAYLOAD, RELEASE, WAITING, Ask

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator

    from node.core.update.parts import Desk, Steps
    from node.core.update.pull import Pull, Sink
    from protocol.trust import Release

    Fetching = Generator[int | bytes | None, None, Pull]

ATTEMPTS = 64  # cost of restarts (trial.py) after which an update is given up
SLACK = 1024  # bytes by which a payload may be longer than what it unpacks to, and a 64th of that (SPEC 16.4)
_PIECE = 1024  # bytes of the base image that are hashed at a time
_SAY_MS = 10000  # between two reports of progress
_JUDGING = ("node.core.update.judge", "node.core.update.epoch", "node.core.ed25519", "node.core.sha512")
_FETCHING = ("node.core.update.pull",)
_INSTALLING = ("node.core.update.install", "node.core.update.payload", "protocol.manifest", "protocol.payload")


class Superseded(Exception):
    """Another campaign was taken."""


class Job:
    """The campaign in the record of `desk`, which does not change while this runs."""

    def __init__(self, desk: "Desk") -> None:
        self._desk = desk
        self._node = desk.node
        self._record = desk.record

    def run(self) -> "Steps":
        """Yields as `Resident.work` does. Raises UpdateError, Superseded, OSError."""
        record = self._record
        self._may_begin()
        brings = False
        if record.action == trust.BOOT:
            self._recall()
        else:
            release = yield from self._release()
            self._node.forget(_JUDGING)
            brings = yield from self._brings_base(release)
        if record.manifest == self._node.slots.manifest and not brings:
            self._runs()
            return
        if record.action == trust.BOOT:
            if not (yield from self._is_there()):
                raise UpdateError(u.U_NO_SLOT)
        else:
            is_there = yield from self._is_there()
            if not is_there:
                yield from self._fetch(release)
            if brings:
                yield from self._image(release)
            if not is_there:
                yield from self._install(release)
            yield None
            self._remember()
        self._node.forget(_INSTALLING)
        if (yield from self._desk.attend()):
            raise Superseded
        self._point(brings)

    def _may_begin(self) -> None:
        """Nothing forbids to go on from here, or UpdateError."""
        record = self._record
        if record.attempts > ATTEMPTS:
            raise UpdateError(u.U_LOOP)
        if self._node.clock.wait_s(record.switch) == -1:
            raise UpdateError(u.U_CAMPAIGN_STALE, "its last span is over")
        if record.stage == DOWNLOADING:
            self._require_open()  # before anything is asked for: while it waits, each session begins here

    def _recall(self) -> None:
        """What the release said that brought the program to boot: it may come back, and what floor it brings."""
        record, desk = self._record, self._desk
        known = desk.guard.find(record.manifest)
        self._history(known.sequence)
        record.sequence = known.sequence
        record.floor_era = desk.trusted.floor_era if desk.trusted else b""
        record.floor = known.floor if desk.guard.era == record.floor_era else 0

    def _remember(self) -> None:
        """What the release says of the program in the other slot, for a campaign that boots it and cannot say so."""
        node, guard = self._node, self._desk.guard
        before = guard.encode()
        guard.learn(node.slots.manifest, self._record)
        if guard.encode() != before and not document.save(node.files, records.GUARD_PATH, guard):
            raise UpdateError(u.U_STORAGE)

    def _history(self, sequence: int) -> None:
        record, trusted = self._record, self._desk.trusted
        if trusted is None:
            raise UpdateError(u.U_NO_ROOT)
        from node.core.update import judge

        judge.history(trusted, self._desk.guard, record, record.manifest, sequence, record.flags & FORCE != 0)

    def _release(self) -> "Generator[int | bytes | None, None, Release]":
        """The release that the campaign names, which may be installed here."""
        record, trusted = self._record, self._desk.trusted
        if trusted is None:
            raise UpdateError(u.U_NO_ROOT)
        from node.core.update import judge
        from node.core.update.pull import Memory

        sink = Memory()
        yield from self._pull(Ask(what=RELEASE, release=record.release), sink, Signed.MAX_SIZE)
        release = yield from judge.release(self._node, trusted, record.release, sink.data)
        judge.fitness(self._node, release)
        record.manifest = release.manifest
        record.sequence = release.sequence
        record.floor = release.floor
        record.floor_era = trusted.floor_era
        self._history(release.sequence)
        return release

    def _runs(self) -> None:
        """What is wanted runs already."""
        from node.core.update import trial

        trial.kept(self._node, self._record)
        self._desk.save()
        self._desk.guard = document.load(self._node.files, records.GUARD_PATH, records.Guard)
        self._desk.say()

    def _is_there(self) -> "Generator[None, None, bool]":
        """True when the other slot holds the program, every file of it."""
        node = self._node
        if digest(node.files, node.slots.spare) != self._record.manifest:
            return False
        from node.core.update import install

        return (yield from install.is_whole(node.files, node.slots.spare))

    def _fetch(self, release: "Release") -> "Steps":
        """The payload, into a file."""
        from node.core.update import room
        from node.core.update.pull import Download

        node, record, desk = self._node, self._record, self._desk
        # Beside the payload, and for certain; once, since counting takes a while, and nobody else writes that slot.
        need = room.least(release.size) + 2 * room.least(release.manifest_size)
        need -= yield from room.held(node.files, "/" + node.slots.spare)
        node.forget(_INSTALLING)

        def check(size: int) -> None:
            fault = room.lack(node.files, need + room.least(size))
            if fault:
                raise UpdateError(u.U_SPACE, fault)

        node.slots.settle()
        sink = Download(node.files, record, desk.save, check)
        check(sink.total - sink.done if sink.id else 0)
        desk.enter(DOWNLOADING)
        ask = Ask(what=PAYLOAD, release=record.release, have=node.slots.manifest)
        signed = release.size + release.manifest_size
        pull = yield from self._pull(ask, sink, signed + signed // 64 + SLACK)
        if (yield from pull.digest())[: len(sink.id)] != sink.id:
            raise UpdateError(u.U_PAYLOAD, "not what was announced")

    def _install(self, release: "Release") -> "Steps":
        """The program into the other slot."""
        node = self._node
        node.forget(_FETCHING)
        from node.core.update import install

        self._desk.enter(INSTALLING)
        yield from install.Installer(node.files, node.slots, release, records.DOWNLOAD).run()

    def _brings_base(self, release: "Release") -> "Generator[None, None, bool]":
        """True when the release comes with another base image than the one that runs, whatever its version says."""
        base, record = self._node.base, self._record
        record.base_from = ""
        record.base = b"" if base is None else release.base
        if base is None or not release.base:
            return False
        hashed = sha256()
        view = memoryview(bytearray(_PIECE))
        for at in range(0, release.base_size, _PIECE):
            piece = view[: min(_PIECE, release.base_size - at)]
            base.read_running(at, piece)
            hashed.update(piece)
            yield
        other: bool = hashed.digest() != release.base
        return other

    def _image(self, release: "Release") -> "Steps":
        """The base image into the other partition: first, since it may fail, and the other slot still has a program."""
        self._node.forget(_INSTALLING)
        self._desk.enter(DOWNLOADING)
        base = self._node.base
        if base is None:
            raise UpdateError(u.U_NO_PARTITION)
        from node.core.update.pull import Partition

        sink = Partition(base, self._record, release.base_size, self._desk.save)
        pull = yield from self._pull(Ask(what=BASE, release=self._record.release), sink, release.base_size)
        if (yield from pull.digest()) != release.base:
            sink.begin(b"", 0)
            raise UpdateError(u.U_IMAGE)

    def _point(self, brings: bool) -> None:
        """The next restart tries the program in the other slot. With a base image that is decided when it restarts:
        the bootloader tries an image once, also after a power cut while the node waits."""
        node, record = self._node, self._record
        if brings and node.base is not None:
            record.base_from = node.base.label
        self._desk.enter(WAITING)
        node.staged = brings or len(record.switch) > 0
        node.switch = record.switch
        if not node.staged:
            node.slots.try_next()
        node.files.remove(records.DOWNLOAD)
        node.now = record.flags & NOW != 0
        node.ready = True

    def _require_open(self) -> None:
        """It is time to fetch, or UpdateError."""
        error = records.closed(self._node.clock, self._record.fetch)
        if error is not None:
            raise error

    def _pull(self, ask: Ask, sink: "Sink", limit: int) -> "Fetching":
        """Fetch, with an eye on what else comes."""
        from node.core.update.pull import Pull

        desk, node = self._desk, self._node
        pull = Pull(node, ask, sink, limit, self._record.expires)
        for wish in pull.run():
            if ask.what >= PAYLOAD:
                desk.done, desk.total = sink.done, sink.total
                if isinstance(wish, bytes):
                    self._require_open()
            yield wish
            if (yield from desk.attend()):
                raise Superseded
            if node.say or node.clock.uptime_ms() - desk.said_ms >= _SAY_MS:
                desk.say()
        if ask.what >= PAYLOAD:
            desk.done = sink.done
        return pull
