"""How long the node has been without its own brokers: after long enough it may ask others for help (SPEC 15.10).

Lamps that have power at night only, and nodes that restart, count on where they were.
"""

from node.core import document
from protocol.message import Message

TYPE_CHECKING = False
if TYPE_CHECKING:
    from node.core.files import FilesDoor

PATH = "/data/lost.cbor"
_SAVE_S = 3600
_U32 = 0xFFFFFFFF


class Lost(Message):
    """The document: seconds without a session, as counted when it was last written."""

    FIELDS = ((1, "lost_s", int, 0, _U32),)
    lost_s: int = 0


class Recovery:
    """Counts. Times are seconds of uptime."""

    def __init__(self, files: "FilesDoor") -> None:
        self._files = files
        self._saved_s: int = document.load(files, PATH, Lost).lost_s
        self._zero_s = -self._saved_s  # when the last session would have ended

    def lost_s(self, at_home: bool, now_s: int) -> int:
        """Seconds since the last session with a broker of its own; `at_home`: there is one now."""
        if at_home:
            self._zero_s = now_s
        lost_s = now_s - self._zero_s
        due = lost_s >= self._saved_s + _SAVE_S or lost_s < self._saved_s
        if due and document.save(self._files, PATH, Lost(lost_s=lost_s)):
            self._saved_s = lost_s
        return lost_s
