"""Commands and configurations from the command line to a real node and back."""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from fleet.store import Store
from protocol import events
from protocol.messages import RESET_HARD, Boot
from tools.interpreter import ROOT
from tools.switchboard import WorldClock
from tools.testbed import Testbed
from tools.testbed.node import Seat

SEATS = (Seat("air-1", "air", "esp32_air"), Seat("light-1", "light", "esp32_light"))
RATE = 60.0
BACK_S = 3000  # the nodes live a little in the past, so that no command has expired before it arrives

pytestmark = pytest.mark.slow


async def fleet(bed: Testbed, *words: str) -> Any:
    """What `fleet ... --json` prints; it has to succeed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "fleet", *words, "--fleet", str(bed.fleet_dir), "--json", "--yes"),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return json.loads(out)


async def command(bed: Testbed, *words: str) -> list[dict[str, Any]]:
    """The answers of the nodes; each did what it was told."""
    answers: list[dict[str, Any]] = (await fleet(bed, "node", "command", *words))["commands"]
    assert [answer["status"] for answer in answers] == ["done"] * len(answers)
    return [answer["result"] for answer in answers]


def test_nodes_obey_and_say_so(tmp_path: Path) -> None:
    async def run() -> None:
        async with Testbed(tmp_path, SEATS, WorldClock(time.time() - BACK_S, RATE)) as bed:
            await bed.power_on()
            assert await bed.until(lambda: len(bed.account().records) == len(SEATS), 60)
            for answer in await command(bed, "ping", "air-1", "light-1"):
                assert answer["up_s"] > 0
            assert await command(bed, "set_level", "light-1", "level=100", "seconds=3600") == [
                {"level": 100, "seconds": 3600}
            ]
            await fleet(bed, "node", "config", "set", "air-1", "interval_s=30", "--wait")
            before = (await bed.nodes["air-1"].ask())["boot"]
            resets = await bed.nodes["air-1"].resets()

            async def restarted() -> bool:
                return await bed.nodes["air-1"].resets() > resets

            await command(bed, "reboot", "air-1", "delay_s=1")
            assert await bed.until(restarted, 30)
            assert (await bed.nodes["air-1"].ask())["boot"] == before + 1
            assert (await bed.drained()).clean
            boot = newest_boot(bed, "air-1")
            assert (boot.intended, boot.cause, boot.config_rev) == (True, RESET_HARD, 1)

    asyncio.run(run())


def newest_boot(bed: Testbed, node: str) -> Boot:
    """What a node said about its last start. (The one for flashing has no date: there was no network.)"""
    with Store.open(bed.database) as store:
        found = [event for event in store.journal.events([node]) if event.code == events.BOOT]
        return Boot.from_map(dict(max(found, key=lambda event: event.boot).attrs))
