"""Runs a program that ends with its parent and has a directory to itself: `tether.py PARENT LOCK PROGRAM ARG...`

The kernel kills the program the moment the parent is gone, however that happened. LOCK is a file whose lock the program
inherits and holds as long as it lives; a second one on the same directory waits for it a little and then gives up.
This file is run as a script by its path, with nothing but the standard library, and becomes the program.
"""

import ctypes
import fcntl
import os
import signal
import sys
import time

EXIT_LOCKED = 75  # EX_TEMPFAIL of sysexits.h
LOCK_WAIT_S = 10
_PR_SET_PDEATHSIG = 1
_POLL_S = 0.02


def main(arguments: list[str]) -> int:
    """Become the program; returns only when that is not possible."""
    parent, lock, program = int(arguments[0]), arguments[1], arguments[2:]
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before prctl
        return 1
    os.setpgid(0, 0)  # Ctrl-C in a terminal is for the parent, which ends its child in good order
    handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    os.set_inheritable(handle, True)
    if not _locked(handle):
        sys.stderr.write(f"[FTL] another broker holds {lock}\n")
        return EXIT_LOCKED
    os.execv(program[0], program)  # noqa: S606 - the program is what we are for
    raise AssertionError("execv returned")


def _locked(handle: int) -> bool:
    """Whether the lock could be had; the kernel frees it with the last process that holds it."""
    end = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= end:
                return False
            time.sleep(_POLL_S)
        else:
            return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
