"""The terminal between a MicroPython for Unix and a serial line: it speaks and listens as the one on a board.

The Unix port ends lines with a newline alone, introduces itself by the name of the host, and loses what was typed
before it reads; a board does none of this.
"""

import re
from collections.abc import Callable

from tools.interpreter import ROOT

BANNERS = {
    "esp32": b"Generic ESP32 module with ESP32",
    "esp32s3": b"Generic ESP32S3 module with ESP32S3",
    "esp32c3": b"ESP32C3 module with ESP32C3",
}
PROMPTS = (b">>> ", b"... ", b"=== ")
CTRL_A, CTRL_C = b"\x01", b"\x03"
RAW_PROMPT = b"raw REPL; CTRL-B to exit\r\n>"
QUEUE_MAX = 1 << 16  # bytes typed ahead; a serial driver drops what is beyond its buffer, too
PATIENCE_S = 0.5  # for a program to take note of Ctrl-C
BOOT_S = 3600.0  # for a boot.py that takes its time
LINE_S = 0.05  # for a line at the prompt to be done or to start running
_HOLD_MAX = 400
_OURS = b'  File "%s/tools/' % str(ROOT).encode()  # in tracebacks: what stands for hardware is no part of the program
_MARK = re.compile(
    rb"\x1b\]raw;(?P<size>\d{1,9})\x07"
    rb"|MicroPython (?P<version>[^\r\n]{1,40}?) on (?P<date>[^\r\n]{1,40}); linux [^\r\n]{1,80}\r\n"
    rb"(?P<rest>Type \"help\(\)\"[^\r\n]{1,80}\r\n>>> )?"
    rb"|" + re.escape(_OURS) + rb"[^\n]{0,120}\n"
)
_STARTS = (b"\x1b]raw;", b"MicroPython ", _OURS)
_NEWLINE = re.compile(rb"(?<!\r)\n")


class Screen:
    """What the program says, on its way to the line.

    `release` is the version of the interpreter, which a board names in its banner; the Unix port may name a commit.
    `raw` is True while the raw REPL listens; `prompts` counts the prompts; with `quiet` the next banner and its prompt
    are left out."""

    def __init__(self, chip: str, release: str) -> None:
        self._name = BANNERS[chip]
        self._release = b"v" + release.encode()
        self.raw = False
        self.quiet = False
        self.prompts = 0
        self._left = 0  # bytes that stand for themselves
        self._held = b""
        self._tail = b""

    def take(self, data: bytes) -> bytes:
        """What goes out for `data`; the beginning of a mark is held back until `flush` or more of it."""
        data = self._held + data
        self._held = b""
        out = []
        while data:
            if self._left:
                out.append(data[: self._left])
                data, self._left = data[self._left :], max(0, self._left - len(data))
                continue
            found = _MARK.search(data)
            plain = data[: found.start()] if found else data
            if found is None or (found["version"] and not found["rest"]):
                plain, self._held = self._split(data)
            out.append(self._cook(plain))
            if self._held or found is None:
                break
            out.append(self._marked(found))
            data = data[found.end() :]
        return b"".join(out)

    @property
    def holds(self) -> bool:
        """Something was held back."""
        return bool(self._held)

    def flush(self) -> bytes:
        """What was held back was no mark."""
        held, self._held = self._held, b""
        return self._cook(held)

    def _split(self, data: bytes) -> tuple[bytes, bytes]:
        """What is plain for certain, and what may be the beginning of a mark."""
        for start in _STARTS:
            at = data.rfind(start)
            if at >= 0 and len(data) - at <= _HOLD_MAX and not (start == _STARTS[0] and b"\x07" in data[at:]):
                return data[:at], data[at:]
            for size in range(len(start) - 1, 0, -1):
                if data.endswith(start[:size]) and (start != _OURS or self._begins_line(data[:-size])):
                    return data[:-size], data[-size:]
        return data, b""

    def _begins_line(self, before: bytes) -> bool:
        return (self._tail + before)[-1:] in (b"", b"\n")

    def _marked(self, found: re.Match[bytes]) -> bytes:
        if found["size"]:
            self._left = int(found["size"])
        if not found["version"]:
            return b""
        self.raw = False
        self.prompts += 1
        if self.quiet:
            self.quiet = False
            return b""
        return b"MicroPython %s on %s; %s\r\n%s" % (self._release, found["date"], self._name, found["rest"])

    def _cook(self, data: bytes) -> bytes:
        if not data:
            return b""
        tail = self._tail + data
        if RAW_PROMPT in tail:
            self.raw = True
            tail = tail[tail.rfind(RAW_PROMPT) + len(RAW_PROMPT) :]
        cooked = _NEWLINE.sub(b"\r\n", data)
        if data[:1] == b"\n" and self._tail.endswith(b"\r"):
            cooked = cooked[1:]
        self._tail = tail[-len(RAW_PROMPT) :]
        if data.endswith(PROMPTS):
            self.prompts += 1
        return cooked


class Keyboard:
    """What is typed, on its way to the program.

    A program that runs takes Ctrl-C as a signal, and what is typed after it is for the prompt that follows; a line at
    the prompt is done before the next one is typed. `runs()` is True while Ctrl-C is a signal, `write(data)` gives the
    number of bytes it took, `now()` is a clock in seconds."""

    def __init__(
        self, screen: Screen, runs: Callable[[], bool], write: Callable[[bytes], int], now: Callable[[], float]
    ) -> None:
        self._screen = screen
        self._runs = runs
        self._write = write
        self._now = now
        self._queue = b""
        self._until = 0.0  # typing waits, at most so long,
        self._prompts: int | None = None  # for another prompt than this one (None: for any)
        self._line_ended = False

    def type(self, data: bytes) -> None:
        """Type `data`; what does not fit is lost."""
        self._queue += data[: QUEUE_MAX - len(self._queue)]

    def prompted(self, data: bytes) -> None:
        """Type `data` before anything else, as soon as there is a prompt."""
        self._queue = data + self._queue
        self._until, self._prompts = self._now() + BOOT_S, self._screen.prompts

    @property
    def waiting(self) -> bool:
        """Something is still to be typed."""
        return bool(self._queue)

    def pump(self) -> None:
        """Type what can be typed now."""
        while self._queue and not self._is_held():
            piece = self._piece()
            taken = self._write(piece) if piece else 0
            self._queue = self._queue[taken:]
            if taken < len(piece):
                return

    def _is_held(self) -> bool:
        if self._now() >= self._until:
            return False
        if not self._runs() and self._screen.prompts != self._prompts:
            self._until = 0.0
        return self._until > 0.0

    def _piece(self) -> bytes:
        """The bytes that go together; sets what has to happen after them."""
        if self._line_ended:
            self._line_ended = False
            self._queue = self._queue.removeprefix(b"\n")  # a prompt takes it for another line, a board does not
        if self._runs():
            at = self._queue.find(CTRL_C)
            if at >= 0:
                self._until, self._prompts = self._now() + PATIENCE_S, None
            return self._queue[: at + 1] if at >= 0 else self._queue
        at = -1 if self._screen.raw else self._queue.find(b"\r")
        if at >= 0:
            self._until, self._prompts = self._now() + LINE_S, self._screen.prompts
            self._line_ended = True
        return self._queue[: at + 1] if at >= 0 else self._queue
