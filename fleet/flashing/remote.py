"""Small programs run on a board, and documents written there, through mpremote.

A program goes to mpremote on stdin, so that nothing of it is ever in an argument list or on this computer's disk. It
interrupts the program of the node; `restart` starts that again. The watchdog of a node resets the board 60 s after it
was interrupted: nothing here takes that long.
"""

import base64
import json
import os
import re
import sys
from collections.abc import Mapping
from typing import Any

from fleet.errors import FleetError, NotAllowedError, TimedOutError, UnreachableError, VerificationError
from fleet.flashing import child, put
from fleet.flashing.child import FloodError
from fleet.flashing.console import BAUD, PortLostError, open_port

TIMEOUT_S = 15.0  # the longest takes 3 s, over a slow network
FILE_MAX = 64 << 10  # bytes of a document
_MARK = "@answer "  # of the one line that counts: drivers of the chip may print between ours
_ANSWER = re.compile(rf"{_MARK}(\{{.*\}})\s*$", re.MULTILINE)

_GET = """\
import binascii, os
answer = {{'data': None}}
try:
    if os.stat({path})[6] > {limit}:
        answer = {{'size': os.stat({path})[6]}}
    else:
        with open({path}, 'rb') as file:
            answer = {{'data': binascii.b2a_base64(file.read()).decode().strip()}}
except OSError as error:
    if error.errno != 2:
        raise
"""


class BoardError(FleetError):
    """A program on the board ended with an error; `cause` is the last line of its traceback."""


class Remote:
    """The prompt of the board at `url`, for one small program at a time."""

    def __init__(self, url: str, environ: Mapping[str, str] = os.environ, timeout_s: float = TIMEOUT_S) -> None:
        self.url = url
        self._environ = {**environ, "XDG_CONFIG_HOME": os.devnull}  # somebody's shortcuts could mean anything
        self._timeout_s = timeout_s

    def ask(self, program: str, fresh: bool = False) -> dict[str, Any]:
        """Run a program that leaves a dict called `answer`, of what JSON knows; that comes back.

        `fresh` restarts the interpreter first (without the program of the node), which frees all memory.
        UnreachableError, NotAllowedError, TimedOutError or BoardError say what went wrong.
        """
        text = f"{program}\nimport json\nprint({_MARK!r} + json.dumps(answer))\n"
        found = _ANSWER.findall(self._run(text, fresh))
        try:
            answer = json.loads(found[-1]) if found else None
        except (ValueError, RecursionError):  # no JSON, or brackets beyond what a reader of JSON can nest
            answer = None
        if not isinstance(answer, dict):
            raise BoardError(f"{self.url} did not answer as expected", hint="run it again, or reset the board first")
        return answer

    def write(self, path: str, data: bytes) -> None:
        """Replace a document as a whole: beside it, checked by its SHA-256 as read back, then renamed.

        After a power cut it is the old one or the new one. VerificationError when the flash holds something else.
        """
        if len(data) > FILE_MAX:
            raise ValueError(f"{len(data)} bytes are no document")
        found = self.ask(put.program(path, data), fresh=True)
        if found.get("sha256") != put.digest(data):
            hint = "run it again; if it happens again, the flash chip is worn out"
            raise VerificationError(f"{path} on {self.url} is not what was written", hint=hint)

    def read(self, path: str, limit: int = FILE_MAX) -> bytes | None:
        """A file of at most `limit` bytes; None when there is none, BoardError when it is larger."""
        found = self.ask(_GET.format(path=repr(path), limit=limit))
        if "size" in found:
            raise BoardError(f"{path} on {self.url} is too large", cause=f"it has {found['size']} bytes")
        data = found.get("data")
        try:
            return None if data is None else base64.b64decode(str(data), validate=True)
        except ValueError:
            raise BoardError(f"{path} on {self.url} did not come through", hint="run it again") from None

    def restart(self) -> None:
        """Reset the chip, as its own program would."""
        self._mpremote("resume", "reset", program="")

    def _run(self, program: str, fresh: bool) -> str:
        return self._mpremote("soft-reset" if fresh else "resume", "run", "/dev/stdin", program=program)

    def _mpremote(self, *words: str, program: str) -> str:
        command = (sys.executable, "-P", "-m", "mpremote", "connect", self.url, *words)
        try:
            done = child.run(command, program, self._timeout_s, self._environ)
        except TimedOutError:
            hint = "press EN on the board, then run it again"
            cause = f"nothing came within {self._timeout_s:g} s"
            raise TimedOutError(f"the prompt of {self.url} does not answer", hint=hint, cause=cause) from None
        except FloodError as error:
            raise BoardError(f"{self.url} talks without an end", hint="reset the board", cause=error.message) from None
        if done.returncode != 0:
            raise self._error(done.stdout, done.stderr)
        return done.stdout

    def _error(self, said: str, complained: str) -> FleetError:
        """What an mpremote that ended with an error means. What the board says is on stdout, the rest on stderr."""
        if "failed to access" in complained:
            return self._why_not_opened()
        if "could not enter raw repl" in complained:
            hint = "press EN on the board and run it again; fleet board doctor says more"
            return UnreachableError(f"{self.url} has no prompt of MicroPython", hint=hint)
        last = _last(complained) or _last(said)
        if "SerialException" in last or ("OSError" in last and complained):
            hint = "plug the board in again, and check the cable"
            return PortLostError(f"{self.url} went away", hint=hint, cause=last)
        message, hint = next(
            (row[1:] for row in _BOARD_ERRORS if row[0] in last), ("a program on the board failed", "")
        )
        return BoardError(f"{self.url}: {message}", hint=hint, cause=last)

    def _why_not_opened(self) -> FleetError:
        """The reason that mpremote does not tell."""
        try:
            open_port(self.url, BAUD).close()
        except (UnreachableError, NotAllowedError) as error:
            return error
        return UnreachableError(f"{self.url} was in use for a moment", hint="run it again")


# (text of MicroPython, what it means, what to try)
_BOARD_ERRORS = (
    ("ENOSPC", "its file system is full", "erase the board and flash it anew"),
    ("Errno 28", "its file system is full", "erase the board and flash it anew"),
    ("ENODEV", "its file system is not mounted", "fleet board flash --force makes a new one"),
    ("Errno 19", "its file system is not mounted", "fleet board flash --force makes a new one"),
    ("MemoryError", "its memory is full", "press EN on the board and run it again"),
    ("ImportError", "it runs other firmware", "flash ours first: fleet board flash"),
)


def _last(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
