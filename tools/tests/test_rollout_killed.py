"""The real service is killed at every moment of a rollout that has a name, with its broker, and goes on where it was.

Simulated nodes (tools/swarm), the real `fleet serve` and the real broker. What a crash within a transaction or a batch
leads to is fleet/tests/test_rollouts_kill.py's; this is the whole product.
"""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from fleet.model import Kind
from fleet.rollout.draft import Draft
from fleet.rollout.model import ENDED, IN_FLIGHT, Command, Phase, Stage, State, Verb
from fleet.rollout.plan import Gate, Judging, Limits, OnFailure, Places, Plan, Retries, Wave
from fleet.rollouts import history, operate, planning, starting
from fleet.store import Store
from fleet.store.releases import Published
from protocol.update import DOWNLOADING
from tools.swarm import flaws, truth
from tools.swarm.flaws import Flaws
from tools.swarm.fleet import Seat, Swarm
from tools.swarm.node import Pace
from tools.swarm.watch import Explained

pytestmark = pytest.mark.slow

PATIENCE_S = 90.0
QUICK = Pace(
    keepalive_s=10, jitter_s=1, boot_ms=500, trial_s=45, backoff_s=2
)  # a trial outlasts a restart of the service
SLOWED = Flaws(flaws.SLOW, slow_ms=150)  # so that a download takes a while
GOOD_NODES = tuple(f"air-{at:02}" for at in range(8))
BAD_NODES = tuple(f"air-{at:02}" for at in range(8, 12))  # on which every trial ends in a crash
SEATS = (
    *(Seat(node, Kind.AIR, SLOWED if at % 2 else flaws.SOUND) for at, node in enumerate(GOOD_NODES)),
    *(Seat(node, Kind.AIR, Flaws(flaws.REVERT, trial=flaws.DIES)) for node in BAD_NODES),
)
SOAK_S = 4
GATE = Gate(soak_s=SOAK_S, deadline_s=60, sample=2)
WAVES = (Wave("canary", count=2, judged=False, gate=GATE), Wave("rest", judged=False, gate=GATE))
PLAN = Plan(
    "good",
    waves=WAVES,
    limits=Limits(per_minute=6000),
    places=Places(dark_hours=False),
    retries=Retries(tries=1),
    judging=Judging(enabled=False),
    expires_s=600,
)
ACTOR = "ops@desk"


class Killed:
    """A swarm whose service is killed again and again, and how its rollouts stand."""

    def __init__(self, swarm: Swarm, store: Store) -> None:
        self.swarm = swarm
        self.store = store
        self.explained = Explained(store, [seat.node for seat in SEATS], 1)
        self.killed = 0

    def start(self, plan: Plan, releases: dict[Kind, Published]) -> int:
        """As `fleet rollout start` does; the number of the rollout."""
        now_s, config = int(time.time()), self.swarm.config
        found = planning.plan(self.store, config, Draft(plan, (releases[Kind.AIR].id,)), now_s)
        view = starting.keep(self.store, found, ACTOR, now_s)
        starting.start(self.store, config, view, ACTOR, "a test", now_s, found)
        return view.id

    def say(self, verb: Verb, number: int) -> None:
        """As `fleet rollout pause`, `resume`, ... do."""
        operate.operate(self.store, self.swarm.config, number, Command(verb, ACTOR, "a test"), int(time.time()))

    def state(self, number: int) -> State:
        return self.store.rollouts.state(number)

    def has(self, number: int, *stages: Stage) -> bool:
        """Whether a node is so far."""
        return any(one.stage in stages for one in self.state(number).executions.values())

    def is_behind(self) -> bool:
        """Whether there are orders that the broker has not taken."""
        behind = self.store.campaigns.undelivered(int(time.time()))
        return any(one.sent_counter < one.order.counter for one in behind)

    def downloads(self) -> bool:
        return any(one.stage == DOWNLOADING for one in self.store.campaigns.updates(GOOD_NODES).values())

    async def until(self, is_so: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + PATIENCE_S
        while not is_so():
            heads = [view.head for view in self.store.rollouts.all()]
            assert time.monotonic() < end, (what, heads, self.swarm.config.log_dir)
            await asyncio.sleep(0.005)

    def stop_broker(self) -> None:
        """It takes nothing any more, and nobody is told; its parent's end is its end."""
        os.kill(self.swarm.service.broker_pid, signal.SIGSTOP)

    async def kill(self, is_now: Callable[[], bool], moment: str) -> None:
        """SIGKILL at this moment, and start again; every node is explained meanwhile, too."""
        await self.until(is_now, moment)
        broker = self.swarm.service.broker_pid
        await self.swarm.service.kill()
        self.killed += 1
        self.explained.ask(len(SEATS))
        await self.until(lambda: not Path(f"/proc/{broker}").exists(), "the broker goes with its service")
        await self.swarm.service.start()
        self.explained.ask(len(SEATS))

    async def comes_to(self, number: int, phase: Phase) -> None:
        """It gets there, and nobody is under way."""

        def is_so() -> bool:
            state = self.state(number)
            return state.rollout.phase is phase and not self.has(number, *IN_FLIGHT)

        await self.until(is_so, f"rollout {number} is {phase}")
        self.explained.ask(len(SEATS))


def test_the_service_is_killed_at_every_named_moment_of_a_rollout_and_goes_on(tmp_path: Path) -> None:
    async def main() -> None:
        async with Swarm(tmp_path, SEATS, QUICK, workers=1) as swarm:
            await swarm.power_on(PATIENCE_S)
            with Store.open(swarm.config.store_url) as store:
                killed = Killed(swarm, store)
                await good(killed)
                await bad(killed)
                assert_it_held(killed, await swarm.facts())

    asyncio.run(main())


async def good(fleet: Killed) -> None:
    """From the canary to all of the sound ones."""
    releases = fleet.swarm.publish("2.0.0")
    fleet.stop_broker()
    number = fleet.start(replace(PLAN, nodes=GOOD_NODES), releases)
    await fleet.kill(fleet.is_behind, "an order is committed, and no broker has it")
    await fleet.kill(fleet.downloads, "a node downloads")
    await fleet.kill(lambda: fleet.has(number, Stage.TRIAL), "a node is on trial")
    await fleet.kill(lambda: fleet.state(number).rollout.soak_s > 0, "the canary soaks")
    await fleet.kill(lambda: fleet.state(number).rollout.wave == 1 and fleet.downloads(), "the second wave downloads")
    await fleet.comes_to(number, Phase.FINISHED)
    assert {one.stage for one in fleet.state(number).executions.values()} == {Stage.PROVED}


async def bad(fleet: Killed) -> None:
    """The second wave fails: it is halted, and what was proved goes back."""
    releases = fleet.swarm.publish("3.0.0")
    waves = (replace(WAVES[0], where=f"id in {','.join(GOOD_NODES[:2])}"), WAVES[1])
    number = fleet.start(replace(PLAN, name="bad", waves=waves, on_failure=OnFailure.UNDO), releases)
    await fleet.kill(lambda: fleet.state(number).rollout.phase is not Phase.RUNNING, "it is being halted")
    await fleet.kill(lambda: len(fleet.store.rollouts.all()) == 3 and fleet.has(3, *IN_FLIGHT), "it is being undone")
    await fleet.comes_to(number, Phase.ABORTED)
    await fleet.comes_to(3, Phase.FINISHED)
    stages = {node: one.stage for node, one in fleet.state(number).executions.items()}
    assert set(stages.values()) <= ENDED
    assert [stages[node] for node in GOOD_NODES[:2]] == [Stage.PROVED] * 2
    assert {stages[node] for node in BAD_NODES} & {Stage.REVERTED}
    undone = {node: one.stage for node, one in fleet.state(3).executions.items()}
    assert undone == {node: Stage.PROVED for node, stage in stages.items() if stage is Stage.PROVED}


def assert_it_held(fleet: Killed, facts: dict[str, truth.Facts]) -> None:
    """Nobody heard two things under one number; nothing was begun twice; the log holds; everybody was explained."""
    store = fleet.store
    tries = dict.fromkeys(facts, 0)
    for view in store.rollouts.all():
        history.require_same(history.replay(store, str(view.id)))
        for node, one in store.rollouts.state(view.id).executions.items():
            tries[node] += one.tries
    for node, order in store.campaigns.orders().items():
        heard = facts[node].envelopes
        counters = [counter for counter, _ in heard]
        assert counters == sorted(set(counters)), f"{node} heard twice, or what is older after what is newer"
        assert tuple(heard[-1]) == (order.counter, sha256(order.envelope).hexdigest()), f"{node} has its newest order"
        assert order.counter <= tries[node] + 1, f"{node}: an order for each attempt, and one stop"
    assert not [node for node, one in facts.items() if one.is_brick]
    assert store.audit.verify() > 0
    assert len(store.rollouts.all()) == 3
    assert fleet.explained.without == {}
    assert fleet.explained.asked >= len(SEATS) * 2 * fleet.killed
