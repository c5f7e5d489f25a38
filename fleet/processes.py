"""Child processes that end with their parent, however it ends: the kernel sees to it."""

import ctypes
import os
import signal
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1


def end_with_parent(number: int = signal.SIGKILL) -> None:
    """From now on the kernel sends this process the signal `number` when the thread that started it is gone."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)


def tied() -> Callable[[], None]:
    """A `preexec_fn`: the kernel kills the child when the thread that starts it is gone."""
    parent = os.getpid()
    prctl = ctypes.CDLL(None).prctl  # found here: little is safe between fork and exec

    def tie() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before prctl
            os.kill(os.getpid(), signal.SIGKILL)

    return tie
