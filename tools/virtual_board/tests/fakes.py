"""A board with a program that does what the test says, and a door that is written down."""

import asyncio
from dataclasses import replace

from tools.switchboard import WorldClock
from tools.virtual_board import slip
from tools.virtual_board.base import base_image
from tools.virtual_board.board import Board, State
from tools.virtual_board.chips import CHIPS
from tools.virtual_board.flash import FlashChip
from tools.virtual_board.orders import Orders
from tools.virtual_board.program import ProgramSetup
from tools.virtual_board.tests.harness import MAC

IMAGE = base_image("esp32", size=8192)
SYNC = slip.encode(b"\0\x08\x24\0\0\0\0\0" + b"\x07\x07\x12\x20" + b"\x55" * 32)
PATIENCE_S = 5.0


class FakeProgram:
    """Stands for MicroPython."""

    def __init__(self, setup, on_output, on_end) -> None:
        self.setup, self.say, self.end = setup, on_output, on_end
        self.done = 0  # flash operations
        self.pid = 1
        self.heard = bytearray()
        self.asked: list[tuple] = []
        self.killed = False
        self.deaf = False

    @property
    def operations(self) -> int:
        return self.setup.operations + self.done

    async def start(self, cause: int) -> None:
        self.cause = cause
        self.say(b"hello\r\n")

    def feed(self, data: bytes) -> None:
        self.heard += data

    async def kill(self) -> None:
        self.killed = True
        left, keep = self.setup.cut
        self.setup = replace(self.setup, cut=(max(left - self.done, 0), keep))

    def order(self, name, /, **values) -> None:
        self.asked.append((name, values))
        self.setup = self.setup.obeyed(name, values)

    async def ask(self, name, /, **values) -> dict:
        if self.deaf:
            await asyncio.sleep(1000)
        self.order(name, **values)
        return {"answered": name}


class FakeDoor:
    def __init__(self, lines: bool = False) -> None:
        self.url, self.lines, self.baud = "fake", lines, 115200
        self.said = bytearray()
        self.paused = 0

    def write(self, data: bytes) -> None:
        self.said += data

    def pause(self) -> None:
        self.paused += 1

    def resume(self) -> None:
        self.paused -= 1

    def close(self) -> None:
        pass


class Desk:
    """A board with what is around it; `ask` gives orders as the control socket does."""

    def __init__(self, directory, blank: bool, baud: int = 0) -> None:
        flash = FlashChip(directory / "flash.bin", 4 << 20, directory / "operations.bin")
        if not blank:
            flash.begin()
            flash.program(0x1000, IMAGE)
        self.now = 1000.0
        self.programs: list[FakeProgram] = []
        setup = ProgramSetup(directory=directory, chip="esp32", mac=MAC, flash=flash.path, partitions=())
        world = WorldClock(1_800_000_000, 1.0)
        self.board = Board(CHIPS["esp32"], setup, flash, world, baud, self._make)
        self.door = FakeDoor()
        self.board.port.doors.append(self.door)
        self.orders = Orders(self.board, lambda: None)

    def _make(self, *words) -> FakeProgram:
        self.programs.append(FakeProgram(*words))
        return self.programs[-1]

    @property
    def program(self) -> FakeProgram:
        return self.programs[-1]

    async def ask(self, name: str, /, **values) -> dict:
        return await self.orders.handle(name, values)

    async def until(self, *states: str) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await self.board.reached({State(state) for state in states})

    def type(self, data: bytes) -> None:
        self.board.port.received(self.door, data)

    def said(self) -> str:
        text = self.door.said.decode("latin-1")
        self.door.said.clear()
        return text
