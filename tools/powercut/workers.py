"""MicroPython processes that make the cuts, each its share of every operation, and what they found, added up."""

import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fleet.processes import tied
from tools.interpreter import ROOT, micropython
from tools.processes import stop

FLASHING = "flashing"
PROGRAM = ROOT / "tools" / "powercut" / "device" / "main.py"
HEAP = "heapsize=8M"  # a larger one takes longer to collect, a smaller one is collected more often
LINE_MAX = 1 << 16


class WorkerError(Exception):
    """A worker ended before its work did; the text has its last words."""


@dataclass(frozen=True)
class Cut:
    """Within which flash operation, after how many bytes of it."""

    at: int
    keep: int


@dataclass(frozen=True)
class Failure:
    """One cut after which something was not as it must be; `again`: a second one, in the boot after the first."""

    operation: str
    cut: Cut
    again: Cut | None
    text: str
    image: str | None


@dataclass
class Result:
    """What is known of one operation so far."""

    cuts: int = 0
    bad: int = 0
    operations: int = 0  # flash operations of it
    seconds: float = 0.0  # of the slowest worker
    total: int = 0  # cuts that are to be made, second ones not counted
    done: int = 0  # workers that have finished it

    @property
    def cuts_per_s(self) -> float:
        """How many cuts were made in a second."""
        return self.cuts / self.seconds if self.seconds else 0.0


@dataclass
class Results:
    """All operations of one matrix."""

    operations: dict[str, Result] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def cuts(self) -> int:
        """Cuts of all operations."""
        return sum(result.cuts for result in self.operations.values())

    @property
    def bad(self) -> int:
        """Failures of all operations."""
        return sum(result.bad for result in self.operations.values())


class Workers:
    """`on_change()` hears of every word of a worker."""

    def __init__(self, results: Results, on_change: Callable[[], None], program: Path = PROGRAM) -> None:
        self._results = results
        self._on_change = on_change
        self._program = program

    async def run(self, names: Sequence[str], choice: dict[str, Any], images: Path, count: int) -> None:
        """Make every cut of `choice` in the operations of these names. Raises WorkerError."""
        images.mkdir(parents=True, exist_ok=True)
        order = {"operations": list(names), "images": str(images.absolute())}
        shares = [{**choice, "share": [index, count]} for index in range(count)]
        tasks = [asyncio.create_task(self._work({**order, "choice": share})) for share in shares]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _work(self, order: dict[str, Any]) -> None:
        """One share: what the node writes under MicroPython, what esptool writes here."""
        node = [name for name in order["operations"] if name != FLASHING]
        if node:
            await self._follow((micropython(), "-X", HEAP, str(self._program)), {**order, "operations": node})
        if FLASHING in order["operations"]:
            await self._follow((sys.executable, "-m", "tools.powercut.flashing"), order)

    async def _follow(self, command: Sequence[str], order: dict[str, Any]) -> None:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=LINE_MAX,
            preexec_fn=tied(),
        )
        seen: dict[str, int] = {}
        words: list[str] = []
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(order).encode() + b"\n")
            async for line in process.stdout:
                if line.startswith(b"{"):
                    self._hear(json.loads(line), seen)
                else:
                    words = [*words[-20:], line.decode(errors="replace").rstrip()]
            if await process.wait():
                raise WorkerError("a worker ended: " + "\n".join(words))
        finally:
            await stop(process)

    def _hear(self, found: dict[str, Any], seen: dict[str, int]) -> None:
        """Add what one worker says; `seen` are the cuts that it has told of before."""
        name = found["operation"]
        result = self._results.operations.setdefault(name, Result())
        if "failure" in found:
            result.bad += 1
            self._results.failures.append(failure(name, found["failure"]))
        else:
            result.cuts += found["cuts"] - seen.get(name, 0)
            seen[name] = found["cuts"]
            result.total = found["total"]
        if "operations" in found:
            result.operations = found["operations"]
            result.seconds = max(result.seconds, found["ms"] / 1000)
            result.done += 1
        self._on_change()


def failure(operation: str, found: dict[str, Any]) -> Failure:
    """What a worker says about one failure."""
    again = found["again"]
    return Failure(operation, Cut(*found["cut"]), Cut(*again) if again else None, found["text"], found["image"])
