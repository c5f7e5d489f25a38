"""Store and forward: entries wait on flash until the broker has acknowledged them.

The outbox is a set of segment files in `/data/q`, each at most one flash block. A segment holds entries of one class in
the order of their arrival, in frames (`frames.py`); a frame BOOT says which boot the entries after it belong to. Adding
an entry is one LittleFS append, which is there entirely or not at all after a power cut.

What has been sent is known in RAM only. A segment is deleted when all its entries are acknowledged; after a reset the
rest of a segment is sent again, and the store removes the duplicates by (node, boot, seq).

Order: events first, as they came; then records, the segment that is being written (live) in turn with the oldest
(backlog). When the bound is reached, the oldest segment of records makes room; events give way once they hold half
of the outbox.
"""

from node.core import frames
from node.core.batch import compose, first_time
from node.core.segment import BLOCK, Item, Segment, marker, mount
from node.core.segment import entry as entry_frame
from protocol.errors import DecodeError
from protocol.messages import MAX_ENTRIES
from protocol.records import MAX_ENTRY, TQ_UPTIME

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

    from node.core.clock import Clock
    from node.core.files import FilesDoor

EVENT = 0
RECORD = 1
NAMES = ("event", "tele")  # topic of each class
_MAX_PAYLOAD = 3072  # bytes of frames in one batch: with its heads the message stays far below 8 KiB
_TRIES = 4  # attempts of one append that the flash refuses
_ENOSPC = 28
_HEADS = 2 * frames.HEAD + 4  # what an entry costs at most beside its own bytes: its frame and a boot marker


class Outbox:
    """Also the `source` of the link: take, render, done, release, on_ready.

    `zero_s(boot)` gives UTC of uptime 0 of a boot or None; `setting(name)` gives batch, interval_s, outbox_kb.
    """

    def __init__(
        self,
        files: "FilesDoor",
        clock: "Clock",
        boot: int,
        setting: "Callable[[str], int]",
        zero_s: "Callable[[int], int | None]",
    ) -> None:
        self.evicted = 0  # entries given up for lack of room since boot
        self.numbered = True  # False while the boot number is not on flash: an entry could be taken for another
        self.damaged = 0  # segments whose rest could not be read since boot
        self.on_ready: "Callable[[], None] | None" = None  # set by the link: `take` may have something again
        self._files = files
        self._clock = clock
        self._boot = boot
        self._setting = setting
        self._zero_s = zero_s
        self._blocks = setting("outbox_kb") * 1024 // BLOCK
        self._buffer = bytearray(BLOCK)
        self._view = memoryview(self._buffer)
        self._segments = mount(files, self._view, len(NAMES))
        self._number = self._segments[-1].number + 1 if self._segments else 0
        self._open: "list[Segment | None]" = [None] * len(NAMES)
        self._returned: "list[Item]" = []
        self._live_next = True
        for segment in self._segments:
            if segment.clean:
                self._open[segment.kind] = segment

    @property
    def used(self) -> int:
        """Bytes of flash that the segments occupy."""
        return len(self._segments) * BLOCK

    @property
    def size(self) -> int:
        """Bytes of flash that the segments may occupy."""
        return self._blocks * BLOCK

    # -- writing --

    def append(self, kind: int, entry: bytes) -> bool:
        """Keep one entry of class EVENT or RECORD of this boot; False, and counted as evicted, for lack of room."""
        for _ in range(_TRIES if self.numbered else 0):
            segment = self._writable(kind, len(entry))
            if segment is None:
                break
            data = entry_frame(kind, entry)
            if segment.boot != self._boot:
                data = marker(self._boot) + data
            try:
                self._files.append(segment.path, data)
            except OSError as error:
                self._seal(segment)
                if error.errno == _ENOSPC and not self._evict(kind):
                    break
                continue
            segment.grow(len(data), self._boot, self._clock.uptime_s())
            self._notify(kind)
            return True
        self.evicted += 1
        return False

    def _writable(self, kind: int, size: int) -> "Segment | None":
        segment = self._open[kind]
        if segment is not None and segment.size + _HEADS + size <= BLOCK:
            return segment
        while len(self._segments) >= self._blocks:
            if not self._evict(kind):
                return None
        segment = Segment(self._number, kind, 0)
        self._number += 1
        self._segments.append(segment)
        self._open[kind] = segment
        return segment

    def _seal(self, segment: Segment) -> None:
        """Write no more to a segment whose end is in doubt; what it holds is still sent."""
        self._open[segment.kind] = None
        self._settle(segment)

    def _evict(self, kind: int) -> bool:
        """Give up the oldest segment of the least important class, for an entry of class `kind`.

        What is in flight is spared: the broker may be about to acknowledge it."""
        events = sum(1 for segment in self._segments if segment.kind == EVENT)
        order = (EVENT, RECORD) if kind == EVENT and 2 * events >= self._blocks else (RECORD, EVENT)
        for victim_kind in order:
            for segment in self._segments:
                if segment.kind == victim_kind and not segment.flying:
                    self.evicted += segment.count_left(self._files, self._view) + self._drop_returned(segment)
                    self._delete(segment)
                    return True
        return False

    def _drop_returned(self, segment: Segment) -> int:
        lost = sum(item.count for item in self._returned if item.segment is segment)
        self._returned = [item for item in self._returned if item.segment is not segment]
        return lost

    def make_room(self) -> bool:
        """Give up the oldest records (events, without any) for something without which there are no new ones."""
        return self._evict(RECORD)

    # -- the source of the link --

    def take(self) -> "Item | None":
        """The next batch to publish, or None; it stays taken until `done` or `release`."""
        if self._returned:
            item = self._returned.pop(0)
            item.freeze(self._clock, self._boot, self._zero_s)
            item.segment.flying.append(item)
            return item
        while True:
            segment = self._pick()
            if segment is None:
                return None
            taken = segment.take(self._files, self._view[:_MAX_PAYLOAD], min(self._setting("batch"), MAX_ENTRIES))
            if taken is not None:
                taken.name = NAMES[segment.kind]
                taken.freeze(self._clock, self._boot, self._zero_s)
                return taken
            self.damaged += 1
            if self._open[segment.kind] is segment:
                self._open[segment.kind] = None
            self._settle(segment)

    def _pick(self) -> "Segment | None":
        """The segment to take from, by class and by turns."""
        live = backlog = None
        for segment in self._segments:
            if segment.taken >= segment.size:
                continue
            if segment.kind == EVENT:
                return segment
            if segment is self._open[RECORD]:
                live = segment if self._is_due(segment) else None
            elif backlog is None:
                backlog = segment
        if live is not None and backlog is not None:
            self._live_next = not self._live_next
            return backlog if self._live_next else live
        return live or backlog

    def _is_due(self, segment: Segment) -> bool:
        batch = self._setting("batch")
        if segment.waiting >= batch or segment.since_s is None:
            return True
        return self._clock.uptime_s() - segment.since_s >= batch * self._setting("interval_s")

    def render(self, item: Item) -> "bytes | None":
        """The payload of a taken batch, the same bytes each time; None when the flash has lost it: call `done`."""
        view = self._view[: item.end - item.start]
        if self._files.read_into(item.segment.path, item.start, view) == len(view):
            payload = compose(item, view)
            if payload is not None:
                return payload
        self.damaged += 1
        return None

    def done(self, item: Item) -> None:
        """The broker has acknowledged the batch."""
        item.segment.flying.remove(item)
        self._settle(item.segment)

    def release(self, item: Item) -> None:
        """The session that carried the batch is gone: give it out again before all else. Call it newest first."""
        item.segment.flying.remove(item)
        self._returned.insert(0, item)
        self._notify(item.segment.kind)

    def tick(self) -> None:
        """Tell the link when records have waited long enough. Call it every second or so."""
        if self._returned or self._pick_would_give():
            self._call()

    def _pick_would_give(self) -> bool:
        before = self._live_next
        found = self._pick() is not None
        self._live_next = before
        return found

    def _notify(self, kind: int) -> None:
        segment = self._open[kind]
        if kind == EVENT or segment is None or self._is_due(segment):
            self._call()

    def _call(self) -> None:
        if self.on_ready is not None:
            self.on_ready()

    def _settle(self, segment: Segment) -> None:
        """Delete a segment of which nothing is left."""
        if segment.taken < segment.size or segment.flying:
            return
        for item in self._returned:
            if item.segment is segment:
                return
        self._delete(segment)

    def _delete(self, segment: Segment) -> None:
        if self._open[segment.kind] is segment:
            self._open[segment.kind] = None
        if segment in self._segments:
            self._segments.remove(segment)
        try:
            self._files.remove(segment.path)
        except OSError:
            pass  # it is sent again after the next reset, and the store knows it by then

    # -- reporting --

    def waiting(self) -> int:
        """Entries that are not acknowledged yet; reads every segment, so ask seldom."""
        count = sum(item.count for item in self._returned)
        for segment in self._segments:
            count += segment.count_left(self._files, self._view) + sum(item.count for item in segment.flying)
        return count

    def oldest_s(self) -> int:
        """Age in seconds of the oldest entry that is not acknowledged; 0 when there is none or its time is unknown."""
        if not self._segments:
            return 0
        at, boot = self._segments[0].first_left(self._returned)
        view = self._view[: _HEADS + MAX_ENTRY]
        size = self._files.read_into(self._segments[0].path, at, view)
        try:
            found = first_time(view[:size], boot)
        except DecodeError:
            found = None
        return 0 if found is None else max(0, self._age_s(*found))

    def _age_s(self, boot: "int | None", t: int, tq: int) -> int:
        now = self._clock.utc_s()
        if tq == TQ_UPTIME:
            if boot == self._boot:
                return self._clock.uptime_s() - t
            zero = None if boot is None else self._zero_s(boot)
            t = 0 if zero is None else zero + t
        return now - t if now is not None and t else 0
