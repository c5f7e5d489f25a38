"""One file of the outbox: entries of one class in the order of their arrival, and how far they have been sent."""

import struct

from node.core import frames

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

    from node.core.clock import Clock
    from node.core.files import FilesDoor

FOLDER = "/data/q"
BLOCK = 4096  # bytes of one LittleFS block: a file up to this size takes exactly one
_NAME = "{:d}-{:08x}"


class Item:
    """Entries that were given to the link together: a piece of a segment. `name` is the topic."""

    def __init__(self, segment: "Segment", start: int, end: int, count: int, boot: int) -> None:
        self.name = ""
        self.segment = segment
        self.start = start
        self.end = end
        self.count = count
        self.boot = boot
        self.zero_s: "int | None" = None
        self.up_s: "int | None" = None

    def freeze(self, clock: "Clock", boot: int, zero_s: "Callable[[int], int | None]") -> None:
        """Fix what the payload depends on beside the flash, so that every rendering is the same."""
        self.zero_s = zero_s(self.boot)
        self.up_s = clock.uptime_s() if self.boot == boot else None


class Segment:
    """A file of the outbox. Offsets are bytes in the file; `size` counts what is known to be whole."""

    def __init__(self, number: int, kind: int, size: int) -> None:
        self.number = number
        self.kind = kind
        self.path = FOLDER + "/" + _NAME.format(kind, number)
        self.size = size
        self.boot: "int | None" = None  # boot of the last entry
        self.clean = False  # found by `check` to end where a frame ends, with room behind it
        self.taken = 0  # entries below this offset have been given to the link
        self.flying: "list[Item]" = []  # of those, the ones that are neither acknowledged nor released
        self.waiting = 0  # entries added in this boot that have not been taken
        self.since_s: "int | None" = None  # uptime when the first of them came; None: an earlier boot left some
        self._taken_boot: "int | None" = None  # the boot that holds at `taken`

    def check(self, files: "FilesDoor", view: memoryview) -> None:
        """Find the last whole frame, so that writing can go on behind it."""
        stop = files.read_into(self.path, 0, view)
        at = 0
        step = frames.length(view, at, stop)
        while step:
            if view[at] == frames.BOOT:
                self.boot = _boot_in(view, at)
            at += step
            step = frames.length(view, at, stop)
        self.clean = at == self.size and at < BLOCK and self.boot is not None
        self.size = at

    def grow(self, count: int, boot: int, now_s: int) -> None:
        """`count` bytes, one entry of that boot, were added."""
        if self.taken == self.size:
            self.since_s = now_s
            self.waiting = 0
        self.size += count
        self.boot = boot
        self.waiting += 1

    def take(self, files: "FilesDoor", view: memoryview, limit: int) -> "Item | None":
        """Up to `limit` entries of one boot that fit into `view`; None when the rest is damaged, and is given up."""
        start = self.taken
        stop = files.read_into(self.path, start, view[: min(len(view), self.size - start)])
        at = first = count = 0
        boot = self._taken_boot
        while count < limit:
            step = frames.length(view, at, stop)
            if not step or (view[at] == frames.BOOT and count):
                break
            if view[at] == frames.BOOT:
                boot = _boot_in(view, at)
            else:
                first = first if count else at
                count += 1
            at += step
        if not count or boot is None:
            self.size = start
            return None
        self.taken += at
        self._taken_boot = boot
        self.waiting = max(0, self.waiting - count)
        item = Item(self, start + first, self.taken, count, boot)
        self.flying.append(item)
        return item

    def count_left(self, files: "FilesDoor", view: memoryview) -> int:
        """Entries that were never taken."""
        stop = files.read_into(self.path, self.taken, view[: self.size - self.taken])
        at = count = 0
        step = frames.length(view, at, stop)
        while step:
            if view[at] != frames.BOOT:
                count += 1
            at += step
            step = frames.length(view, at, stop)
        return count

    def first_left(self, returned: "list[Item]") -> "tuple[int, int | None]":
        """(offset, boot that holds there) of the first entry that is not acknowledged."""
        at, boot = self.taken, self._taken_boot
        for item in self.flying + returned:
            if item.segment is self and item.start < at:
                at, boot = item.start, item.boot
        return at, boot


def marker(boot: int) -> bytes:
    """The frame that says to which boot the entries after it belong."""
    return frames.pack(frames.BOOT, struct.pack(">I", boot))


def entry(kind: int, data: bytes) -> bytes:
    """The frame of one entry."""
    return frames.pack(frames.ENTRY | kind, data)


def mount(files: "FilesDoor", view: memoryview, kinds: int) -> "list[Segment]":
    """The segments on flash, oldest first; files that are not segments are left alone, empty ones removed."""
    found = []
    for name, size in files.scan(FOLDER):
        segment = _parse(name, size, kinds)
        if segment is not None:
            found.append(segment)
    found.sort(key=_number)
    last: "dict[int, Segment]" = {}
    for segment in found:
        last[segment.kind] = segment
    for segment in last.values():
        segment.check(files, view)
    for segment in found:
        if not segment.size:
            try:
                files.remove(segment.path)
            except OSError:
                pass  # the next start tries again
    return [segment for segment in found if segment.size]


def _number(segment: Segment) -> int:
    return segment.number


def _parse(name: str, size: int, kinds: int) -> "Segment | None":
    try:
        kind, number = int(name[0:1]), int(name[2:], 16)
    except ValueError:
        return None
    if kind >= kinds or size > BLOCK or name != _NAME.format(kind, number):
        return None
    return Segment(number, kind, size)


def _boot_in(view: memoryview, at: int) -> int:
    boot: int = struct.unpack_from(">I", view, at + frames.HEAD)[0]
    return boot
