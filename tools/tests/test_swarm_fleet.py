"""Simulated nodes against the real service and the real broker: what each flaw leads to, and how many there may be."""

import asyncio
import time
from pathlib import Path

import pytest

from fleet import campaigns
from fleet.campaigns import Progress, Wish
from fleet.model import Kind
from fleet.store import Store
from protocol.trust import INSTALL
from tools.swarm import flaws
from tools.swarm.flaws import Flaws
from tools.swarm.fleet import Seat, Swarm, roster
from tools.swarm.node import Pace

pytestmark = pytest.mark.slow

QUICK = Pace(keepalive_s=10, jitter_s=1, boot_ms=500, trial_s=5, backoff_s=5)
PATIENCE_S = 120.0
MANY = 350  # above a thousand subscriptions of QoS 1: what a broker takes that nobody has told about it
ENDS = {
    "a sound node proves that it runs the release": (flaws.SOUND, "proved"),
    "one that loses messages asks again": (Flaws(flaws.LOSS, loss=150), "proved"),
    "one that is away now and then goes on when it is back": (Flaws(flaws.SLEEP, awake_s=3, asleep_s=2), "proved"),
    "one whose program dies while it installs begins anew": (Flaws(flaws.CRASH, crash_at=25), "proved"),
    "one on which the program dies goes back": (Flaws(flaws.REVERT, trial=flaws.DIES), "reverted"),
    "one on which it never proves itself goes back": (Flaws(flaws.REVERT, trial=flaws.MUTE), "reverted"),
    "one on which it hangs goes back": (Flaws(flaws.REVERT, trial=flaws.HANGS), "reverted"),
    "one that falls silent stays where it was heard last": (Flaws(flaws.SILENCE, silent_at=30), "downloading"),
    "one that lies is not believed": (Flaws(flaws.LIE), "waiting"),
    "one that does not know the time waits": (Flaws(flaws.CLOCK_UNKNOWN, clock_s=None), "checking"),
    "one in the future takes nothing": (Flaws(flaws.CLOCK_AHEAD, clock_s=10**8), "refused"),
    "one in the past takes everything": (Flaws(flaws.CLOCK_BEHIND, clock_s=-(10**7)), "proved"),
    "one that is slow takes longer": (Flaws(flaws.SLOW, slow_ms=300), "proved"),
    "one that loses its power before a write goes on": (Flaws(cut_at=9), "proved"),
    "one that loses its power after a write goes on": (Flaws(cut_at=9, cut_late=True), "proved"),
}
SEATS = {f"air-{at:02d}": sentence for at, sentence in enumerate(ENDS)}


def order(swarm: Swarm, store: Store) -> None:
    """Order every node to run a new release, as an operator would."""
    wish, now_s = Wish(INSTALL, swarm.publish("2.0.0")[Kind.AIR]), int(time.time())
    plans = campaigns.plan(store, swarm.config, store.nodes.views(), wish, now_s)
    campaigns.order(store, swarm.config, plans, wish, "ops@desk", now_s)


def stand(store: Store) -> dict[str, Progress]:
    said = store.campaigns.updates()
    return {node: campaigns.progress(one, said.get(node), 0) for node, one in store.campaigns.orders().items()}


def test_what_becomes_of_each_flaw(tmp_path: Path) -> None:
    async def main() -> None:
        seats = [Seat(node, Kind.AIR, ENDS[sentence][0]) for node, sentence in SEATS.items()]
        async with Swarm(tmp_path, seats, QUICK, workers=1) as swarm:
            await swarm.power_on(PATIENCE_S)
            with Store.open(swarm.config.store_url) as store:
                order(swarm, store)
                end = time.monotonic() + PATIENCE_S
                while time.monotonic() < end and wrong(store):
                    await asyncio.sleep(0.5)
                facts = await swarm.facts()
                assert not wrong(store), [one for node, one in facts.items() if SEATS[node] in wrong(store)]
            assert not [node for node, one in facts.items() if one.is_brick]
            assert sum(one.cuts for one in facts.values()) == 2

    def wrong(store: Store) -> dict[str, Progress]:
        found = stand(store)
        return {SEATS[node]: one for node, one in found.items() if one.stage != ENDS[SEATS[node]][1]}

    asyncio.run(main())


def test_a_broker_takes_every_subscription_of_many_nodes(tmp_path: Path) -> None:
    async def main() -> None:
        async with Swarm(tmp_path, roster(MANY, 1, 0, 0), QUICK) as swarm:
            await swarm.power_on(PATIENCE_S)
            assert (await swarm.figures())["refused"] == 0

    asyncio.run(main())
