"""Power, resets, sleep and the two ways into the loader, with a program that does what the test says."""

import asyncio

import pytest

from tools.virtual_board import slip
from tools.virtual_board.board import State
from tools.virtual_board.program import End
from tools.virtual_board.tests.fakes import PATIENCE_S, SYNC


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
