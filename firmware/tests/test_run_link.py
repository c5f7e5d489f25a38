"""Which brokers the link tries, and in what order; there is none, so every attempt fails."""

import asyncio
import time

from node.core.clock import Clock
from node.tasks.link import Link
from protocol.identity import Identity
from protocol.settings import SETTINGS
from tools.sim import clock as clocks
from tools.sim.board import HostNetwork

IDENTITY = Identity(
    node="abc", kind="air", board="b", boot0=1, ca=b"-", cert=b"-", key=b"-", brokers=["one:1", "two:1"]
)


class Nothing:
    """A source without messages."""

    on_ready = None

    def take(self):
        return None


def tried(during):
    """The brokers that a link tries while `during(link, tried)` runs."""
    core = asyncio.core
    before = core.ticks, core.IOQueue
    found = []
    settings = {row[1]: row[5] for row in SETTINGS}
    try:
        clock = clocks.VirtualClock(time.ticks_ms)
        clocks.install(clock)
        clock.leap(1 << 40, lambda: None)
        link = Link(
            Clock(clock.ticks_ms, clocks.ticks_diff),
            IDENTITY,
            HostNetwork(),
            Nothing(),
            settings.get,
            lambda below: below - 1,
            lambda *_: None,
            power_on=False,
            secure=False,
        )

        async def dial(wire, broker, context):
            found.append(broker)
            raise OSError(111)

        link._dial = dial
        asyncio.run(lives(link, during, found))
        return found
    finally:
        core.ticks, core.IOQueue = before
        core.new_event_loop()


async def lives(link, during, found):
    running = asyncio.create_task(link.run(lambda: None))
    await during(link, found)
    running.cancel()


async def tries(found, count):
    while len(found) < count:
        await asyncio.sleep(1)


def test_its_own_brokers_take_turns():
    async def during(link, found):
        await tries(found, 4)

    assert tried(during)[:4] == ["one:1", "two:1", "one:1", "two:1"]


def test_others_come_behind_its_own_and_may_go_again():
    async def during(link, found):
        link.others = ["help:1"]
        await tries(found, 6)
        link.others = []
        await tries(found, 9)

    found = tried(during)
    assert found[:6] == ["one:1", "two:1", "help:1"] * 2
    assert "help:1" not in found[6:]


def test_it_is_at_home_with_its_own_brokers_only():
    async def during(link, found):
        link.others = ["help:1"]
        link.up = True
        for index, at_home in ((0, True), (1, True), (2, False)):
            link._broker = index
            assert link.at_home is at_home
        link.go_home()
        assert link._broker == 0
        link.up = False
        assert not link.at_home

    tried(during)
