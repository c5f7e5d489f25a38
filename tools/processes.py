"""Child processes that end with their parent, however it ends."""

import asyncio
import ctypes
import os
import signal
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
STOP_S = 10.0


def tied() -> Callable[[], None]:
    """A `preexec_fn`: the kernel kills the child when the thread that starts it is gone."""
    parent = os.getpid()
    prctl = ctypes.CDLL(None).prctl

    def tie() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before prctl
            os.kill(os.getpid(), signal.SIGKILL)

    return tie


async def stop(process: asyncio.subprocess.Process, patience_s: float = STOP_S) -> int:
    """Ask the process to end, kill it when it does not; its exit code."""
    if process.returncode is None:
        process.terminate()
        try:
            async with asyncio.timeout(patience_s):
                await process.wait()
        except TimeoutError:
            process.kill()
    return await process.wait()
