"""Fetches one whole in blocks over messages that may be lost, doubled, late or out of order (SPEC 15.2).

One Ask covers a step of 4096 bytes, which is what flash takes at once; what does not come is asked for again, later
each time. Only blocks that were asked for and belong to the same whole are taken.
"""

from hashlib import sha256

from node.core.update import UpdateError
from node.core.update.record import DOWNLOAD
from protocol.errors import DecodeError
from protocol.refusals import U_OVERSIZE, U_PAYLOAD, U_UNAVAILABLE
from protocol.update import MAX_BLOCK, MAX_WINDOW, Ask, Block

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Callable, Protocol

    from node.core.files import FilesDoor
    from node.core.update.base import Base
    from node.core.update.parts import Node, Steps
    from node.core.update.record import Record

    class Sink(Protocol):
        """Where the whole goes. `done` of `total` bytes of the whole `id` are there; `id` is b"" when none is known."""

        id: bytes
        total: int
        done: int

        def begin(self, name: bytes, total: int) -> None:
            """Another whole comes: forget the one before."""

        def append(self, data: memoryview) -> None:
            """The next bytes."""

        def read_into(self, offset: int, view: memoryview) -> int:
            """What `append` took, from `offset`; the number of bytes."""


STEP = MAX_BLOCK * MAX_WINDOW
_FIRST_MS = 5000  # for an answer to the first ask
_LONGEST_MS = 300000
_REFUSALS = 5  # times that the manager may say that it has none
_STRAYS = 3  # blocks of another whole in a row until it is believed that there is a new one
_RESTARTS = 5
_KEEP = 16 * STEP
_PATIENCE = 6  # asks in a row without an answer; afterwards a campaign may be too old to go on


class Memory:
    """A sink of a few KiB."""

    def __init__(self) -> None:
        self.begin(b"", 0)

    def begin(self, name: bytes, total: int) -> None:
        """Forget what is there."""
        self.id = name
        self.total = total
        self.done = 0
        self.data = bytearray()

    def append(self, data: memoryview) -> None:
        """Add `data`."""
        self.data.extend(data)
        self.done = len(self.data)

    def read_into(self, offset: int, view: memoryview) -> int:
        """What is there."""
        piece = memoryview(self.data)[offset : offset + len(view)]
        view[: len(piece)] = piece
        return len(piece)


class Download:
    """The payload on flash. It goes on after a reset: whose bytes these are is in the record before the first one.

    `check(size)` raises UpdateError when so many bytes more have no room."""

    def __init__(
        self, files: "FilesDoor", record: "Record", save: "Callable[[], None]", check: "Callable[[int], None]"
    ) -> None:
        self._files = files
        self._record = record
        self._save = save
        self._check = check
        self.id = record.id
        self.total = record.total
        self.done = files.size(DOWNLOAD) or 0
        if self.done > self.total or not self.id:
            self.id = b""
            self.done = 0

    def begin(self, name: bytes, total: int) -> None:
        """Another payload. The file goes first: a cut in between must not leave its bytes to the next one."""
        self._files.remove(DOWNLOAD)
        self._check(total)
        self.id = self._record.id = name
        self.total = self._record.total = total
        self.done = 0
        self._save()

    def append(self, data: memoryview) -> None:
        """One step; the file system commits it when the file is closed."""
        self._files.append(DOWNLOAD, data)  # type: ignore[arg-type]
        self.done += len(data)

    def read_into(self, offset: int, view: memoryview) -> int:
        """What is on flash."""
        return self._files.read_into(DOWNLOAD, offset, view)


class Partition:
    """The base image in the other partition. How far it is, is kept now and then: a sector may be written twice."""

    def __init__(self, base: "Base", record: "Record", size: int, save: "Callable[[], None]") -> None:
        self._base = base
        self._record = record
        self._save = save
        self.id = record.base_id
        self.total = size
        self.done = record.base_done if self.id else 0

    def begin(self, name: bytes, total: int) -> None:
        """Another image."""
        self.id = self._record.base_id = name
        self.total = total
        self.done = self._record.base_done = 0
        self._save()

    def append(self, data: memoryview) -> None:
        """One sector, the last one perhaps in part."""
        self._base.write(self.done, data)
        self.done += len(data)
        if self.done - self._record.base_done >= _KEEP:
            self._record.base_done = self.done
            self._save()

    def read_into(self, offset: int, view: memoryview) -> int:
        """What the partition holds."""
        count = min(len(view), self.done - offset)
        if count > 0:
            self._base.read(offset, view[:count])
        return max(count, 0)


class Pull:
    """Fetches what `ask` names into `sink`; at most `limit` bytes. After `until` (s since 1970 UTC) it gives up when
    nobody answers.
    """

    def __init__(self, node: "Node", ask: Ask, sink: "Sink", limit: int, until: int = 0xFFFFFFFF) -> None:
        self._node = node
        self._ask = ask
        self._sink = sink
        self._limit = limit
        self._until = until
        self._buffer = memoryview(bytearray(STEP))
        self._got = 0  # bit n: block n of the step is there
        self._wait_ms = 0  # uptime before which nothing may be asked
        self._told = False  # that there is nothing before then
        self._tries = self._refusals = self._strays = self._restarts = 0

    def run(self) -> "Steps":
        """Yields as `Resident.work`; ends when the whole is there. Raises UpdateError."""
        while not self._sink.id or self._sink.done < self._sink.total:
            self._expect()
            yield self._request()
            if (yield from self._listen()):
                self._tries = 0
            else:
                self._tries += 1
                self._patience()
            self._store()

    def digest(self) -> "Generator[None, None, bytes]":
        """The SHA-256 of what is there."""
        hashed = sha256()
        at = 0
        while at < self._sink.done:
            count = self._sink.read_into(at, self._buffer[:MAX_BLOCK])
            if not count:
                break
            hashed.update(self._buffer[:count])
            at += count
            yield None
        result: bytes = hashed.digest()
        return result

    def _expect(self) -> None:
        """The blocks of the step that begins where the sink is."""
        left = self._sink.total - self._sink.done if self._sink.id else STEP
        size = min(left, STEP - self._sink.done % STEP)
        self._count = (size + MAX_BLOCK - 1) // MAX_BLOCK

    def _request(self) -> bytes:
        """An Ask for the first run of blocks that are missing."""
        first = 0
        while self._got >> first & 1:
            first += 1
        count = 1
        while first + count < self._count and not self._got >> (first + count) & 1:
            count += 1
        self._last = first + count - 1
        self._ask.offset = self._sink.done + first * MAX_BLOCK
        self._ask.count = count
        return self._ask.encode()

    def _listen(self) -> "Generator[int, None, bool]":
        """Take blocks until those of the last Ask are there, the last of them is, or time is up; True when one came."""
        clock = self._node.clock
        longest = min(_LONGEST_MS, _FIRST_MS << min(self._tries, 6))
        until = clock.uptime_ms() + longest + self._node.random(longest // 2)
        came = self._told = False
        while True:
            for payload in self._node.take():
                came = self._take(payload) or came
            if self._told or self._got >> min(self._last, self._count - 1) & 1:
                until = 0  # blocks come in order: what is missing before the last one is lost
            until = max(until, self._wait_ms)
            left = until - clock.uptime_ms()
            if left <= 0:
                return came
            yield left

    def _take(self, payload: bytes) -> bool:
        """Put a block into the step; False for anything that is none of it."""
        try:
            block = Block.decode(payload)
        except DecodeError:
            return False
        if block.what != self._ask.what:
            return False
        if block.wait_ms:
            self._wait_ms = self._node.clock.uptime_ms() + block.wait_ms
        if block.code:
            self._refused(block.code)
        if not block.data:
            self._told = block.wait_ms > 0 and not block.code
            return False
        if len(block.data) != min(MAX_BLOCK, block.total - block.offset):
            return False
        return self._is_ours(block) and self._put(block)

    def _refused(self, code: int) -> None:
        self._refusals += 1
        if self._refusals >= _REFUSALS:
            raise UpdateError(U_UNAVAILABLE, "code {}".format(code))

    def _is_ours(self, block: Block) -> bool:
        """True for a block of the whole that is being fetched, perhaps a new one from here on."""
        sink = self._sink
        if block.id == sink.id and block.total == sink.total:
            return True
        self._strays += 1
        if sink.id and self._strays < _STRAYS:
            return False  # a late one of an earlier whole
        if block.total > self._limit:
            raise UpdateError(U_OVERSIZE, "{} bytes of {}".format(block.total, self._limit))
        self._restarts += 1
        if self._restarts > _RESTARTS:
            raise UpdateError(U_PAYLOAD, "never the same twice")
        self._strays = self._got = 0
        sink.begin(block.id, block.total)
        self._expect()
        return True

    def _put(self, block: Block) -> bool:
        at = block.offset - self._sink.done
        index = at // MAX_BLOCK
        if at < 0 or at % MAX_BLOCK or index >= self._count or self._got >> index & 1:
            return False
        self._buffer[at : at + len(block.data)] = block.data
        self._got |= 1 << index
        self._strays = 0
        return True

    def _store(self) -> None:
        """A step that is whole goes into the sink."""
        if self._sink.id and self._got == (1 << self._count) - 1:
            size = min(self._count * MAX_BLOCK, self._sink.total - self._sink.done)
            self._sink.append(self._buffer[:size])
            self._got = 0

    def _patience(self) -> None:
        clock = self._node.clock
        if self._tries >= _PATIENCE and max(clock.utc_s() or 0, clock.floor_s) > self._until:
            raise UpdateError(U_UNAVAILABLE, "nobody answers, and the campaign has expired")
