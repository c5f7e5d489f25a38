"""Child processes of a test bench, ended in good order (fleet/processes.py has those that end with their parent)."""

import asyncio

STOP_S = 10.0


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
