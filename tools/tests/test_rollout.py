"""Rollouts end to end: what an operator types, real service and broker, nodes under real MicroPython."""

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fleet.rollout.model import Phase, Stage
from protocol import events, refusals
from protocol.settings import row_of
from protocol.update import WAITING
from tools.testbed.node import Seat
from tools.testbed.press import Press
from tools.tests.rollouts import Rollouts, with_fleet
from tools.tests.test_outages import RATE

pytestmark = pytest.mark.slow

FIRST, LOOPS, LAST = NODES = ("air-1", "loop-1", "air-2")
GOOD, BAD = "air-9.1.0", "air-9.2.0"
BACK_S = 4 * 3600  # the nodes begin so long ago: as the test goes on they come nearer, an hour in a minute
BEHIND_S = 1200  # nodes are so far behind the service when windows are tried
OPENS_S = 300  # before the present of the service: for the nodes that is to come
HEARTBEAT_S = 120
QUICK = """
judging = { enabled = false }
gate = { soak = "1s", deadline = "5min" }
"""
EACH = "".join(
    f"""
[[waves]]
name = "{name}"
where = "id={node}"
"""
    for name, node in zip(("first", "second", "third"), NODES, strict=True)
)


def press_all(press: Press) -> None:
    """A good release, and one that restarts for ever on one node."""
    press.release("9.1.0", {})
    old = "        self.net = board.network()\n"
    press.release(
        "9.2.0",
        {"node/app.py": (old, f"        if self.identity.node == {LOOPS!r}:\n            board.reset()\n{old}")},
    )


def test_a_good_release_goes_everywhere_and_back_and_a_bad_one_stays_where_it_failed(tmp_path: Path) -> None:
    async def check(fleet: Rollouts) -> None:
        before = fleet.running()
        await good(fleet)
        await undone(fleet, before)
        await loops_in_a_later_wave(fleet)
        await settings_only(fleet)
        await in_its_window(fleet)

    with_fleet(tmp_path, tuple(Seat(node, "air", "esp32_air", seed=7) for node in NODES), press_all, check, BACK_S)


async def good(fleet: Rollouts) -> None:
    """Every node proves it, wave by wave."""
    number = await fleet.start(f'name = "good"\nreleases = ["{GOOD}"]\n{QUICK}{EACH}')
    await fleet.comes_to(number, Phase.FINISHED)
    assert set(fleet.stages(number).values()) == {Stage.PROVED}, fleet.told(number)
    assert fleet.running() == dict.fromkeys(NODES, "9.1.0")
    ends = [fleet.state(number).executions[node].since_s for node in NODES]
    orders = [fleet.state(number).executions[node].ordered_s for node in NODES]
    assert all(later > end for end, later in zip(ends, orders[1:], strict=False)), "no wave began before the one before"


async def undone(fleet: Rollouts, before: dict[str, str]) -> None:
    """Undo of a rollout that has finished: every node boots what it ran before."""
    await fleet.fleet("rollout", "undo", "good", "--yes")
    number = max(view.id for view in fleet.store.rollouts.all())
    await fleet.comes_to(number, Phase.FINISHED)
    assert set(fleet.stages(number).values()) == {Stage.PROVED}, fleet.told(number)
    assert fleet.running() == before


async def loops_in_a_later_wave(fleet: Rollouts) -> None:
    """The second wave halts it; who had it keeps it, the third is never touched."""
    boots = len(boots_of(fleet, LAST))
    number = await fleet.start(f'name = "loops"\nreleases = ["{BAD}"]\non_failure = "abort"\n{QUICK}{EACH}')
    await fleet.comes_to(number, Phase.ABORTED)
    assert fleet.stages(number) == {FIRST: Stage.PROVED, LOOPS: Stage.REVERTED, LAST: Stage.STOPPED}, fleet.told(number)
    executions = fleet.state(number).executions
    assert executions[LOOPS].code == refusals.U_RESTARTED
    assert executions[LAST].tries == 0
    assert len(boots_of(fleet, LAST)) == boots


async def settings_only(fleet: Rollouts) -> None:
    """Settings go the same way, and no program is touched."""
    before = fleet.running()
    number = await fleet.start(f'goal = "config"\n{QUICK}{EACH}\n[settings]\nheartbeat_s = {HEARTBEAT_S}\n')
    await fleet.comes_to(number, Phase.FINISHED)
    assert set(fleet.stages(number).values()) == {Stage.PROVED}, fleet.told(number)
    wanted = row_of("heartbeat_s")
    assert wanted is not None
    for view in fleet.store.nodes.views():
        assert view.state is not None
        assert view.state.config_applied == view.state.config_desired, view
        assert fleet.store.configs.next([view.node.id])[view.node.id].values == {wanted[0]: HEARTBEAT_S}
    assert fleet.running() == before


async def in_its_window(fleet: Rollouts) -> None:
    """The service holds that the window is open, a node by its own clock that it is to come: it fetches, and waits."""
    bed = fleet.bed
    await bed.set_rate(1)  # so that the world stays within the time that is leapt
    await bed.leap(int(time.time() - bed.world.utc_s()) - BEHIND_S)
    await bed.set_rate(RATE)
    opens = datetime.fromtimestamp((time.time() - OPENS_S) // 60 * 60, UTC)
    window = f'switch = {{ cron = "{opens.minute} {opens.hour} * * *", duration = "1h" }}'
    known = len(boots_of(fleet, LAST))
    number = await fleet.start(f'name = "window"\nreleases = ["{BAD}"]\nnodes = ["{LAST}"]\n{window}\n{QUICK}')
    await fleet.all_said({LAST: WAITING})
    assert fleet.store.campaigns.updates([LAST])[LAST].code == refusals.U_WINDOW
    assert (await bed.nodes[LAST].ask())["utc_s"] < opens.timestamp()
    await fleet.comes_to(number, Phase.FINISHED)
    assert fleet.stages(number) == {LAST: Stage.PROVED}, fleet.told(number)
    await bed.set_rate(1)
    assert await bed.until(lambda: len(boots_of(fleet, LAST)) > known)
    assert boots_of(fleet, LAST)[0] >= opens.timestamp()


def boots_of(fleet: Rollouts, node: str) -> list[int]:
    """When each boot of a node began, by its own clock, newest first."""
    return [event.t_s for event in fleet.store.journal.events([node], code=events.BOOT)]
