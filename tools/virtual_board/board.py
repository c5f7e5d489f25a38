"""The board: power, resets, the loader, the program, and what goes over its serial port."""

import asyncio
from collections.abc import Callable
from dataclasses import asdict, replace
from enum import StrEnum
from functools import partial
from typing import Any

from tools.switchboard import WorldClock
from tools.virtual_board import boot
from tools.virtual_board.alarm import Alarm
from tools.virtual_board.boot import MACHINE_CAUSE, BootError, Cause
from tools.virtual_board.chips import Chip
from tools.virtual_board.doors import Door
from tools.virtual_board.flash import Cut, FlashChip, PowerCut
from tools.virtual_board.lines import Event
from tools.virtual_board.loader import SYNC_BEGIN, Loader, Registers, SpiFlash
from tools.virtual_board.program import End, Program, ProgramSetup
from tools.virtual_board.serial_log import SerialLog
from tools.virtual_board.serial_port import SerialPort
from tools.virtual_board.transitions import Transitions
from tools.virtual_board.trouble import Trouble

TELL_S = 1.0  # for a program to look whether there is an order
LEAP_S = 600.0  # for a leap, at most
RETRY_S = 1.0  # a chip that finds nothing to start resets and tries again
WATCHDOG_S = 0.1  # from its start to the reset; long enough for the host to lock its registers again
_PENDING_MAX = 1 << 16  # bytes from the host that wait for a reset to be over
_BROWN_OUT = b"\r\nBrownout detector was triggered\r\n\r\n"
_PANIC = b"\r\nGuru Meditation Error: Core  1 panic'ed (Unhandled debug exception). \r\n\r\nRebooting...\r\n"
_MILLI = 1000


class State(StrEnum):
    """What the board does."""

    OFF = "off"
    RESET = "reset"  # EN is held low
    ROM = "rom"
    STUB = "stub"
    APP = "app"
    SLEEP = "sleep"
    HALTED = "halted"  # nothing can be started; it tries again and again


MakeProgram = Callable[[ProgramSetup, Callable[[bytes], None], Callable[[End], None]], Program]
_STARTED = (State.APP, State.SLEEP, State.HALTED)


class Board:
    """One board, without power at first. Transitions happen one after the other; bytes that come meanwhile wait.

    `setup` says who and where it is; what depends on the moment is filled in when a program starts.
    """

    def __init__(
        self,
        chip: Chip,
        setup: ProgramSetup,
        flash: FlashChip,
        world: WorldClock,
        baud: int | None = 0,
        make_program: MakeProgram = Program,
    ) -> None:
        self.chip = chip
        self.setup = setup
        self.flash = flash
        self.world = world
        self.trouble = Trouble()
        self.port = SerialPort(baud, self.trouble)
        self.port.on_data, self.port.on_hung_up, self.port.on_lines = self._deliver, self._hung_up, self._lines
        self.state = State.OFF
        self.cause = Cause.POWER_ON
        self.boots = self.resets = self.watchdogs = 0
        self.program: Program | None = None
        self.transitions = Transitions(self._settled)
        self._make_program = make_program
        self._log = SerialLog(setup.directory / "serial.log")
        self._loader: Loader | None = None
        self._changed = asyncio.Event()
        self._pending: list[tuple[Door, bytes]] = []
        self._alarm = Alarm(world)

    # -- orders from outside

    async def power(self, on: bool) -> None:
        """Switch the power; on an already powered board `on` changes nothing."""
        async with self.transitions.one():
            if not on:
                await self._stop(State.OFF)
                self._log.note("power off")
            elif self.state is State.OFF:
                (self.setup.directory / "rtc.bin").write_bytes(b"")
                self._log.note("power on")
                await self._start(Cause.POWER_ON)

    async def reset(self, cause: Cause = Cause.PIN, download: bool = False) -> None:
        """Reset the chip, unless it has no power; with `download` the boot strap is held."""
        async with self.transitions.one():
            if self.state is not State.OFF:
                self._log.note(f"reset ({cause}{', strap held' if download else ''})")
                await self._start(cause, download)

    async def brown_out(self) -> None:
        """The supply dips: the detector resets the chip."""
        if self.state is not State.OFF:
            self._say(_BROWN_OUT)
        await self.reset(Cause.BROWN_OUT)

    async def hold(self) -> None:
        """EN is pulled low until somebody lets go."""
        async with self.transitions.one():
            if self.state is not State.OFF:
                await self._stop(State.RESET)

    async def cut_after(self, operations: int, keep: int | None) -> dict[str, Any]:
        """Power is cut within the operation `operations` from now (1: the next), `keep` bytes into it."""
        self.flash.cut = Cut(self.operations + operations, keep)
        self.flash.begin()
        return {} if self.program is None else await self.tell("cut", after=operations, keep=keep)

    async def tell(self, name: str, /, **values: Any) -> dict[str, Any]:
        """An order for the program's side of the board: now, or when the next program starts.

        A program at its prompt, or that computes, obeys when it looks: then the answer is {"pending": True}.
        """
        answer: dict[str, Any] = {}
        if self.program is not None:
            try:
                async with asyncio.timeout(TELL_S):
                    return await self.program.ask(name, **values)
            except TimeoutError:
                answer = {"pending": True}
        if self.program is not None:
            self.program.order(name, **values)
        else:
            self.setup = self.setup.obeyed(name, values)
        return answer

    async def leap(self, seconds: int) -> None:
        """Let `seconds` pass, as fast as the program can live through them."""
        if self.program is not None:
            await self.program.ask("leap", patience_s=LEAP_S, s=seconds)
        self.world.leap(seconds)
        self._alarm.world_changed()

    def set_rate(self, rate: float) -> None:
        """From now on the board's world runs at that rate."""
        self.world.set_rate(rate)
        self._alarm.world_changed()
        if self.program is not None:
            self.program.order("rate", x=round(rate * _MILLI))

    async def reached(self, states: set[State]) -> None:
        """Wait until the board is in one of these states, and not on its way to another."""
        while self.state not in states or self.transitions.busy:
            await self._changed.wait()

    @property
    def operations(self) -> int:
        """Flash operations since the start."""
        return self.flash.operations if self.program is None else self.program.operations

    async def close(self) -> None:
        """End everything that runs."""
        async with self.transitions.one():
            await self._stop(State.OFF)
        self.transitions.cancel()
        self.port.close()
        self.flash.close()
        self._log.close()

    # -- transitions, one at a time

    async def _start(self, cause: Cause, download: bool = False) -> None:
        await self._stop(State.RESET)
        self.cause = cause
        self.flash.begin()
        download = (download or self.trouble.on("stuck-boot")) and not self.trouble.on("deaf-reset")
        self._say(boot.first_lines(self.chip, cause, download).encode())
        if download:
            self._load()
        else:
            await self._boot(cause)

    async def _stop(self, state: State) -> None:
        """Whatever runs runs no more."""
        self._alarm.cancel()
        self._loader = None
        if self.program is not None:
            program, self.program = self.program, None
            await program.kill()
            self.setup = program.setup
            self.flash.operations = program.operations
            left, keep = program.setup.cut
            self.flash.cut = Cut(program.operations + left, keep) if left else None
        self._enter(state)

    async def _boot(self, cause: Cause) -> None:
        if self.trouble.on("brownout-boot"):
            self._say(_BROWN_OUT)
            self._retry(Cause.BROWN_OUT)
            return
        try:
            found = boot.load(self.chip, self.flash)
        except BootError as error:
            self._say_lines(error.lines)
            self._retry(Cause.BOOT_WATCHDOG)
            return
        except PowerCut:
            self._power_is_gone()
            return
        self._say_lines(self.chip.boot.loaded)
        self.boots += 1
        if not found.starts:
            self._say(_PANIC)
            self._retry(Cause.SOFTWARE)
            return
        self.program = program = self._make_program(self._setup_now(found), self._from_program, self._ended)
        self._enter(State.APP)
        await program.start(MACHINE_CAUSE[cause])

    def _setup_now(self, found: boot.Boot) -> ProgramSetup:
        cut = self.flash.cut
        return replace(
            self.setup,
            partitions=tuple(asdict(row) for row in found.partitions),
            running=found.app.name,
            utc_s=self.world.utc_s(),
            rate=self.world.rate,
            operations=self.flash.operations,
            cut=(0, None) if cut is None else (cut.at - self.flash.operations, cut.keep),
            log=self.flash.recording,
            ticks=0,
            watchdog_ms=0,
            skip_main=False,
        )

    def _retry(self, cause: Cause) -> None:
        self._enter(State.HALTED)
        self._alarm.after(RETRY_S, lambda: self.transitions.soon(self._try_again(cause)))

    async def _try_again(self, cause: Cause) -> None:
        async with self.transitions.one():
            if self.state is State.HALTED:
                await self._start(cause)

    def _load(self) -> None:
        """Into the loader of the ROM."""
        spi = SpiFlash(self.trouble.values["flash-id"] or self.flash.size)
        registers = Registers(self.chip, self.setup.mac, spi, self.port.host_baud, self._watchdog_started)
        self._loader = Loader(self.chip, self.flash, registers, self._from_loader, self._loader_left)
        self._enter(State.ROM)

    def _enter(self, state: State) -> None:
        self.state = state
        self._changed.set()
        self._changed = asyncio.Event()

    def _power_is_gone(self) -> None:
        """Within an operation of the flash."""
        self._loader = None
        self.flash.cut = None
        self._log.note(f"power cut within flash operation {self.flash.operations}")
        self._enter(State.OFF)

    # -- the program

    def _from_program(self, data: bytes) -> None:
        if not self.trouble.on("hang"):
            self._say(data)

    def _ended(self, end: End) -> None:
        self.transitions.soon(self._follow(self.program, end))

    async def _follow(self, program: Program | None, end: End) -> None:
        """What comes after the end of `program`."""
        async with self.transitions.one():
            if program is None or program is not self.program:
                return  # somebody was faster
            self._catch_up(program.setup.utc_s)
            await self._stop(State.RESET)
            if end.kind == "cut":
                self._power_is_gone()
            elif end.kind == "sleep":
                self._sleep(end.sleep_ms)
            else:
                await self._restart(end)

    def _catch_up(self, utc_s: float) -> None:
        """The program has lived longer than the world: a leap that its end has interrupted."""
        ahead = utc_s - self.world.utc_s()
        if ahead > 1:
            self.world.leap(ahead)

    async def _restart(self, end: End) -> None:
        self.resets += 1
        cause = Cause.SOFTWARE
        if end.kind == "crash":
            self._say(_PANIC)
        elif end.cause == MACHINE_CAUSE[Cause.WATCHDOG]:
            self.watchdogs += 1
            cause = Cause.WATCHDOG
        await self._start(cause)

    def _sleep(self, sleep_ms: int) -> None:
        """0: until somebody resets it."""
        self._enter(State.SLEEP)
        if sleep_ms:
            self._alarm.sleep(sleep_ms / _MILLI, partial(self._reset_soon, Cause.DEEP_SLEEP))

    # -- the serial port

    def _deliver(self, door: Door, data: bytes) -> None:
        if self.transitions.busy:
            if sum(len(waiting) for _, waiting in self._pending) < _PENDING_MAX:
                self._pending.append((door, data))
        elif self._loader is not None:
            self._to_loader(self._loader, data)
        elif self.state in _STARTED:
            sync = -1 if door.lines or self.trouble.on("deaf-reset") else data.find(SYNC_BEGIN)
            if sync >= 0:
                self.transitions.soon(self._synced())
                self._pending.append((door, data[sync:]))
            elif self.program is not None and not self.trouble.on("hang"):
                self.program.feed(data)

    def _settled(self) -> None:
        """No transition is under way: who waits for a state looks again, and what came meanwhile arrives."""
        self._enter(self.state)
        waiting, self._pending = self._pending, []
        for door, data in waiting:
            self._deliver(door, data)

    async def _synced(self) -> None:
        """A tool speaks to the loader. It could not reset the chip, where there are no lines: take it as if it had."""
        async with self.transitions.one():
            if self.state in _STARTED:
                await self._stop(State.RESET)
                self.cause = Cause.PIN
                self.flash.begin()
                self._log.note("reset into the loader by a sync frame")
                self._load()

    def _hung_up(self, door: Door) -> None:
        if not door.lines:
            self.transitions.soon(self._left())

    async def _left(self) -> None:
        """Nobody is there. Where there are no lines that is the reset that a loader tool ends with."""
        async with self.transitions.one():
            if self.state in (State.ROM, State.STUB):
                self._log.note("reset: the port was closed")
                await self._start(Cause.PIN)

    def _lines(self, event: Event) -> None:
        self.transitions.soon(self.hold() if event is Event.HOLD else self.reset(download=event is Event.DOWNLOAD))

    def _to_loader(self, loader: Loader, data: bytes) -> None:
        loader.spoil_md5 = self.trouble.values["bad-md5"]
        try:
            loader.feed(data)
        except PowerCut:
            self._power_is_gone()
            return
        self.trouble.values["bad-md5"] = loader.spoil_md5
        if loader.stub and self.state is State.ROM:
            self._enter(State.STUB)

    def _from_loader(self, data: bytes) -> None:
        if not self.trouble.on("mute"):
            self.port.send(data)

    def _loader_left(self, to_app: bool) -> None:
        self._reset_soon(Cause.SOFTWARE, download=not to_app)

    def _say(self, data: bytes) -> None:
        """Text: to the host, and into the log."""
        self._log.write(data)
        self.port.send(data)

    def _say_lines(self, lines: tuple[str, ...]) -> None:
        self._say("".join(line + "\r\n" for line in lines).encode())

    def _watchdog_started(self) -> None:
        """As `esptool --after watchdog-reset` does it."""
        self._alarm.after(WATCHDOG_S, partial(self._reset_soon, Cause.BOOT_WATCHDOG))

    def _reset_soon(self, cause: Cause, download: bool = False) -> None:
        self.transitions.soon(self.reset(cause, download))
