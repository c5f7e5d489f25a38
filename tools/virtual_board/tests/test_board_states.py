"""Power, resets, sleep, faults and the two ways into the loader, with a program that does what the test says."""

import asyncio
from dataclasses import replace

import pytest

from tools.switchboard import WorldClock
from tools.virtual_board import slip
from tools.virtual_board.base import base_image
from tools.virtual_board.board import Board, State
from tools.virtual_board.boot import Cause
from tools.virtual_board.chips import CHIPS
from tools.virtual_board.flash import FlashChip
from tools.virtual_board.orders import Orders
from tools.virtual_board.program import End, ProgramSetup
from tools.virtual_board.tests.harness import MAC

IMAGE = base_image("esp32", size=8192)
SYNC = slip.encode(b"\0\x08\x24\0\0\0\0\0" + b"\x07\x07\x12\x20" + b"\x55" * 32)
PATIENCE_S = 5.0


class FakeProgram:
    """Stands for MicroPython."""

    def __init__(self, setup, on_output, on_end) -> None:
        self.setup, self.say, self.end = setup, on_output, on_end
        self.operations = setup.operations
        self.pid = 1
        self.heard = bytearray()
        self.asked: list[tuple] = []
        self.killed = False
        self.deaf = False

    async def start(self, cause: int) -> None:
        self.cause = cause
        self.say(b"hello\r\n")

    def feed(self, data: bytes) -> None:
        self.heard += data

    async def kill(self) -> None:
        self.killed = True

    def order(self, name, /, **values) -> None:
        self.asked.append((name, values))

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


@pytest.fixture
def desk(tmp_path):
    """Runs a test on a board within an event loop."""

    def run(test, blank: bool = False, on: bool = True, **options) -> None:
        async def body() -> None:
            found = Desk(tmp_path, blank, **options)
            try:
                if on:
                    await found.board.power(on=True)
                await test(found)
                if found.board.transitions.failed.done():
                    found.board.transitions.failed.result()
            finally:
                await found.board.close()

        asyncio.run(body())

    return run


def test_power_on_boots_the_program_of_the_flash(desk, tmp_path):
    async def test(desk):
        assert desk.board.state is State.APP
        assert "rst:0x1 (POWERON_RESET)" in (text := desk.said())
        assert text.endswith("entry 0x400805cc\r\nhello\r\n")
        setup = desk.program.setup
        assert (desk.program.cause, setup.running) == (1, "factory")
        assert [row["name"] for row in setup.partitions] == ["nvs", "phy_init", "factory", "vfs"]
        desk.type(b"print(1)\r")
        assert desk.program.heard == b"print(1)\r"
        assert "hello" in (tmp_path / "serial.log").read_text()

    desk(test)


def test_a_blank_board_says_so_again_and_again(desk, monkeypatch):
    monkeypatch.setattr("tools.virtual_board.board.RETRY_S", 0.01)

    async def test(desk):
        await desk.until("halted")
        async with asyncio.timeout(PATIENCE_S):
            while desk.door.said.count(b"invalid header: 0xffffffff") < 3:
                await asyncio.sleep(0.01)
        assert desk.programs == []

    desk(test, blank=True)


ENDS = {  # sentence: (how the program ends, what the ROM says, machine.reset_cause() of the next)
    "machine.reset": (End("reset", 2), "rst:0xc (SW_CPU_RESET)", 2),
    "the watchdog": (End("reset", 3), "rst:0xc (SW_CPU_RESET)", 3),
    "a crash of the interpreter": (End("crash"), "Guru Meditation Error", 2),
}


@pytest.mark.parametrize("sentence", ENDS)
def test_after_the_end_of_a_program_comes_the_next(sentence, desk):
    end, line, cause = ENDS[sentence]

    async def test(desk):
        first = desk.program
        desk.said()
        first.end(end)
        await asyncio.sleep(0)
        await desk.until("app")
        assert desk.program is not first
        assert line in desk.said()
        assert desk.program.cause == cause
        status = await desk.ask("status")
        assert (status["boots"], status["resets"]) == (2, 1)
        assert status["watchdogs"] == (cause == 3)

    desk(test)


def test_a_program_that_was_reset_by_somebody_else_ends_nothing(desk):
    async def test(desk):
        first = desk.program
        first.end(End("reset", 2))
        await desk.ask("reset")
        assert first.killed
        await asyncio.sleep(0.01)
        assert (len(desk.programs), desk.program.cause) == (2, 1)

    desk(test)


def test_deep_sleep_lasts_as_long_as_the_world_says(desk):
    async def test(desk):
        desk.program.end(End("sleep", 4, sleep_ms=3_600_000))
        await asyncio.sleep(0)
        await desk.until("sleep")
        await desk.ask("leap", s=3000)
        assert desk.board.state is State.SLEEP
        await desk.ask("leap", s=600)
        await desk.until("app")
        assert desk.program.cause == 4
        assert "DEEPSLEEP_RESET" in desk.said()

    desk(test)


def test_deep_sleep_ends_sooner_when_time_runs_faster(desk):
    async def test(desk):
        desk.program.end(End("sleep", 4, sleep_ms=10_000))
        await asyncio.sleep(0)
        await desk.until("sleep")
        await desk.ask("rate", x=100_000)
        await desk.until("app")

    desk(test)


def test_sleep_without_an_end_waits_for_a_reset(desk):
    async def test(desk):
        desk.program.end(End("sleep", 4))
        await asyncio.sleep(0)
        await desk.until("sleep")
        await desk.ask("leap", s=1 << 20)
        assert desk.board.state is State.SLEEP
        await desk.ask("reset")
        assert desk.program.cause == 1

    desk(test)


def test_memory_of_the_rtc_is_empty_after_power_off_and_kept_over_a_reset(desk, tmp_path):
    async def test(desk):
        (tmp_path / "rtc.bin").write_bytes(b"kept")
        await desk.ask("reset")
        assert (tmp_path / "rtc.bin").read_bytes() == b"kept"
        await desk.ask("power", on=False)
        assert desk.board.state is State.OFF
        desk.type(b"anybody?" + SYNC)
        await desk.ask("power", on=True)
        assert (tmp_path / "rtc.bin").read_bytes() == b""

    desk(test)


def test_a_sync_frame_ends_the_program_and_is_answered(desk):
    async def test(desk):
        first = desk.program
        desk.said()
        desk.type(b"\r\x03" + SYNC)
        await asyncio.sleep(0)
        await desk.until("rom")
        assert first.killed
        assert len(slip.Decoder(64).feed(bytes(desk.door.said))) == 8
        desk.board.port.hung_up(desk.door)
        await asyncio.sleep(0)
        await desk.until("app")
        assert desk.program.cause == 1

    desk(test)


def test_bytes_that_come_within_a_transition_are_not_lost(desk):
    async def test(desk):
        desk.type(SYNC)
        desk.type(SYNC[:7])
        desk.type(SYNC[7:])
        await desk.until("rom")
        await asyncio.sleep(0)
        assert len(slip.Decoder(64).feed(bytes(desk.door.said.rpartition(b"hello\r\n")[2]))) == 16

    desk(test)


def test_the_lines_hold_the_chip_in_reset_and_choose_where_it_starts(desk):
    async def test(desk):
        desk.board.port.modem_lines(dtr=False, rts=True)
        await desk.until("reset")
        desk.board.port.modem_lines(dtr=True, rts=True)
        desk.said()
        desk.board.port.modem_lines(dtr=True, rts=False)
        await asyncio.sleep(0)
        await desk.until("rom")
        assert "waiting for download" in desk.said()
        desk.board.port.modem_lines(dtr=False, rts=True)
        desk.board.port.modem_lines(dtr=False, rts=False)
        await asyncio.sleep(0)
        await desk.until("app")

    desk(test)


def test_where_there_are_lines_neither_a_sync_nor_a_hang_up_resets(desk):
    async def test(desk):
        desk.door.lines = True
        desk.type(SYNC)
        assert desk.program.heard == SYNC
        await desk.ask("download")
        desk.type(SYNC)
        desk.board.port.hung_up(desk.door)
        await asyncio.sleep(0.01)
        assert desk.board.state is State.ROM

    desk(test)


def test_a_brown_out_is_said_and_starts_again(desk):
    async def test(desk):
        desk.said()
        await desk.ask("brownout")
        assert "Brownout detector was triggered" in (text := desk.said())
        assert "RTCWDT_BROWN_OUT_RESET" in text
        assert desk.program.cause == 1

    desk(test)


def test_a_cut_counts_over_the_loader_and_the_program(desk):
    async def test(desk):
        before = desk.board.operations
        await desk.ask("cut", after=10, keep=3)
        assert desk.program.asked == [("cut", {"after": 10, "keep": 3})]
        desk.program.operations += 4
        await desk.ask("reset")
        assert desk.program.setup.cut == (6, 3)
        assert desk.program.setup.operations == before + 4
        await desk.ask("download")
        assert (await desk.ask("status"))["cut_in"] == 6
        desk.program.setup = replace(desk.program.setup, cut=(0, None))
        begin = b"\0\x02\x10\0\0\0\0\0" + b"".join(n.to_bytes(4, "little") for n in (10 << 12, 40, 1024, 0x200000))
        desk.type(slip.encode(begin))
        await desk.until("off")
        assert desk.board.operations == before + 10
        assert (await desk.ask("status"))["cut_in"] is None
        await desk.ask("power", on=True)
        assert desk.board.state is State.APP

    desk(test)


def test_a_cut_within_the_program_is_the_end_of_its_power(desk):
    async def test(desk):
        desk.program.operations += 1
        desk.program.end(End("cut"))
        await asyncio.sleep(0)
        await desk.until("off")

    desk(test)


def test_what_is_around_the_board_lasts_over_resets(desk):
    async def test(desk):
        await desk.ask("power", on=False)
        await desk.ask("wifi", networks={"lab": "secret"})
        await desk.ask("fault", part="sen66", name="crc", value=3)
        await desk.ask("power", on=True)
        assert desk.program.setup.wifi == {"lab": "secret"}
        assert desk.program.setup.faults == (("sen66", "crc", 3),)
        await desk.ask("wifi", present=False)
        assert desk.program.asked[-1] == ("wifi", {"networks": {}})

    desk(test)


def test_a_program_that_does_not_look_obeys_later(desk, monkeypatch):
    monkeypatch.setattr("tools.virtual_board.board.TELL_S", 0.01)

    async def test(desk):
        desk.program.deaf = True
        assert await desk.ask("wifi", present=True) == {"pending": True}

    desk(test)


TROUBLES = {  # sentence: (trouble, its value, states that a reset then leads to, text)
    "the strap is held down": ("stuck-boot", 1, "rom", "waiting for download"),
    "the supply dips at every start": ("brownout-boot", 1, "halted", "Brownout detector was triggered"),
}


@pytest.mark.parametrize("sentence", TROUBLES)
def test_trouble_at_every_start(sentence, desk):
    name, value, state, text = TROUBLES[sentence]

    async def test(desk):
        await desk.ask("trouble", name=name, value=value)
        desk.said()
        await desk.ask("reset")
        assert desk.board.state == state
        assert text in desk.said()
        await desk.ask("trouble", name=name, value=0)
        await desk.ask("reset")
        assert desk.board.state is State.APP

    desk(test)


def test_a_deaf_board_never_enters_the_loader(desk):
    async def test(desk):
        await desk.ask("trouble", name="deaf-reset")
        desk.type(SYNC)
        await desk.ask("download")
        assert desk.board.state is State.APP

    desk(test)


def test_a_mute_loader_says_nothing_and_a_hanging_program_neither(desk):
    async def test(desk):
        await desk.ask("download")
        await desk.ask("trouble", name="mute")
        desk.said()
        desk.type(SYNC)
        assert desk.said() == ""
        await desk.ask("trouble", name="hang", value=True)
        await desk.ask("reset")
        assert "hello" not in desk.said()
        desk.type(b"x")
        assert desk.program.heard == b""

    desk(test)


def test_a_slow_line_is_slow_both_ways(desk):
    async def test(desk):
        loop = asyncio.get_running_loop()
        begun = loop.time()
        desk.type(b"x" * 100)
        assert desk.door.paused == 1
        async with asyncio.timeout(PATIENCE_S):
            while not desk.program.heard:
                await asyncio.sleep(0.001)
        assert loop.time() - begun >= 100 * 10 / 20000
        assert desk.door.paused == 0
        assert b"hello" not in desk.door.said  # the text of the ROM is still on its way

    desk(test, baud=20000)


NONSENSE = {
    "an unknown order": ("explode", {}, "no order 'explode'"),
    "a value that is missing": ("cut", {}, "after"),
    "a value too many": ("reset", {"hard": True}, "hard"),
    "a cut in the past": ("cut", {"after": 0}, "counts from 1"),
    "a number that is none": ("leap", {"s": "soon"}, "whole number"),
    "an unknown state": ("wait", {"state": "happy"}, "happy"),
    "a rate of nothing": ("rate", {"x": 0}, "above 0"),
    "both kinds of air": ("wifi", {"present": True, "networks": {}}, "either"),
    "an unknown trouble": ("trouble", {"name": "smoke"}, "smoke"),
}


@pytest.mark.parametrize("sentence", NONSENSE)
def test_orders_that_make_no_sense_are_refused_with_the_reason(sentence, desk):
    name, values, reason = NONSENSE[sentence]

    async def test(desk):
        with pytest.raises(ValueError, match=reason):
            await desk.ask(name, **values)

    desk(test)


def test_a_board_without_power_is_not_reset(desk):
    async def test(desk):
        for name in ("reset", "download", "brownout"):
            with pytest.raises(ValueError, match="no power"):
                await desk.ask(name)
        await desk.board.reset(Cause.PIN)
        assert desk.board.state is State.OFF

    desk(test, on=False)


def test_a_wait_ends_with_the_state_or_with_its_time(desk):
    async def test(desk):
        with pytest.raises(TimeoutError):
            await desk.ask("wait", state="sleep", timeout_s=0.01)
        waiting = asyncio.create_task(desk.ask("wait", state=["off", "sleep"], timeout_s=PATIENCE_S))
        await desk.ask("power", on=False)
        assert await waiting == {"state": "off"}

    desk(test)
