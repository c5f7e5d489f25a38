"""Cuts, faults, trouble and orders that make no sense, with a program that does what the test says."""

import asyncio

import pytest

from tools.virtual_board import slip
from tools.virtual_board.board import State
from tools.virtual_board.boot import Cause
from tools.virtual_board.program import End
from tools.virtual_board.tests.fakes import PATIENCE_S, SYNC


def test_a_cut_counts_over_the_loader_and_the_program(desk):
    async def test(desk):
        before = desk.board.operations
        await desk.ask("cut", after=10, keep=3)
        assert desk.program.asked == [("cut", {"after": 10, "keep": 3})]
        desk.program.done = 4
        await desk.ask("reset")
        assert desk.program.setup.cut == (6, 3)
        assert desk.program.setup.operations == before + 4
        await desk.ask("download")
        assert (await desk.ask("status"))["cut_in"] == 6
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
        desk.program.done = 1
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
    "values that are none of its own": ("fault", {"part": "sen66"}, "takes part name value, not part"),
    "a cut in the past": ("cut", {"after": 0}, "counts from 1"),
    "a number that is none": ("leap", {"s": "soon"}, "whole number"),
    "an unknown state": ("wait", {"state": "happy"}, "no state 'happy': one of off, reset"),
    "a rate of nothing": ("rate", {"x": 0}, "above 0"),
    "a rate that is no number": ("rate", {"x": "fast"}, "a number above 0, not 'fast'"),
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
