"""The program on a board: the real MicroPython over the board's flash image, as a child process on a terminal.

A run lasts from a reset to the next; a soft reset is made good here, every other end is for the board to act upon.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tools import interpreter
from tools.virtual_board import wiring
from tools.virtual_board.asking import Asking, ProgramError, check_fault
from tools.virtual_board.run import Run, RunEnd
from tools.virtual_board.terminal import CTRL_A, CTRL_C, Keyboard, Screen
from tools.virtual_board.watchdog import PERIOD_S, Watchdog

__all__ = ["End", "Program", "ProgramError", "ProgramSetup"]

WDT_RESET = 3  # machine.reset_cause() of the ESP32 port
SOFT_RESET = 5
ANSWER_S = 30.0
_STEP_S = 0.003  # between two tries to type what waits
_FLUSH_S = 0.02  # for the rest of what looks like the beginning of a mark
_TOLD_MS = 60  # for a program that waits to take note of Ctrl-C
_MILLI = 1000
_REBOOT = b"MPY: soft reboot\r\n"


@dataclass(frozen=True)
class ProgramSetup:
    """What a run starts from. Orders change it, so that `Program.setup` is always what the next run starts from."""

    directory: Path  # of the board: rtc.bin, operations.bin
    chip: str
    mac: bytes
    flash: Path
    partitions: tuple[Mapping[str, Any], ...]  # {name, type, subtype, offset, size}
    running: str | None = None  # label of the application's partition; None: the first application
    fit: str = "none"  # kind of node whose parts are wired to the board
    seed: int = 1
    place: str = ""
    utc_s: float = 0.0  # of the world, at the start
    rate: float = 1.0  # at which time passes
    heap_kb: int | None = None
    probe: Path | None = None
    dns: tuple[str, int] | None = None
    wifi: Mapping[str, str] | None = None  # networks on the air and their passwords; None: any
    skip_main: bool = False
    cut: tuple[int, int | None] = (0, None)  # flash operations until the power is cut (0: never), bytes of the last one
    operations: int = 0  # of the flash, so far
    log: bool = False  # flash operations are logged
    ticks: int = 0  # milliseconds since the last hard reset
    watchdog_ms: int = 0  # time-out of a watchdog that runs already
    faults: tuple[tuple[str, str, int], ...] = ()

    def plan(self, cause: int) -> dict[str, Any]:
        """As tools/virtual_board/device/board.py reads it."""
        same = ("chip", "fit", "seed", "place", "log", "ticks", "watchdog_ms", "skip_main", "operations", "cut", "dns")
        return {
            **{name: getattr(self, name) for name in same},
            "directory": str(self.directory),
            "rtc": str(self.directory / "rtc.bin"),
            "mac": self.mac.hex(),
            "flash": str(self.flash),
            "partitions": self._all_partitions(),
            "running": self.running,
            "wiring": wiring.of(self.chip, self.fit),
            "faults": [list(row) for row in self.faults],
            "utc_s": int(self.utc_s),
            "rate": round(self.rate * _MILLI),
            "wifi": None if self.wifi is None else dict(self.wifi),
            "probe": None if self.probe is None else str(self.probe),
            "cause": cause,
        }

    def _all_partitions(self) -> list[dict[str, Any]]:
        """The table, and the vfs that the port makes of the rest of the flash when the table has none."""
        rows = [dict(row) for row in self.partitions]
        if all(row["name"] != "vfs" for row in rows):
            start = max((row["offset"] + row["size"] for row in rows), default=0)
            size = self.flash.stat().st_size - start
            rows.append({"name": "vfs", "type": 1, "subtype": 0x81, "offset": start, "size": size})
        return rows

    def obeyed(self, name: str, values: Mapping[str, Any]) -> "ProgramSetup":
        """What the next run starts from, after that order."""
        if name == "rate":
            return replace(self, rate=values["x"] / _MILLI)
        if name == "wifi":
            return replace(self, wifi=values["networks"])
        if name == "cut":
            return replace(self, cut=(values["after"], values["keep"]))
        if name == "log":
            return replace(self, log=bool(values["on"]))
        if name == "fault":
            others = tuple(row for row in self.faults if row[:2] != (values["part"], values["name"]))
            this = ((values["part"], values["name"], values["value"]),) if values["value"] else ()
            return replace(self, faults=others + this)
        return self


@dataclass(frozen=True)
class End:
    """How a run ended: "reset", "sleep", "cut" or "crash" (the interpreter died; "soft" never leaves `Program`).

    `cause` is machine.reset_cause() of the next start, `elapsed_ms` how long the board was awake since `start`."""

    kind: str
    cause: int = 0
    sleep_ms: int = 0
    operations: int = 0
    elapsed_ms: int = 0


class Program:
    """Runs programs from `setup`. `on_output` gets what they say, `on_end` how each run ended but for soft resets."""

    def __init__(self, setup: ProgramSetup, on_output: Callable[[bytes], None], on_end: Callable[[End], None]) -> None:
        self.setup = setup
        self._on_output = on_output
        self._on_end = on_end
        self._run: Run | None = None
        self._life: asyncio.Task[None] | None = None
        self._asking = Asking()
        self._release = interpreter.version()
        self._screen = Screen(setup.chip, self._release)
        self._keyboard = self._new_keyboard()
        self._pump: asyncio.TimerHandle | None = None
        self._flush: asyncio.TimerHandle | None = None
        self._signal: asyncio.TimerHandle | None = None
        self._cut_at = 0
        self._elapsed_ms = 0  # of the runs before a soft reset
        self._killed = False

    @property
    def pid(self) -> int | None:
        """Of the interpreter, None when nothing runs."""
        return self._run.pid if self._run is not None else None

    @property
    def operations(self) -> int:
        """Flash operations, those before the start included."""
        return self.setup.operations if self._run is None else self._run.counters().operations or self.setup.operations

    async def start(self, cause: int) -> None:
        """Start the program after a reset with that machine.reset_cause(); what ran before has ended."""
        assert self._run is None
        self._killed = False
        self._elapsed_ms = 0
        self._screen = Screen(self.setup.chip, self._release)
        await self._begin(cause)

    async def kill(self) -> None:
        """End the program between two instructions; `on_end` is not called. No error when nothing runs."""
        self._killed = True
        if self._run is not None:
            self._run.kill()
        if self._life is not None and self._life is not asyncio.current_task():
            await self._life

    def feed(self, data: bytes) -> None:
        """Type `data` on the serial line."""
        self._keyboard.type(data)
        self._type()

    def order(self, name: str, /, **values: Any) -> None:
        """Give an order of device/orders.py and do not wait; when nothing runs it counts from the next start.

        `rate` is {"x": thousandths}, `leap` {"s"}, `fault` {"part", "name", "value"}, `wifi` {"networks"}, `cut`
        {"after", "keep"}, `log` {"on"}, `probe` {"values"}, `status` {}."""
        self._obeyed(name, values)
        if self._run is not None:
            self._run.send({"do": name, **values})

    async def ask(self, name: str, /, patience_s: float = ANSWER_S, **values: Any) -> dict[str, Any]:
        """Give an order and wait for its answer; ProgramError when it is refused or nothing runs.

        `patience_s` is for a program that computes to take it. At the prompt an order that changes the board is pending
        until something that is typed there meets it, and one that asks something is refused."""
        if self._run is None:
            raise ProgramError("no program runs")
        if name == "fault":
            check_fault(self.setup.fit, values["part"], values["name"])
        found = await self._asking.ask(self._run, name, values, patience_s)
        self._obeyed(name, values, found.get("at"))
        return found

    def _obeyed(self, name: str, values: Mapping[str, Any], at: int | None = None) -> None:
        """What was ordered holds for the next run, too; `at` is the operation of a cut."""
        self.setup = self.setup.obeyed(name, values)
        if name == "cut":
            self._cut_at = self.operations + values["after"] if at is None else at

    async def _begin(self, cause: int) -> None:
        setup = self.setup
        self._cut_at = setup.operations + setup.cut[0] if setup.cut[0] else 0
        self._keyboard = self._new_keyboard()
        self._run = run = Run(setup.heap_kb, self._said, self._heard)
        (setup.directory / "rtc.bin").touch()
        await run.start(setup.plan(cause))
        if self._killed:
            run.kill()
        self._life = asyncio.create_task(self._live(run))

    async def _live(self, run: Run) -> None:
        """Follow a run to its end."""
        dog = asyncio.create_task(self._watch(run))
        end = await run.ended()
        dog.cancel()
        self._flush_held()
        self._asking.fail()
        self._run = None
        found = self._account(run, end)
        if not self._killed:
            await self._act(found, end)

    def _account(self, run: Run, end: RunEnd) -> End:
        """Let `setup` stand where the run ended."""
        counters = run.counters()
        total = counters.operations or self.setup.operations
        left = max(self._cut_at - total, 0) if end.kind != "cut" else 0
        self._elapsed_ms += counters.elapsed_ms
        self.setup = replace(
            self.setup,
            utc_s=self.setup.utc_s + counters.elapsed_ms / _MILLI,
            operations=total,
            cut=(left, self.setup.cut[1] if left else None),
            ticks=self.setup.ticks + counters.elapsed_ms if end.kind == "soft" else 0,
            watchdog_ms=counters.watchdog_ms if end.kind == "soft" else 0,
        )
        return End(end.kind, end.cause, end.sleep_ms, total, self._elapsed_ms)

    async def _act(self, end: End, found: RunEnd) -> None:
        """Start again after a soft reset; tell the board about every other end."""
        if end.kind != "soft":
            self._on_end(end)
            return
        if not found.interrupted:
            self._on_output(_REBOOT)
        self._screen.quiet = self._screen.raw
        self.setup = replace(self.setup, skip_main=self._screen.raw or found.interrupted)
        raw, self._screen.raw = self._screen.raw, False
        await self._begin(SOFT_RESET)
        self.setup = replace(self.setup, skip_main=False)
        if raw:
            self._keyboard.prompted(CTRL_A)

    async def _watch(self, run: Run) -> None:
        """End a program that the watchdog would have reset."""
        dog = Watchdog(self.setup.rate)
        while True:
            await asyncio.sleep(PERIOD_S)
            counters = run.counters()
            with suppress(ProcessLookupError):
                cpu_s, blocked = run.usage()
                if dog.bites(counters.feeds, counters.watchdog_ms, bool(counters.waiting), cpu_s, blocked):
                    run.end(RunEnd("reset", WDT_RESET))

    # -- the terminal

    def _new_keyboard(self) -> Keyboard:
        return Keyboard(self._screen, self._program_runs, self._write, time.monotonic)

    def _program_runs(self) -> bool:
        return self._run is not None and self._run.takes_signals()

    def _write(self, data: bytes) -> int:
        if self._run is None:
            return 0
        if not (data.endswith(CTRL_C) and self._run.takes_signals()):
            return self._run.write(data)
        taken = self._run.write(data[:-1]) + 1
        if taken == len(data):
            self._interrupt(self._run)
        return taken

    def _interrupt(self, run: Run) -> None:
        """Ctrl-C for a program. A signal hits the Unix port anywhere, and may leave its heap locked: so one that waits
        is told to interrupt itself, and only one that does not gets the signal."""
        run.send({"do": "interrupt", "until": int(time.monotonic() * _MILLI) + _TOLD_MS})
        self._signal = asyncio.get_running_loop().call_later(2 * _TOLD_MS / _MILLI, self._signalled, run)

    def _signalled(self, run: Run) -> None:
        if run is self._run and run.takes_signals():
            run.write(CTRL_C)

    def _type(self) -> None:
        """Type what can be typed now, and the rest soon."""
        if self._run is not None and self._run.began:
            self._keyboard.pump()
        if self._pump is not None:
            self._pump.cancel()
        waits = self._run is not None and self._keyboard.waiting
        self._pump = asyncio.get_running_loop().call_later(_STEP_S, self._type) if waits else None

    def _said(self, data: bytes) -> None:
        """The run has said something."""
        out = self._screen.take(data)
        if out:
            self._on_output(out)
        if self._flush is not None:
            self._flush.cancel()
        holds = self._screen.holds
        self._flush = asyncio.get_running_loop().call_later(_FLUSH_S, self._flush_held) if holds else None
        if self._keyboard.waiting:
            self._type()

    def _flush_held(self) -> None:
        out = self._screen.flush()
        if out:
            self._on_output(out)

    def _heard(self, message: dict[str, Any]) -> None:
        """The run has answered, or begun to listen to its terminal."""
        self._asking.heard(message)
        if "interrupted" in message and self._signal is not None:
            self._signal.cancel()
        if "began" in message:
            self._type()
