"""What is served: root and release envelopes from memory, payloads and base images from files of the archive.

A payload is built once for each (release, program that the node runs), in a thread of its own, and kept:

    releases/payloads/<release>-<manifest that the node has, or "full">     the digest of the payload, an object

Whoever asks meanwhile is told to wait. Nothing here trusts a node: what it names is looked up, and never a path; and it
has some payloads built in an hour, not one for each pair of releases that there are.
"""

import contextlib
import os
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Generic, TypeVar

from fleet import files
from fleet.blocks.rate import Bucket
from fleet.errors import FleetError, NotFoundError, VerificationError
from fleet.releases import delta
from fleet.releases.archive import Archive
from fleet.store.releases import Published
from protocol import update
from protocol.errors import DecodeError
from protocol.update import Ask

OPEN_FILES = 64
BUILDS = 256  # that wait at a time
NODE_BUILDS = 16.0  # that one node may cause at once ...
BUILD_S = 300.0  # ... and how long until one more
FRESH_S = 2.0  # how long it may take until what was published or yanked is known here
BUILDING_MS = 1000  # before a node asks again for what is being built
TROUBLE_MS = 30_000  # ... and while the disk or the database fails
FAILED_S = 60.0  # before a build that failed is tried again
_FULL = b""

T = TypeVar("T")
Pair = tuple[bytes, bytes]  # release, manifest of the program that the node has or b""


class BusyError(Exception):
    """It is not there yet: ask again in `wait_ms`."""

    def __init__(self, wait_ms: int) -> None:
        super().__init__(wait_ms)
        self.wait_ms = wait_ms


class Whole:
    """Bytes that are served in blocks, in memory or in an open file. `id` tells them from any others."""

    def __init__(self, digest: bytes, size: int, data: bytes = b"", handle: int = -1) -> None:
        self.id = digest[:8]
        self.size = size
        self._data = data
        self._handle = handle

    @classmethod
    def held(cls, data: bytes) -> "Whole":
        """Bytes in memory."""
        return cls(sha256(data).digest(), len(data), data)

    def read(self, offset: int, size: int) -> bytes:
        """The bytes there; fewer or none at the end."""
        if self._handle < 0:
            return self._data[offset : offset + size]
        return os.pread(self._handle, size, offset)

    def close(self) -> None:
        """Give back the file."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


class Snapshot(Generic[T]):
    """What `load` says, at most `fresh_s` old."""

    def __init__(self, load: Callable[[], T], fresh_s: float, clock: Callable[[], float]) -> None:
        self._load = load
        self._fresh_s = fresh_s
        self._clock = clock
        self._found: T | None = None
        self._at = 0.0

    def get(self) -> T:
        """The value; an error of `load` when there is none yet."""
        return self.newer(self._fresh_s)

    def newer(self, than_s: float) -> T:
        """The value, at most `than_s` old; what is older serves while `load` fails."""
        now = self._clock()
        if self._found is None or now - self._at >= than_s:
            try:
                self._found = self._load()
            except FleetError:
                if self._found is None:
                    raise
            self._at = now
        return self._found


class Catalogue:
    """The releases that were published: by digest, and by product and manifest."""

    def __init__(self, releases: list[Published]) -> None:
        self.by_digest = {row.digest: row for row in releases}
        self.by_manifest = {(row.product, row.manifest): row for row in releases}


class Shelf:
    """For one thread; it closes what it opened."""

    def __init__(
        self,
        archive: Archive,
        payloads: Path,
        releases: Callable[[], list[Published]],
        root: Callable[[int], bytes | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`releases` are all that were published, `root` gives the envelope of a version."""
        self._archive = archive
        self._payloads = payloads
        self._catalogue = Snapshot(lambda: Catalogue(releases()), FRESH_S, clock)
        self._root = root
        self._clock = clock
        self._open: OrderedDict[bytes | Pair, Whole] = OrderedDict()
        self._builder = ThreadPoolExecutor(1, "payloads")
        self._building: dict[Pair, Future[bytes]] = {}
        self._failed: dict[Pair, float] = {}  # until when
        self._turns: dict[str, Bucket] = {}  # of nodes that caused builds
        self.built = 0

    def find(self, ask: Ask, node: str, product: str) -> Whole | None:
        """What that node of that product asks for; None when it gets no such thing; BusyError when not now."""
        if ask.what == update.ROOT:
            envelope = self._root(ask.version)
            return Whole.held(envelope) if envelope else None
        catalogue = self._catalogue.get()
        release = catalogue.by_digest.get(ask.release)
        if release is None or release.product != product or release.yanked_s is not None:
            return None
        if ask.what == update.RELEASE:
            return Whole.held(release.envelope)
        if ask.what == update.BASE:
            return self._object(release.base) if release.base else None
        return self._payload(release, catalogue.by_manifest.get((product, ask.have)), node)

    def close(self) -> None:
        """End what is being built, and close every file."""
        self._builder.shutdown(cancel_futures=True)
        for whole in self._open.values():
            whole.close()
        self._open.clear()

    def _payload(self, release: Published, runs: Published | None, node: str) -> Whole | None:
        pair = release.digest, runs.manifest if runs else _FULL
        whole = self._opened(pair)
        if whole is not None:
            return whole
        future = self._building.get(pair)
        if future is not None and not future.done():
            raise BusyError(BUILDING_MS)
        if future is not None:
            return self._finish(pair, self._building.pop(pair))
        if self._clock() < self._failed.get(pair, 0):
            return None
        self._failed.pop(pair, None)
        kept = self._kept(pair)
        if kept is not None:
            return self._remember(pair, kept)
        if len(self._building) >= BUILDS:
            self._building = {key: one for key, one in self._building.items() if not one.done()}
            raise BusyError(BUILDING_MS)
        self._take_turn(node)
        self._building[pair] = self._builder.submit(self._build, pair, release.manifest)
        raise BusyError(BUILDING_MS)

    def _take_turn(self, node: str) -> None:
        """Nothing when that node may have a payload built, else BusyError."""
        now = self._clock()
        turns = self._turns.setdefault(node, Bucket(1 / BUILD_S, NODE_BUILDS, now))
        if turns.level(now) < 1:
            raise BusyError(int(turns.wait(1) * 1000) + 1)
        turns.take(1)

    def _finish(self, pair: Pair, future: "Future[bytes]") -> Whole | None:
        """Open what was built; None when parts of the release are missing."""
        try:
            digest = future.result()
            self.built += 1
            whole = self._load(digest)
        except (NotFoundError, VerificationError):
            self._failed[pair] = self._clock() + FAILED_S
            return None
        except (FleetError, OSError) as error:  # a disk that is full, as a rule: it is not the release's fault
            raise BusyError(TROUBLE_MS) from error
        return self._remember(pair, whole)

    def _kept(self, pair: Pair) -> Whole | None:
        """What was built before; None when there is none, or when it is damaged."""
        try:
            digest = self._file(pair).read_bytes()
            return self._load(digest) if len(digest) == 32 else None
        except (OSError, FleetError):
            return None

    def _object(self, digest: bytes) -> Whole | None:
        try:
            return self._opened(digest) or self._remember(digest, self._load(digest))
        except (NotFoundError, VerificationError):
            return None
        except (FleetError, OSError) as error:
            raise BusyError(TROUBLE_MS) from error

    def _load(self, digest: bytes) -> Whole:
        """An object, compared with its name and open."""
        size = len(self._archive.get(digest))
        return Whole(digest, size, handle=os.open(self._archive.path(digest), os.O_RDONLY | os.O_CLOEXEC))

    def _opened(self, key: bytes | Pair) -> Whole | None:
        found = self._open.get(key)
        if found is not None:
            self._open.move_to_end(key)
        return found

    def _remember(self, key: bytes | Pair, whole: Whole) -> Whole:
        self._open[key] = whole
        if len(self._open) > OPEN_FILES:
            self._open.popitem(last=False)[1].close()
        return whole

    def _file(self, pair: Pair) -> Path:
        return self._payloads / f"{pair[0].hex()}-{pair[1].hex() or 'full'}"

    def _build(self, pair: Pair, manifest: bytes) -> bytes:
        """In the builder's thread: make the payload and keep it; its digest."""
        new = self._program(manifest)
        payload = delta.full(new)
        if pair[1]:
            with contextlib.suppress(
                FleetError
            ):  # the full payload suits a node whose own program is not here any more
                payload = delta.delta(new, self._program(pair[1]))
        digest = self._archive.put(payload)
        files.make_private_dir(self._payloads)
        files.replace(self._file(pair), digest)
        return digest

    def _program(self, manifest: bytes) -> delta.Program:
        try:
            return delta.Program.of(self._archive.get(manifest), self._archive.get)
        except DecodeError as error:
            raise VerificationError(f"{manifest.hex()} is no manifest", cause=str(error)) from error
