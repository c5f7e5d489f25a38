"""Who decides the level: an override beats the programme, the newest override beats the older ones.

Overrides end on the monotonic clock, whatever happens to the wall clock, and outlive a restart. What is saved of one is
the time that will be left at the next save, so that no row of restarts makes it longer than it was ordered; a restart
makes it at most SAVE_S shorter.
"""

from node.core import document
from protocol.channels import REASON_OVERRIDE
from protocol.message import Message

TYPE_CHECKING = False
if TYPE_CHECKING:
    from node.core.files import FilesDoor

PATH = "/data/holds.cbor"
SAVE_S = 60
_MAX = 8  # overrides that are remembered; a ninth drops the oldest
_FULL = 200
_U32 = 0xFFFFFFFF


class Hold(Message):
    """One override."""

    FIELDS = ((1, "level", int, 0, _FULL), (2, "left_s", int, 1, _U32))
    level: int
    left_s: int


class Holds(Message):
    """The document: newest last."""

    FIELDS = ((1, "holds", [Hold], 0, _MAX),)
    holds: "list[Hold]" = []


class Arbiter:
    """Keeps the overrides. Times are seconds of uptime."""

    def __init__(self, files: "FilesDoor", now_s: int) -> None:
        self._files = files
        self._saved = document.load(files, PATH, Holds)
        self._overrides = [(now_s + hold.left_s, hold.level) for hold in self._saved.holds]  # (end, level), newest last
        self._save_s = now_s
        self._save(now_s)

    def override(self, level: int, seconds: int, now_s: int) -> None:
        """Hold `level` for that long, from now."""
        self._overrides.append((now_s + seconds, level))
        if len(self._overrides) > _MAX:
            self._overrides.pop(0)
        self._save(now_s)

    def clear(self, now_s: int) -> int:
        """End every override; how many there were."""
        count = len(self._overrides)
        self._overrides = []
        self._save(now_s)
        return count

    def decide(self, program: "tuple[int, int]", now_s: int) -> "tuple[int, int]":
        """(level, REASON_*) in force, given what the programme says."""
        if not self._overrides:
            return program
        self._overrides = [row for row in self._overrides if row[0] > now_s]
        if now_s >= self._save_s:
            self._save(now_s)
        return (self._overrides[-1][1], REASON_OVERRIDE) if self._overrides else program

    def _save(self, now_s: int) -> None:
        """Put what has to outlive a restart on flash, when it is not there; a flash that refuses is asked again."""
        self._save_s = now_s + SAVE_S
        rows = [(end - self._save_s, level) for end, level in self._overrides]
        holds = Holds(holds=[Hold(level=level, left_s=left) for left, level in rows if left > 0])
        if holds != self._saved and document.save(self._files, PATH, holds):
            self._saved = holds
