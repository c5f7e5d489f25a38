"""What happens in the demonstration: nodes report, a good release goes to all of them, a bad one to the first only."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fleet.rollout.model import Phase, Stage
from fleet.store import Store
from fleet.store.rollouts import RolloutView
from protocol import events
from protocol.messages import Boot
from tools.demo import commands, releases
from tools.testbed import Account, Testbed

MINUTE_S = 60
LEAST = 4  # air nodes: one to try a release, and as many to compare with as a comparison needs
HISTORY_S = 20 * MINUTE_S  # that a node has to have for a comparison with its own past
REPORT_S = MINUTE_S  # between records of lights, which else come four times an hour
PLAN = """# One node of each kind first; its telemetry decides whether the others follow.
name = "{name}"
releases = {releases}
on_failure = "undo"
gate = {{ soak = "1s", deadline = "{deadline}s" }}
# Few nodes and few minutes: be content with larger errors than a real fleet should be.
judging = {{ alpha = "10%", beta = "20%", patience = "{patience}s" }}

[[waves]]
name = "canary"
count = 1
per_kind = true

[[waves]]
name = "rest"
"""


@dataclass
class Told:
    """What came of it."""

    good_release_proved: int = 0  # nodes that proved that they run it
    bad_release_exposed: int = 0  # nodes that ever ran it
    bad_release_halted_s: float | None = None  # of real time, from the first node that ran it to the halt
    problem: str = ""


class Story:
    """Tells it on `bed`; `say` prints a line. `patience_s` is of each thing that is waited for."""

    def __init__(self, bed: Testbed, store: Store, say: Callable[[str], None], patience_s: float) -> None:
        self._bed = bed
        self._store = store
        self._say = say
        self._patience_s = patience_s
        self._kinds = sorted({seat.kind for seat in bed.seats})
        self.told = Told()

    async def tell(self, press: Path) -> None:
        """All of it. `press` has the keys that sign releases. Stops where `told.problem` says that it went wrong."""
        await asyncio.gather(self._reported(), self._made(press))
        if self.told.problem or not self._has_rollouts:
            return
        await self._history()
        self._say("One node of each kind gets it first; the others follow if its telemetry is as good as theirs.")
        await self._good()
        if not self.told.problem:
            await self._bad()

    @property
    def _has_rollouts(self) -> bool:
        return sum(seat.kind == releases.BROKEN_KIND for seat in self._bed.seats) >= LEAST

    async def _reported(self) -> None:
        """Every node has told something."""
        seats = self._bed.seats
        if not await self._bed.until(lambda: len(self._bed.account().records) == len(seats), self._patience_s):
            self.told.problem = "not every node has reported"

    async def _made(self, press: Path) -> None:
        """The releases are published."""
        if not self._has_rollouts:
            self._say(f"No rollouts with fewer than {LEAST} air nodes: there is nothing to compare a new release with.")
            return
        await commands.run("tools.demo.releases", press, self._bed.fleet_dir, *self._kinds)
        self._say(f"Releases {releases.GOOD} and {releases.BAD} are built, and signed by their builder and the bench.")

    async def settled(self) -> Account:
        """What was made until now against what is stored, once that has arrived."""
        return await self._bed.drained(self._patience_s)

    async def _history(self) -> None:
        """A past to compare with. Settings are kept before it begins: a leap is longer than their probation."""
        if "light" in self._kinds:
            words = ("node", "config", "set", "--where", "kind=light", f"report_s={REPORT_S}", "--yes", "--wait")
            await commands.fleet(self._bed.fleet_dir, *words)
        rate = self._bed.world.rate
        await self._bed.set_rate(1)  # while it leaps the world goes on, and must not go further than the nodes
        await self._bed.leap(HISTORY_S)
        await self._bed.set_rate(rate)

    async def _good(self) -> None:
        began = time.monotonic()
        number = await self._start(releases.GOOD)
        await self._until(number, Phase.FINISHED, Phase.HALTED, Phase.ABORTED)
        proved = self._proved(number)
        self.told.good_release_proved = len(proved)
        nodes = f"{len(proved)} of {len(self._bed.seats)} nodes"
        if len(proved) < len(self._bed.seats):
            self.told.problem = f"release {releases.GOOD} is proved on {nodes}: {self._where(number)}"
            return
        self._say(f"Release {releases.GOOD} is proved on {nodes} after {time.monotonic() - began:.0f} s.")

    async def _bad(self) -> None:
        self._say(f"Release {releases.BAD} works on the bench, which signed it, but reads particles only once.")
        number = await self._start(releases.BAD)
        await self._until(number, Phase.HALTED, Phase.ABORTED, Phase.FINISHED)
        halted_ms = time.time() * 1000
        exposed = self._exposed()
        self.told.bad_release_exposed = len(exposed)
        if self._view(number).head.phase not in (Phase.HALTED, Phase.ABORTED) or not exposed:
            self.told.problem = f"release {releases.BAD} was not halted: {self._where(number)}"
            return
        halted_s = self.told.bad_release_halted_s = round((halted_ms - min(exposed.values())) / 1000, 1)
        self._say(f"Halted {halted_s} s of real time after the first node ran it: {self._view(number).head.reason}")
        await self._undone(number, sorted(exposed))

    async def _undone(self, number: int, exposed: list[str]) -> None:
        """Wait until the nodes that ran the bad release have proved that they run the good one again."""

        def undo() -> RolloutView | None:
            return next((view for view in self._store.rollouts.all() if view.plan.parent == number), None)

        def is_done() -> bool:
            found = undo()
            return found is not None and found.head.phase is Phase.FINISHED

        await self._bed.until(is_done, self._patience_s)
        found = undo()
        back = self._proved(found.id) if found else []
        self.told.bad_release_exposed = len(self._exposed())
        if back != exposed:
            self.told.problem = (
                f"{', '.join(exposed)} did not all go back: {self._where(found.id if found else number)}"
            )
            return
        self._say(f"{', '.join(back)} run {releases.GOOD} again, from their other slot: nothing was downloaded.")
        others = len(self._bed.seats) - len(exposed)
        self._say(
            f"{len(exposed)} of {len(self._bed.seats)} nodes ever ran {releases.BAD}; {others} were never touched."
        )

    async def _start(self, version: str) -> int:
        """Write a plan and start it, as an operator does; the number of the rollout."""
        path = self._bed.directory / f"{version}.toml"
        path.write_text(plan_text(version, releases.names(version, self._kinds), self._bed.world.rate))
        self._say(f"$ fleet rollout start {path}")
        started = await commands.fleet(self._bed.fleet_dir, "rollout", "start", path, "--yes")
        return int(started["rollout"]["id"])

    async def _until(self, number: int, *phases: Phase) -> None:
        await self._bed.until(lambda: self._view(number).head.phase in phases, self._patience_s)

    def _view(self, number: int) -> RolloutView:
        return self._store.rollouts.get(number)

    def _proved(self, number: int) -> list[str]:
        executions = self._store.rollouts.state(number).executions
        return sorted(node for node, one in executions.items() if one.stage is Stage.PROVED)

    def _exposed(self) -> dict[str, int]:
        """{node: when it was first heard of} of the nodes that started the bad release, by what they say themselves."""
        found: dict[str, int] = {}
        for event in self._store.journal.events(code=events.BOOT):
            if Boot.from_map(dict(event.attrs)).firmware == releases.BAD:
                found[event.node] = min(event.received_ms, found.get(event.node, event.received_ms))
        return found

    def _where(self, number: int) -> str:
        """How a rollout stands, and where more is told."""
        head = self._view(number).head
        return f"rollout {number} is {head.phase} ({head.reason}): see `fleet rollout status {number}`"


def plan_text(version: str, names: list[str], rate: float) -> str:
    """The plan of a rollout, in real time: that is the service's."""
    return PLAN.format(
        name=f"release-{version}",
        releases=str(names).replace("'", '"'),
        deadline=round(MINUTE_S + 30 * MINUTE_S / rate),
        patience=round(MINUTE_S + 120 * MINUTE_S / rate),
    )
