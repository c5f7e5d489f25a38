"""What a node remembers about time over a reset: a floor, and where each of its last boots lies in UTC.

The floor rises only while a broker whose certificate was checked against our time is connected: a lying time server
must not move it into the future, where every certificate has expired and no honest server is believed. A certificate is
valid for years, so the floor rises by a day an hour at most: a lie of an hour is over after a day.
With the anchor of a boot an entry that was taken before the clock was set can be dated later, also by the boot after.
"""

from node.core import document
from protocol.message import Message

TYPE_CHECKING = False
if TYPE_CHECKING:
    from node.core.clock import Clock
    from node.core.files import FilesDoor

PATH = "/data/time.cbor"
_BOOTS = 8  # anchors kept
_SAVE_S = 3600  # the floor moves on flash at most this often: 8 760 writes a year ...
_RISE_S = 86400  # ... and by so much at most, once there is one
_U32 = 0xFFFFFFFF


class Anchor(Message):
    """UTC of uptime 0 of one boot."""

    FIELDS = ((1, "boot", int, 0, _U32), (2, "zero_s", int, 0, _U32))
    boot: int
    zero_s: int


class Times(Message):
    """The document."""

    FIELDS = ((1, "floor_s", int, 0, _U32), (2, "anchors", [Anchor], 0, _BOOTS))
    floor_s: int = 0
    anchors: "list[Anchor]" = []


class Timekeeper:
    """Keeps `clock.floor_s` and the anchors on flash. `made` is the time of provisioning, the first floor."""

    def __init__(self, files: "FilesDoor", clock: "Clock", boot: int, made: int) -> None:
        self._files = files
        self._clock = clock
        self._boot = boot
        self._times = document.load(files, PATH, Times)
        self._made = made
        self._anchored = False
        self._next_s = 0  # uptime from which the floor may move again
        clock.floor_s = max(made, self._times.floor_s)

    def tick(self, proved: bool) -> None:
        """Save what is due: the anchor at the first sync of this boot, the floor hourly. Call it every second or so.

        `proved`: a broker accepts us under the time of the clock.
        """
        anchor, now = self._clock.anchor_s, self._clock.utc_s()
        if anchor is None or anchor < 0 or now is None:
            return
        floor = self._times.floor_s
        up_s = self._clock.uptime_s()
        if proved and not 0 <= now - floor < _SAVE_S and up_s >= self._next_s:
            known = max(self._made, floor)
            floor = min(now, known + _RISE_S) if known else now
            self._next_s = up_s + _SAVE_S
        if self._anchored and floor == self._times.floor_s:
            return
        anchors = [known for known in self._times.anchors if known.boot != self._boot]
        anchors.append(Anchor(boot=self._boot, zero_s=anchor))
        self._times = Times(floor_s=floor, anchors=anchors[-_BOOTS:])
        self._anchored = True
        self._clock.floor_s = max(self._made, floor)
        document.save(self._files, PATH, self._times)

    def zero_s(self, boot: int) -> "int | None":
        """UTC (s) of uptime 0 of that boot, or None when it never knew the time or is forgotten."""
        if boot == self._boot:
            return self._clock.anchor_s
        for anchor in self._times.anchors:
            if anchor.boot == boot:
                return anchor.zero_s
        return None
