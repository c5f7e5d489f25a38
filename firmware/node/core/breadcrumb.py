"""What the last run left in the memory that survives a reset: why it ended, if anyone knows.

Reset causes of the ESP32 do not tell a panic from a restart on purpose; this does. It is lost with the power.
"""

from node.core import frames
from protocol.errors import DecodeError, EncodeError
from protocol.message import Message

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

_KIND = 0xC7
_U32 = 0xFFFFFFFF
_REASON = 48  # bytes, as Boot.reason
_NAME = 32


class Breadcrumb(Message):
    """The document. `reason` is set only by a restart on purpose; `trace` is the CRC-32 of the trace's text."""

    FIELDS = (
        (1, "up_s", int, 0, _U32),
        (2, "reason", str, 0, _REASON),
        (3, "task", str, 0, _NAME),
        (4, "error", str, 0, _NAME),
        (5, "trace", int, 0, _U32),
    )
    up_s: int = 0
    reason: str = ""
    task: str = ""
    error: str = ""
    trace: int = 0

    def text(self) -> str:
        """The crash in one line for Boot.breadcrumb: task, exception class, hash of the trace."""
        if not self.task:
            return ""
        return "{} {} {:08x}".format(self.task, self.error, self.trace) if self.error else self.task


def decode(data: bytes) -> "Breadcrumb | None":
    """The breadcrumb in the memory, or None after a power cut or for anything else."""
    view = memoryview(data)
    size = frames.length(view, 0, len(view))
    if not size or view[0] != _KIND:
        return None
    try:
        return Breadcrumb.decode(view[frames.HEAD : size])
    except DecodeError:
        return None


class Trail:
    """Writes the breadcrumb of this run; `write(bytes)` is the memory."""

    def __init__(self, write: "Callable[[bytes], None]") -> None:
        self._write = write
        self._crumb = Breadcrumb()
        self._keep()

    def alive(self, up_s: int) -> None:
        """The node has run for `up_s` seconds."""
        self._crumb.up_s = up_s
        self._keep()

    def crashed(self, task: str, error: str, trace: int) -> None:
        """A task failed with an exception of that class; the node may go on."""
        self._crumb.task = task[:_NAME]
        self._crumb.error = error[:_NAME]
        self._crumb.trace = trace
        self._keep()

    def ends(self, reason: str, up_s: int) -> None:
        """The node restarts on purpose."""
        self._crumb.reason = reason[:_REASON]
        self.alive(up_s)

    def _keep(self) -> None:
        try:
            self._write(frames.pack(_KIND, self._crumb.encode()))
        except EncodeError:  # a name that is not plain text: the rest is worth more
            self._crumb.task = self._crumb.error = self._crumb.reason = "?"
            self._write(frames.pack(_KIND, self._crumb.encode()))
