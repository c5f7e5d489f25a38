"""Rollouts as an operator makes and sees them, on a test bench."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from fleet.rollout.model import Phase, Stage, State
from fleet.store import Store
from tools.switchboard import WorldClock
from tools.testbed import Testbed
from tools.testbed.node import Seat
from tools.testbed.press import Press, fleet
from tools.tests.test_outages import RATE, consoles

PATIENCE_S = 120.0
LEAST_S = 4 * 3600  # the nodes begin at least so long ago: a test lasts less than four minutes
MORNING_S = 8 * 3600  # UTC: no lamp is lit, so each may restart


def with_fleet(
    directory: Path,
    seats: tuple[Seat, ...],
    press: Callable[[Press], None],
    check: Callable[["Rollouts"], Awaitable[None]],
    back_s: float = 0,
) -> None:
    """Run `check` on nodes that have reported, with the releases that `press` makes; their time runs at RATE.

    They begin `back_s` ago; 0 = in a morning that is long enough ago."""

    async def main() -> None:
        made = Press(directory / "press")
        latest = time.time() - LEAST_S - MORNING_S
        begin_s = time.time() - back_s if back_s else latest - latest % 86400 + MORNING_S
        async with Testbed(directory / "bed", seats, WorldClock(begin_s, RATE), found=made.found) as bed:
            await asyncio.to_thread(press, made)
            await bed.power_on()
            reported = await bed.until(lambda: len(bed.account().records) == len(seats), PATIENCE_S)
            assert reported, consoles(bed)
            with closing(Store.open(bed.config.store_url)) as store:
                await check(Rollouts(bed, store))

    asyncio.run(main())


class Rollouts:
    """Rollouts of the fleet on `bed`. Commands run in a thread, for the links of the nodes live in this one's loop."""

    def __init__(self, bed: Testbed, store: Store) -> None:
        self.bed = bed
        self.store = store

    async def fleet(self, *words: str | Path) -> Any:
        """What a `fleet` command prints."""
        return await asyncio.to_thread(fleet, *words, "--fleet", self.bed.fleet_dir)

    async def start(self, plan: str) -> int:
        """Start what a plan file says; the number of the rollout."""
        path = self.bed.directory / "plan.toml"
        path.write_text(plan)
        started = await self.fleet("rollout", "start", path, "--yes")
        return int(started["rollout"]["id"])

    def state(self, number: int) -> State:
        """How a rollout stands."""
        return self.store.rollouts.state(number)

    def stages(self, number: int) -> dict[str, Stage]:
        """{node: how far it is}."""
        return {node: one.stage for node, one in self.state(number).executions.items()}

    def told(self, number: int) -> str:
        """Everything about a rollout, for the report of a failure."""
        state = self.state(number)
        rows = [str(state.rollout), *map(str, state.executions.values()), consoles(self.bed)]
        return "\n".join(rows)

    async def comes_to(self, number: int, phase: Phase) -> None:
        """Wait until it stands so."""
        there = await self.bed.until(lambda: self.state(number).rollout.phase is phase, PATIENCE_S)
        assert there, self.told(number)

    async def all_said(self, stages: Mapping[str, int]) -> None:
        """Wait until each node has said that it is so far (protocol.update)."""

        def are() -> bool:
            found = self.store.campaigns.updates(list(stages))
            return all(node in found and found[node].stage == stage for node, stage in stages.items())

        assert await self.bed.until(are, PATIENCE_S), (self.store.campaigns.updates(list(stages)), consoles(self.bed))

    def running(self) -> dict[str, str]:
        """{node: version of the program that it last said it runs}."""
        return {view.node.id: view.state.firmware for view in self.store.nodes.views() if view.state}
