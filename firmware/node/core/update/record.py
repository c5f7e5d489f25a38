"""What an update must not forget over a reset: three small documents, each replaced as a whole.

`Record` is the campaign at work and how far it got, `Guard` what protects against old releases, `Kept` the newest root.
"""

from hashlib import sha256

from node.core import document
from node.core.update import UpdateError
from protocol import trust
from protocol.errors import DecodeError
from protocol.message import Message
from protocol.refusals import U_CAMPAIGN_STALE, U_TIME, U_WINDOW
from protocol.update import IDLE, STOPPED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from node.core.clock import Clock
    from node.core.files import FilesDoor
    from node.core.update.base import Base
    from protocol.trust import Root

    Taken = tuple[int, bytes, list[int]]

PATH = "/data/update.cbor"
GUARD_PATH = "/data/trust.cbor"
ROOT_PATH = "/data/root.cbor"
DOWNLOAD = "/data/update.bin"
QUARANTINED = 8  # manifests that failed here and are remembered
NAME = 8  # bytes of a manifest's digest by which it is remembered
NOW = 1  # bits of Record.flags
FORCE = 2
_U8 = 0xFF
_U32 = 0xFFFFFFFF
_U24 = 0xFFFFFF


class Record(Message):
    """The campaign that was taken last. `stage`, `code` and `text` are those of Status.

    `era` names the root since which `counter` counts. `refused` is the digest of an envelope that was not taken:
    it is not verified again each time the broker repeats it.
    """

    MAX_SIZE = 1024
    MAX_ITEMS = 160
    FIELDS = (
        (1, "counter", int, 0, _U32),
        (2, "era", bytes, 0, 8),
        (3, "stage", int, IDLE, STOPPED),
        (4, "code", int, 0, _U8),
        (5, "text", str, 0, 96),
        (6, "untold", bool, 0, 0),
        (7, "campaign", bytes, 0, 32),
        (8, "action", int, 0, _U8),
        (9, "release", bytes, 0, 32),
        (10, "manifest", bytes, 0, 32),
        (11, "nonce", bytes, 0, 32),
        (12, "flags", int, 0, _U8),
        (13, "expires", int, 0, _U32),
        (14, "sequence", int, 0, _U32),
        (15, "floor", int, 0, _U32),
        (16, "floor_era", bytes, 0, 8),
        (17, "id", bytes, 0, 8),
        (18, "total", int, 0, _U24),
        (19, "attempts", int, 0, _U8),
        (20, "innocent", int, 0, _U8),
        (21, "base", bytes, 0, 32),
        (22, "base_from", str, 0, 16),
        (23, "base_id", bytes, 0, 8),
        (24, "base_done", int, 0, _U24),
        (25, "refused", bytes, 0, 32),
        (26, "refused_counter", int, 0, _U32),
        (27, "refused_code", int, 0, _U8),
        (28, "quarantine", [bytes], 0, QUARANTINED),
        (29, "group", int, 0, _U32),
        (30, "fetch", [int], 0, trust.MAX_SPANS),
        (31, "switch", [int], 0, trust.MAX_SPANS),
        (32, "epoch", int, 0, _U32),
        (33, "epoch_era", bytes, 0, 8),
        (34, "halted", [int], 0, trust.MAX_HALTED),
    )
    counter: int = 0
    era: bytes = b""
    stage: int = IDLE
    code: int = 0
    text: str = ""
    untold: bool = False  # the event about it is not kept yet
    campaign: bytes = b""  # digest of its document
    action: int = 0
    release: bytes = b""
    manifest: bytes = b""  # of what is to run; empty until the release is known
    nonce: bytes = b""
    flags: int = 0  # NOW, FORCE
    expires: int = 0
    sequence: int = 0  # of the release ...
    floor: int = 0  # ... and the floor that it brings, with the root since which it counts
    floor_era: bytes = b""
    id: bytes = b""  # of the payload in DOWNLOAD
    total: int = 0
    attempts: int = 0  # what restarts have cost it
    innocent: int = 0  # trials that failed by nobody's fault
    base: bytes = b""  # the base image that it runs on ...
    base_from: str = ""  # ... the partition that runs before, when that image is on trial, too ...
    base_id: bytes = b""  # ... and how far it is fetched
    base_done: int = 0
    refused: bytes = b""
    refused_counter: int = 0
    refused_code: int = 0
    quarantine: "list[bytes]" = []
    group: int = 0
    fetch: "list[int]" = []
    switch: "list[int]" = []
    epoch: int = 0  # its number ...
    epoch_era: bytes = b""  # ... with the root since which it counts ...
    halted: "list[int]" = []  # ... and its groups

    @property
    def taken(self) -> "Taken":
        """The epoch that it remembers, as `Resident.taken`."""
        return self.epoch, self.epoch_era, self.halted

    @taken.setter
    def taken(self, taken: "Taken") -> None:
        self.epoch, self.epoch_era, self.halted = taken

    @property
    def suspect(self) -> bytes:
        """By what it is remembered when it fails: the program, or the one release that has it with that base image."""
        return (self.release if self.base_from else self.manifest)[:NAME]

    def has_base(self, base: "Base | None") -> bool:
        """False while the base image that is to be tried does not run: not yet, or not any more."""
        return base is None or base.label != self.base_from


class Known(Message):
    """A program that an update brought."""

    FIELDS = ((1, "manifest", bytes, NAME, NAME), (2, "sequence", int, 0, _U32), (3, "floor", int, 0, _U32))
    manifest: bytes
    sequence: int = 0
    floor: int = 0  # that its confirmation brings


class Guard(Message):
    """The floor with the root since which it counts, the programs that it may be asked about, the base image."""

    MAX_ITEMS = 32
    FIELDS = (
        (1, "floor", int, 0, _U32),
        (2, "era", bytes, 0, 8),
        (3, "known", [Known], 0, 2),
        (4, "base", bytes, 0, 32),
        (5, "base_label", str, 0, 16),
    )
    floor: int = 0
    era: bytes = b""
    known: "list[Known]" = []  # one for each slot
    base: bytes = b""  # digest of the base image that an update brought ...
    base_label: str = ""  # ... into this partition

    def find(self, manifest: bytes) -> "Known":
        """What is known of a program: zeros of one that no update brought."""
        for row in self.known:
            if row.manifest == manifest[:NAME]:
                return row
        return Known(manifest=manifest[:NAME])

    def learn(self, other: bytes, record: "Record") -> None:
        """The program of `record` is in one slot, the program `other` in the other one. Floors end with their era."""
        name = record.manifest[:NAME]
        known = [row for row in self.known if row.manifest == other[:NAME] != name]
        if self.era != record.floor_era:
            self.era = record.floor_era
            self.floor = 0
            for row in known:
                row.floor = 0
        self.known = known + [Known(manifest=name, sequence=record.sequence, floor=record.floor)]


class Kept(Message):
    """The newest root, and the digest of the pinned one that it descends from: another fleet's node must not use it.

    `build` and `campaign` are the versions of the roots at which floor and counter last began anew (SPEC 14.9).
    """

    MAX_SIZE = 2048
    MAX_ITEMS = 16
    FIELDS = (
        (1, "pinned", bytes, 0, 32),
        (2, "root", bytes, 0, trust.MAX_DOCUMENT),
        (3, "build", int, 0, _U32),
        (4, "campaign", int, 0, _U32),
    )
    pinned: bytes = b""
    root: bytes = b""
    build: int = 0
    campaign: int = 0


class Trusted:
    """The root in force, and the eras of what it guards."""

    def __init__(self, root: "Root", kept: Kept) -> None:
        self.root = root
        self.kept = kept
        self.floor_era = _era(kept.pinned, kept.build)
        self.counter_era = _era(kept.pinned, kept.campaign)

    def epoch(self, taken: "Taken") -> "tuple[int, list[int]]":
        """(number, halted groups) of the epoch that was taken last, as far as it still counts."""
        return (taken[0], taken[2]) if taken[1] == self.counter_era else (0, [])

    def next(self, root: "Root", data: bytes) -> "Trusted":
        """The same after a rotation to `root`, whose document is `data`. It is not on flash yet."""
        kept = Kept(pinned=self.kept.pinned, root=data, build=self.kept.build, campaign=self.kept.campaign)
        if trust.voids(self.root, root, trust.BUILD):
            kept.build = root.version
        if trust.voids(self.root, root, trust.CAMPAIGN):
            kept.campaign = root.version
        return Trusted(root, kept)


def _era(pinned: bytes, version: int) -> bytes:
    return pinned[:4] + version.to_bytes(4, "big")


def closed(clock: "Clock", spans: "list[int]") -> "UpdateError | None":
    """Why it is not time by the spans of a campaign; None when it is."""
    wait_s = clock.wait_s(spans)
    if wait_s is None:
        return UpdateError(U_TIME)
    if wait_s < 0:
        return UpdateError(U_CAMPAIGN_STALE, "its last span is over")
    return UpdateError(U_WINDOW, "from {}".format((clock.utc_s() or 0) + wait_s)) if wait_s else None


def trusted(files: "FilesDoor", pinned: bytes) -> "Trusted | None":
    """Whom the node trusts that was provisioned with the root `pinned`; None when it has none."""
    if not pinned:
        return None
    digest = sha256(pinned).digest()
    kept = document.load(files, ROOT_PATH, Kept)
    if kept.pinned == digest:
        try:
            return Trusted(trust.load_root(kept.root), kept)
        except DecodeError:
            pass  # damaged: the manager brings the chain again
    try:
        return Trusted(trust.load_root(pinned), Kept(pinned=digest))
    except DecodeError:
        return None
