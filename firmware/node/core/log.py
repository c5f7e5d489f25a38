"""The log: every line to the serial port at once, and to a bounded queue from which a task publishes it."""

from protocol.messages import LOG_ERROR, LOG_INFO, LOG_WARNING, Log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

    from node.core.clock import Clock

_QUEUED = 16  # lines that wait for the link
_TEXT = 256  # bytes of Log.text
_TAG = 16
_MARKS = {LOG_ERROR: "E", LOG_WARNING: "W", LOG_INFO: "I"}


class Lines:
    """Collects lines. `write(text)` is the serial port; `level()` the least severe level that counts."""

    def __init__(self, clock: "Clock", boot: int, write: "Callable[[str], object]", level: "Callable[[], int]") -> None:
        self.dropped = 0  # lines that were never queued, or lost by the link, since boot
        self._clock = clock
        self._boot = boot
        self._write = write
        self._level = level
        self._queue: "list[Log]" = []
        self._override = 0
        self._until_s = 0

    def override(self, level: int, seconds: int) -> None:
        """Let `level` count in place of the setting for so long."""
        self._override = level
        self._until_s = self._clock.uptime_s() + seconds

    def _counts(self, level: int) -> bool:
        if self._override:
            if self._clock.uptime_s() < self._until_s:
                return level <= self._override
            self._override = 0
        return level <= self._level()

    def __call__(self, level: int, tag: str, text: str) -> None:
        """One line: `level` is LOG_*, `tag` who says it (at most 16 characters)."""
        if not self._counts(level):
            return
        up_ms = self._clock.uptime_ms()
        self._write("{}.{:03d} {} {}: {}".format(up_ms // 1000, up_ms % 1000, _MARKS.get(level, "D"), tag, text))
        if len(self._queue) >= _QUEUED:
            self._queue.pop(0)
            self.dropped += 1
        self._queue.append(
            Log(boot=self._boot, up_ms=up_ms, level=level, tag=plain(tag, _TAG), text=plain(text, _TEXT))
        )

    def take(self) -> "bytes | None":
        """The payload of the oldest line that waits, or None."""
        if not self._queue:
            return None
        line = self._queue.pop(0)
        line.dropped = self.dropped
        return line.encode()


def plain(text: str, limit: int) -> str:
    """`text` in at most `limit` bytes of ASCII: what else it holds becomes '?'."""
    return "".join(char if " " <= char <= "~" else "?" for char in text[:limit])
