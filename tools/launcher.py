"""Simulated nodes as processes: starts them, restarts them when they reset, keeps their consoles, cuts their power.

A node ends with this process, however this process ends: its stdin closes, and the kernel kills it.
"""

import asyncio
import json
import struct
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from protocol.messages import RESET_POWER_ON
from tools.interpreter import ROOT, micropython
from tools.processes import tied
from tools.switchboard import WorldClock

PROGRAM = ROOT / "tools" / "sim" / "node.py"
MARK = "#sim "  # of tools/sim/node.py, which imports only under MicroPython
LEDGER = struct.Struct(">IIB")
EXIT_RESET = 64  # of firmware/node/board/host.py
LINE_MAX = 1 << 16
ANSWER_S = 30.0
_RESETS = range(EXIT_RESET + 1, EXIT_RESET + 6)
_MILLI = 1000


class NodeDiedError(Exception):
    """The process of a node ended although nobody asked it to, and not by a reset."""


@dataclass(frozen=True)
class Seat:
    """One node of a simulated fleet: who it is and what is around it."""

    node: str
    kind: str
    board: str
    seed: int = 1
    ticks: int = 0  # of the board at power-on; below 2**30

    def plan(self, world: WorldClock, dns: tuple[str, int], cause: int, network: bool) -> dict[str, Any]:
        """sim.json for a start now."""
        return {
            **self.__dict__,
            "cause": cause,
            "utc_s": int(world.utc_s()),
            "rate": round(world.rate * _MILLI),
            "dns": list(dns),
            "network": network,
        }


class NodeProcess:
    """One node in `directory`: flash.img, rtc.bin, ledger.bin, serial.log. `resets` counts restarts by itself."""

    def __init__(self, seat: Seat, directory: Path, image: bytes, world: WorldClock, dns: tuple[str, int]) -> None:
        self.seat = seat
        self.directory = directory
        self.network = True  # at the next start: there is an access point
        self.resets = 0
        self.counters: dict[str, Any] = {}  # the newest that the node reported
        self.on_line: Callable[[str], None] | None = None  # of the serial console
        self._world = world
        self._dns = dns
        self._process: asyncio.subprocess.Process | None = None
        self._life: asyncio.Task[None] | None = None
        self._stopping = False
        self._waiting: dict[str, list[asyncio.Future[dict[str, Any]]]] = defaultdict(list)
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "flash.img").write_bytes(image)
        (directory / "ledger.bin").touch()

    @property
    def pid(self) -> int | None:
        """Of the process that runs, or None."""
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if running and self._process else None

    async def power_on(self) -> None:
        """Start the node as after a power cut; it is then kept alive over its own resets."""
        (self.directory / "rtc.bin").write_bytes(b"")
        self._stopping = False
        await self._spawn(RESET_POWER_ON)
        self._life = asyncio.create_task(self._live())

    async def power_off(self) -> None:
        """Cut the power: the process is killed between two instructions."""
        self._stopping = True
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
        await self._ended()

    async def stop(self) -> dict[str, Any]:
        """End the simulation of this node; its last counters."""
        self._stopping = True
        if self.pid is not None:
            try:
                await self._ask(quit=True)
            except (NodeDiedError, TimeoutError):
                await self.power_off()
        await self._ended()
        return self.counters

    async def ask(self) -> dict[str, Any]:
        """Where the node stands now: the counters of tools/sim/node.py."""
        return await self._ask(counters=True)

    async def leap(self, seconds: int, patience_s: float) -> None:
        """Let `seconds` pass for the node as fast as it can; returns when they have."""
        await self._ask(patience_s, leap_s=seconds)

    async def fault(self, part: str, name: str, value: int) -> None:
        """Switch a fault of a part on (0: off); ValueError with what there is for an unknown one."""
        await self._ask(fault=[part, name, value])

    def order(self, **orders: Any) -> None:
        """Send orders of `Control` in tools/sim/node.py."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(orders).encode() + b"\n")

    def ledger(self) -> list[tuple[int, int, int]]:
        """(boot, seq, class) of every entry that the node ever took into its outbox."""
        data = (self.directory / "ledger.bin").read_bytes()
        return list(LEDGER.iter_unpack(data[: len(data) // LEDGER.size * LEDGER.size]))

    async def _ask(self, patience_s: float = ANSWER_S, **order: Any) -> dict[str, Any]:
        """Give one order and wait for its answer; ValueError when the node refuses it."""
        if self.pid is None:
            raise NodeDiedError(f"{self.seat.node} does not run: see {self.directory / 'serial.log'}")
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[next(iter(order))].append(future)
        self.order(**order)
        async with asyncio.timeout(patience_s):
            found = await future
        if "error" in found:
            raise ValueError(found["error"])
        return found

    async def _spawn(self, cause: int) -> None:
        plan = self.seat.plan(self._world, self._dns, cause, self.network)
        (self.directory / "sim.json").write_text(json.dumps(plan))
        self._process = await asyncio.create_subprocess_exec(
            micropython(),
            str(PROGRAM),
            str(self.directory),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=LINE_MAX,
            preexec_fn=tied(),
            start_new_session=True,  # Ctrl-C is for whoever runs the nodes
        )
        if self._stopping:  # somebody asked for the end while a reset was under way
            self._process.kill()

    async def _live(self) -> None:
        """Follow one process after the other until somebody ends this."""
        while True:
            code = await self._follow()
            self._fail_waiting()
            if self._stopping or code not in _RESETS:
                return
            self.resets += 1
            await self._spawn(code - EXIT_RESET)

    async def _follow(self) -> int:
        assert self._process is not None
        assert self._process.stdout is not None
        with (self.directory / "serial.log").open("a") as log:
            async for raw in self._process.stdout:
                line = raw.decode(errors="replace").rstrip()
                if line.startswith(MARK):
                    self._report(json.loads(line[len(MARK) :]))
                    continue
                log.write(line + "\n")
                log.flush()
                if self.on_line is not None:
                    self.on_line(line)
            code = await self._process.wait()
            log.write(f"-- the run ended with exit code {code}\n")
        return code

    def _report(self, found: dict[str, Any]) -> None:
        if "seq" in found:
            self.counters = found
        for future in self._waiting.pop(found["order"], []):
            if not future.done():
                future.set_result(found)

    def _fail_waiting(self) -> None:
        for futures in self._waiting.values():
            for future in futures:
                if not future.done():
                    future.set_exception(NodeDiedError(f"{self.seat.node} ended: see {self.directory / 'serial.log'}"))
        self._waiting.clear()

    async def _ended(self) -> None:
        if self._life is not None:
            await self._life
            self._life = None
