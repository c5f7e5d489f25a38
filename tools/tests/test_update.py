"""Acceptance of updates, end to end: our own firmware, real service and broker, nodes under real MicroPython."""

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from protocol import refusals
from protocol.update import CONFIRMED, REVERTED
from tools.switchboard import WorldClock
from tools.testbed import Testbed
from tools.testbed.node import Seat
from tools.testbed.press import Press, fleet
from tools.tests.test_outages import all_arrived, consoles, started

pytestmark = pytest.mark.slow

RATE = 60.0
MINUTES = 60  # of real time before the nodes would live in the future
PATIENCE_S = 120.0
GOOD = "air-9.1.0"
_SAID = """SELECT node.id, node_update.counter, node_update.stage, node_update.code, node_update.proved_manifest
    FROM node_update JOIN node ON node.key = node_update.node"""
_ORDERED = "SELECT node.id, campaign.counter FROM campaign JOIN node ON node.key = campaign.node"
# node: (what the release for it does, the file, a text in it, what stands there instead, code, words of the reason)
BAD = {
    "loop-1": (
        "restarts for ever",
        "node/app.py",
        "import asyncio\nimport sys\n",
        "import machine\n\nmachine.reset()\n",
        refusals.U_RESTARTED,
        "",
    ),
    "import-1": (
        "imports what is not there",
        "node/app.py",
        "import asyncio\nimport sys\n",
        "import asyncio\nimport sys\nimport not_there\n",
        refusals.U_CRASHED,
        "not_there",
    ),
    "mute-1": (
        "never confirms",
        "node/tasks/upkeep.py",
        "proved = parts.link.up and",
        "proved = False and",
        refusals.U_UNCONFIRMED,
        "",
    ),
    "hang-1": (
        "hangs",
        "node/app.py",
        "        self._announce()\n        self.commands",
        "        while True:\n            pass\n        self.commands",
        refusals.U_HUNG,
        "",
    ),
}


def with_bed(
    directory: Path,
    seats: tuple[Seat, ...],
    press: Callable[[Press], None],
    check: Callable[[Testbed], Awaitable[None]],
) -> None:
    """Run `check` on a fleet whose nodes trust the keys of a press, with the releases that `press` makes."""

    async def main() -> None:
        made = Press(directory / "press")
        world = WorldClock(time.time() - RATE * MINUTES * 60, RATE)
        async with Testbed(directory / "bed", seats, world, found=made.found) as bed:
            press(made)
            await check(bed)

    asyncio.run(main())


async def order(bed: Testbed, release: str, *nodes: str) -> None:
    """What an operator types. In a thread, for the links of the nodes live in this one's loop."""
    words = ("node", "update", *nodes, "--release", release, "--yes", "--fleet", bed.fleet_dir)
    found = await asyncio.to_thread(fleet, *words)
    assert [row["stage"] for row in found["updates"]] == ["ordered"] * len(nodes)


async def shown(bed: Testbed, node: str) -> dict[str, Any]:
    """What an operator sees."""
    found: dict[str, Any] = await asyncio.to_thread(fleet, "node", "show", node, "--fleet", bed.fleet_dir)
    return found


def said(bed: Testbed) -> dict[str, tuple[int, int, int, bool]]:
    """{node: (counter, stage, code, whether what runs was proved)} of what each last said of its update."""
    with closing(sqlite3.connect(f"file:{bed.database}?mode=ro", uri=True)) as store:
        return {node: (counter, *rest, proved is not None) for node, counter, *rest, proved in store.execute(_SAID)}


async def all_are(bed: Testbed, wanted: int, *nodes: str) -> None:
    """Wait until the newest order to each node has got so far; a confirmed program has to be proved."""

    def are() -> bool:
        found = said(bed)
        return all(found.get(node, (0, 0))[:2] == (counters[node], wanted) for node in nodes)

    with closing(sqlite3.connect(f"file:{bed.database}?mode=ro", uri=True)) as store:
        counters = dict(store.execute(_ORDERED).fetchall())
    assert await bed.until(are, PATIENCE_S), (said(bed), consoles(bed))


def press_bad(press: Press) -> None:
    """A good release, and each bad one."""
    press.release("9.1.0", {})
    for at, (_, file, old, new, _, _) in enumerate(BAD.values()):
        press.release(f"9.{at + 2}.0", {file: (old, new)})


def test_a_release_is_proved_and_each_bad_one_reverts_by_itself_and_says_why(tmp_path: Path) -> None:
    async def check(bed: Testbed) -> None:
        await started(bed)
        await order(bed, GOOD, *BAD)
        await all_are(bed, CONFIRMED, *BAD)
        for node in BAD:
            about = (await shown(bed, node))["node"]
            assert (about["release"], about["version"], about["slot"]) == (GOOD, "9.1.0", "b")
            assert about["proof"]["slot"] == "b"
            assert about["update"]["stage"] == "proved"
        for at, node in enumerate(BAD):
            await order(bed, f"air-9.{at + 2}.0", node)
        await all_are(bed, REVERTED, *BAD)
        await all_arrived(bed)  # the reason for ever is an event, which waits its turn
        for at, (node, (what, _, _, _, code, words)) in enumerate(BAD.items()):
            about = (await shown(bed, node))["node"]
            last = about["update_history"][0]
            assert (about["release"], about["slot"]) == (GOOD, "b"), what
            assert (last["release"], last["stage"], last["code"]) == (f"air-9.{at + 2}.0", "reverted", code), what
            assert words in last["reason"], what

    with_bed(tmp_path, tuple(Seat(node, "air", "esp32_air", seed=7) for node in BAD), press_bad, check)
