"""A rollout is aborted while nodes are in every stage there is: none goes on, and those that were done are listed."""

from pathlib import Path

import pytest

from fleet.rollout.model import Phase, Stage
from protocol.update import DOWNLOADING, TRIAL, WAITING
from tools.testbed.node import Seat
from tools.testbed.press import Press
from tools.tests.rollouts import PATIENCE_S, Rollouts, with_fleet
from tools.tests.test_outages import RATE, consoles

pytestmark = pytest.mark.slow

DONE, SLOW, LIT, TRIED, LATER = "done-1", "slow-1", "lit-1", "tried-1", "later-1"
KINDS = {DONE: "air", SLOW: "air", LIT: "light", TRIED: "light", LATER: "air"}
VERSION = "9.1.0"
SLOW_BYTES_S = 1000  # a program takes a minute and a half
AFTER_S = 10.0  # of real time, after power cuts: ten minutes for whoever wants to go on
PLAN = f"""
name = "everywhere"
releases = ["air-{VERSION}", "light-{VERSION}"]
judging = {{ enabled = false }}
gate = {{ soak = "1s", deadline = "10min" }}

[[waves]]
name = "first"
where = "id={DONE}"

[[waves]]
name = "second"
where = "id in {SLOW},{LIT},{TRIED}"

[[waves]]
name = "third"
"""


def press_all(press: Press) -> None:
    """The release of each product."""
    for product in ("air", "light"):
        press.release(VERSION, {}, product=product)


def test_none_commits_what_was_aborted_and_those_that_had_are_listed(tmp_path: Path) -> None:
    async def check(fleet: Rollouts) -> None:
        before = fleet.running()
        number = await everywhere(fleet)
        await fleet.fleet("rollout", "abort", "everywhere", "--why", "a test", "--yes")
        await ended(fleet, number)
        await nobody_goes_on(fleet, before)
        await listed(fleet)

    with_fleet(tmp_path, tuple(Seat(node, kind, f"esp32_{kind}", 7) for node, kind in KINDS.items()), press_all, check)


async def everywhere(fleet: Rollouts) -> int:
    """One node has confirmed, one downloads, one waits for daylight, one is on trial, one was not ordered."""
    bed = fleet.bed
    await fleet.fleet("node", "command", "set_level", LIT, "level=100", "seconds=86400", "--yes")
    bed.links[SLOW].bytes_per_s = SLOW_BYTES_S
    await bed.nodes[SLOW].order("rate", x=1)  # its patience is that of real time
    number = await fleet.start(PLAN)
    await fleet.all_said({TRIED: TRIAL})
    await bed.nodes[TRIED].order("rate", x=1)  # and stays on trial, which takes minutes of its time
    await fleet.all_said({SLOW: DOWNLOADING, LIT: WAITING, TRIED: TRIAL})
    stages = fleet.stages(number)
    assert (stages[DONE], stages[LATER]) == (Stage.PROVED, Stage.QUEUED), fleet.told(number)
    return number


async def ended(fleet: Rollouts, number: int) -> None:
    """Each node has answered."""
    await fleet.comes_to(number, Phase.ABORTED)
    stopped = {SLOW: Stage.STOPPED, LIT: Stage.STOPPED, TRIED: Stage.STOPPED, LATER: Stage.STOPPED}
    answered = await fleet.bed.until(lambda: fleet.stages(number) == {DONE: Stage.PROVED, **stopped}, PATIENCE_S)
    assert answered, fleet.told(number)
    executions = fleet.state(number).executions
    assert [executions[node].tries for node in (SLOW, LIT, TRIED, LATER)] == [1, 1, 1, 0]


async def nobody_goes_on(fleet: Rollouts, before: dict[str, str]) -> None:
    """Also not with all the network there is, in the day, after a restart."""
    bed = fleet.bed
    bed.links[SLOW].bytes_per_s = 0
    await bed.set_rate(RATE)
    await fleet.fleet("node", "command", "clear_override", LIT, "--yes")
    for board in bed.nodes.values():
        await board.power_off()
        await board.power_on()
    reset = bed.world.utc_s()
    assert await bed.until(lambda: bed.world.utc_s() - reset > AFTER_S * RATE)
    wanted = {**before, DONE: VERSION}
    assert await bed.until(lambda: fleet.running() == wanted, PATIENCE_S), (fleet.running(), consoles(bed))
    for node in KINDS:
        log = (bed.nodes[node].directory / "serial.log").read_text(errors="replace")
        assert ("is confirmed" in log) == (node == DONE), node


async def listed(fleet: Rollouts) -> None:
    """What the operator sees."""
    shown = (await fleet.fleet("rollout", "status", "everywhere"))["rollout"]
    assert (shown["phase"], shown["confirmed"], shown["untouched"]) == ("aborted", [DONE], 1), shown
