"""A simulated node: `micropython tools/sim/node.py DIR` is one run of a board, from power-on or reset to the next.

DIR/flash.img is its flash, DIR/rtc.bin the memory that survives a reset, DIR/sim.json says how to simulate (`Plan`).
The program comes from the flash, through the real stage 0; only what is hardware comes from here. stdout is the serial
console; lines that begin with MARK are not the node's but the simulation's, one JSON object each. stdin takes orders,
one JSON object per line (`Control`); its end ends the process. Exit codes above 64 are resets (node/board/host.py).
"""

import asyncio
import json
import os
import struct
import sys
import time

import vfs  # type: ignore[import-not-found]

_root = sys.argv[0][: -len("/tools/sim/node.py")] if "/tools/sim/" in sys.argv[0] else "."
sys.path.insert(0, _root)

from tools.sim import clock as clocks  # noqa: E402
from tools.sim.flash import File, Flash  # noqa: E402
from tools.sim.models import Bench  # noqa: E402
from tools.sim.world import World  # noqa: E402

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MARK = "#sim "
LEDGER = ">IIB"  # boot, seq, class of each entry that the outbox took: what the node must not lose
_SECOND_MS = 1000


class Plan:
    """sim.json: what a run of the simulation is told at its start."""

    def __init__(self, found: "dict[str, Any]") -> None:
        self.node: str = found["node"]
        self.kind: str = found["kind"]
        self.board: str = found["board"]
        self.cause: int = found["cause"]  # RESET_* of this start
        self.utc_s: int = found["utc_s"]  # of the world, now
        self.rate: int = found["rate"]  # thousandths of real time
        self.seed: int = found["seed"]
        self.dns: "list[Any]" = found["dns"]  # [address, port]
        self.ticks: int = found["ticks"]  # the board's tick count at its start
        self.network: bool = found["network"]  # there is an access point


class Simulation:
    """Everything around the board, and the board."""

    def __init__(self, directory: str) -> None:
        with open(directory + "/sim.json") as file:
            self.plan = plan = Plan(json.load(file))
        real_ms = time.ticks_ms  # type: ignore[attr-defined]
        self.clock = clocks.VirtualClock(real_ms, plan.rate, plan.ticks)
        clocks.install(self.clock)
        self.bench = Bench(plan.kind, self._now_ms, World(plan.seed, plan.node, plan.utc_s))
        flash = open(directory + "/flash.img", "r+b")  # noqa: SIM115 - these are open until the process ends
        self.flash = Flash(File(flash), on_cut=_power_is_gone)
        self._memory = open(directory + "/rtc.bin", "r+b")  # noqa: SIM115
        self._ledger = open(directory + "/ledger.bin", "ab")  # noqa: SIM115
        self._boot_watchdog_ms = 0
        self.app: "Any" = None

    def _now_ms(self) -> int:
        self.clock.ticks()
        return self.clock.elapsed_ms

    def stage_zero(self) -> None:
        """Put the flash in the place of the computer's files and let boot.py choose the slot."""
        vfs.umount("/")
        vfs.mount(vfs.VfsLfs2(self.flash), "/")
        os.chdir("/")
        sys.path[:] = [".frozen"]
        with open("/boot.py") as file:
            source = file.read()
        sys.modules["machine"] = self  # type: ignore[assignment]  # of which boot.py uses WDT
        exec(source, {"__name__": "__main__"})  # noqa: S102 - it is what the board does
        del sys.modules["machine"]

    def WDT(self, timeout: int) -> None:  # noqa: N802 - as in `machine`
        """The watchdog that stage 0 starts."""
        self._boot_watchdog_ms = timeout

    def build(self) -> None:
        """The board of models and the application on it."""
        from node import app
        from node.board.files import Files
        from node.board.host import HostBoard, HostNetwork

        plan = self.plan
        self.network = HostNetwork((plan.dns[0], plan.dns[1]))
        self.network.present = plan.network
        ticks = (self.clock.ticks_ms, clocks.ticks_diff)
        serial = plan.node.encode()
        self.board = HostBoard(plan.board, ticks, self.bench, self.network, self._memory, plan.cause, serial)
        if self._boot_watchdog_ms:
            self.board.watchdog(self._boot_watchdog_ms)
        self.app = app.build(self.board, Files(), sys.path[0].strip("/"))
        self._witness(self.app.outbox)
        self.clock.waits_for_peer = self._waits_for_peer

    def _witness(self, outbox: "Any") -> None:
        """Write every entry that the outbox takes into the ledger, which is not on the node's flash."""
        keep = outbox.append

        def append(kind: int, entry: bytes) -> bool:
            kept: bool = keep(kind, entry)
            if kept:
                self._ledger.write(struct.pack(LEDGER, self.app.boots.boot, self.app.journal.seq - 1, kind))
            return kept

        outbox.append = append

    def _waits_for_peer(self) -> bool:
        """A socket is in use (the console counts as one) beyond a link that is up with nothing on its way."""
        return len(asyncio.core._io_queue.map) > (2 if self.app.link.idle else 1)  # type: ignore[attr-defined]

    async def run(self) -> None:
        """The application, the orders, the watchdog."""
        tasks = [asyncio.create_task(Control(self).run()), asyncio.create_task(self._watch())]
        await self.app.run()
        for task in tasks:
            task.cancel()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep_ms(_SECOND_MS)  # type: ignore[attr-defined]
            self.board.check_watchdog()

    def counters(self) -> "dict[str, Any]":
        """Where the node stands."""
        app = self.app
        return {
            "boot": app.boots.boot,
            "seq": app.journal.seq,
            "acked": app.link.acked_records,
            "resends": app.link.stats.resends,
            "up": app.link.up,
            "idle": app.link.idle,
            "utc_s": app.clock.utc_s(),
            "elapsed_ms": self.clock.elapsed_ms,
            "flash_operations": self.flash.operations,
        }


class Control:
    """Orders: {"rate": thousandths}, {"leap_s": n}, {"network": bool}, {"fault": [part, name, value]},
    {"cut": [operations, keep or null]}, {"counters": true}, {"quit": true}.

    fault, counters, quit, and leap_s when it has landed, are answered; so is an order that failed, with `error`."""

    def __init__(self, simulation: Simulation) -> None:
        self._sim = simulation

    async def run(self) -> None:
        """Obey until stdin ends."""
        lines = asyncio.StreamReader(sys.stdin.buffer)  # type: ignore[arg-type]
        while True:
            line = await lines.readline()
            if not line:
                raise SystemExit(0)
            for name, value in json.loads(line).items():
                try:
                    getattr(self, "_" + name)(value)
                except Exception as error:  # an order that makes no sense must not end the console
                    report(name, error=str(error))

    def _rate(self, rate: int) -> None:
        self._sim.clock.set_rate(rate)

    def _leap_s(self, seconds: int) -> None:
        self._sim.clock.leap(seconds * 1000, lambda: report("leap_s", **self._sim.counters()))

    def _network(self, present: bool) -> None:
        self._sim.network.present = present

    def _fault(self, row: "list[Any]") -> None:
        self._sim.bench.fault(row[0], row[1], row[2])
        report("fault")

    def _cut(self, row: "list[Any]") -> None:
        self._sim.flash.cut_after(row[0], row[1])

    def _counters(self, _: bool) -> None:
        report("counters", **self._sim.counters())

    def _quit(self, _: bool) -> None:
        report("quit", **self._sim.counters())
        raise SystemExit(0)


def report(order: str, **found: "Any") -> None:
    """Answer an order: a line of the simulation among those of the console."""
    found["order"] = order
    print(MARK + json.dumps(found))


def _power_is_gone() -> None:
    os.system("kill -9 $PPID")  # noqa: S605 - ourselves: nothing is flushed, closed or unwound


def main() -> None:
    """One run of the board; the exit code says how it ended."""
    simulation = Simulation(sys.argv[1])
    simulation.stage_zero()
    simulation.build()
    try:
        asyncio.run(simulation.run())
    except Exception as error:
        sys.print_exception(error)  # type: ignore[attr-defined]
    simulation.board.reset()


if __name__ == "__main__":
    main()
