"""Orders in words do what they say, and nonsense is answered with what would make sense."""

import asyncio
import tempfile
import time
from pathlib import Path

import pytest

from tools.switchboard import WorldClock
from tools.switchboard.__main__ import main
from tools.testbed import Testbed
from tools.testbed.console import Console
from tools.testbed.node import Seat

SEATS = (Seat("air-1", "air", "esp32_air"),)
REFUSED = [
    ("dance", "no order 'dance': one of cut, refuse"),
    ("", "no order ''"),
    ("cut", "cut takes node"),
    ("cut air-9", "no node air-9: air-1 or all"),
    ("delay air-1 soon", "could not convert"),
    ("silence birds", "no server birds: time or names"),
    ("rate 0.1", "real time or faster"),
    ("fault air-1 sen67 crc 1", "sen67"),
    ("fault air-1 sen66 rust 1", "no fault rust"),
]


def nonsense_of(line: str, answer: str, words: str) -> None:
    assert answer.startswith("Error: "), line
    assert words in answer, line


@pytest.mark.slow
def test_orders() -> None:
    async def carry_out(bed: Testbed) -> None:
        console = Console(bed)
        link = bed.links["air-1"]
        for line, words in REFUSED:
            nonsense_of(line, await console.obey(line), words)
        assert await console.obey("delay all 0.2") == "ok"
        assert await console.obey("throttle air-1 9000") == "ok"
        assert (link.delay_s, link.bytes_per_s) == (0.2, 9000)
        for line in ("cut air-1", "drop air-1", "refuse all", "heal air-1", "rate 30", "silence time", "speak time"):
            assert await console.obey(line) == "ok", line
        assert (link.delay_s, bed.world.rate) == (0.0, 30)
        assert await console.obey("fault air-1 sen66 unplugged 1") == "ok"
        log = bed.nodes["air-1"].directory / "serial.log"
        assert await bed.until(lambda: "sen66: " in log.read_text(), 60)
        for line in ("kill air-1", "start all", "kill service", "start service", "kill broker"):
            assert await console.obey(line) == "ok", line
        assert await bed.nodes["air-1"].is_on()

    async def run(directory: Path) -> None:
        async with Testbed(directory, SEATS, WorldClock(time.time() - 100000, 60)) as bed:
            await bed.power_on()
            await carry_out(bed)
            async with Console(bed):
                assert await asyncio.to_thread(main, [str(directory), "cut", "air-1"]) == 0
                assert await asyncio.to_thread(main, [str(directory), "cut", "moon"]) == 1
        assert await asyncio.to_thread(main, [str(directory), "cut", "air-1"]) == 5

    with tempfile.TemporaryDirectory() as directory:  # a socket's path is short
        asyncio.run(run(Path(directory)))
