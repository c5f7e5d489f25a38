"""Programs of other people run as child processes: bounded in time, and never left behind."""

import ctypes
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence

from fleet.errors import TimedOutError

_PR_SET_PDEATHSIG = 1


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
