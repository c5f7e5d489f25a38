"""Programs of other people run as child processes: bounded in time, and never left behind."""

import ctypes
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from fleet.errors import FleetError, TimedOutError

_PR_SET_PDEATHSIG = 1
_LOOK_S = 0.2  # how soon a request to stop is seen
_READ = 65536
_LINE_MAX = 1 << 20  # bytes of output that are kept for lines


class CancelledError(FleetError):
    """Somebody wants no more of it."""


def tied() -> Callable[[], None]:
    """A `preexec_fn`: the kernel kills the child when the thread that starts it is gone, however that happened."""
    parent = os.getpid()
    prctl = ctypes.CDLL(None).prctl

    def tie() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before prctl
            os.kill(os.getpid(), signal.SIGKILL)

    return tie


def run(
    words: Sequence[str], typed: str, timeout_s: float, environ: Mapping[str, str]
) -> "subprocess.CompletedProcess[str]":
    """The program's exit code and output; `typed` is its stdin. TimedOutError when it was killed for its slowness."""
    try:
        return subprocess.run(
            list(words),
            input=typed,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout_s,
            env=dict(environ),
            preexec_fn=tied(),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise TimedOutError(f"{words[0]} did not end within {timeout_s:g} s") from None


def follow(
    words: Sequence[str],
    on_line: Callable[[str], None],
    idle_s: float,
    environ: Mapping[str, str],
    stop: threading.Event | None = None,
) -> int:
    """Run a program and hand on each line of its output (both streams) as it comes; its exit code.

    TimedOutError when it was killed because it said nothing for `idle_s`, CancelledError because `stop` was set.
    """
    with subprocess.Popen(
        list(words),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=dict(environ),
        preexec_fn=tied(),
    ) as process:
        try:
            return _listen(process, on_line, idle_s, stop or threading.Event())
        except BaseException:
            process.kill()
            raise


def _listen(
    process: "subprocess.Popen[bytes]", on_line: Callable[[str], None], idle_s: float, stop: threading.Event
) -> int:
    assert process.stdout is not None
    handle, rest, heard = process.stdout.fileno(), b"", time.monotonic()
    while True:
        if stop.is_set():
            raise CancelledError("interrupted")
        if select.select([handle], [], [], _LOOK_S)[0]:
            data = os.read(handle, _READ)
            if not data:
                break
            *lines, rest = (rest + data)[-_LINE_MAX:].split(b"\n")
            heard = time.monotonic()
            for line in lines:
                on_line(line.decode(errors="replace").rstrip())
        elif time.monotonic() - heard > idle_s:
            raise TimedOutError(f"a program said nothing for {idle_s:g} s and was ended")
    if rest:
        on_line(rest.decode(errors="replace").rstrip())
    return process.wait(idle_s)
