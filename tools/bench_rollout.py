"""A rollout to thousands of simulated nodes: `python -m tools.bench_rollout` prints one JSON line.

  plan      making the plan of a rollout to all nodes, in seconds
  dispatch  orders per second of the first burst: committed to the database, taken by the broker, heard by nodes
  good      a release that works: how every node ended, by what is wrong with it, and what of that is not true
  bad       one whose program dies as it starts: halted by its gate. `halt_ms` is from the first failure of those that
            decided, as its node told it, to the last of the nodes online refusing, and of that `halt_parts_ms` until
            it was decided, the first node and half of them refused; `touched` nodes had been ordered; `lag_ms` is the
            longest that simulated nodes kept anything waiting: a halt is no faster than that
  bricks    nodes whose next boot would find no whole program

A part of the nodes is flaky (tools/swarm/flaws.py), another one loses its power within a write of an update. Service
and broker are the real ones, as processes of this machine, which also runs all nodes: figures are those of all of it
together (docs/howto/swarm.md). `published` says what others publish; nobody publishes a halt latency or bricks.
"""

import argparse
import asyncio
import contextlib
import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fleet import setup
from fleet.config import EMBEDDED
from fleet.model import Kind
from fleet.rollout.draft import Draft
from fleet.rollout.logged import Logged, decode
from fleet.rollout.model import Phase
from fleet.rollout.plan import Gate, Judging, Limits, OnFailure, Places, Plan, Retries, Wave
from fleet.rollouts import planning, starting
from fleet.rollouts.planning import Planned
from fleet.store import Store
from fleet.store.releases import Published
from fleet.store.rollouts import RolloutView
from fleet.tests.update_rig import Trusted
from tools.swarm import flaws, paper, truth
from tools.swarm.crew import Facts
from tools.swarm.fleet import FIRST, MOSQUITTO, Swarm, program, roster
from tools.swarm.node import Pace
from tools.swarm.watch import Explained, Halt, Orders, heard_per_s

ACTOR = "bench@here"
GOOD, BAD = "2.0.0", "3.0.0"
_LOOK_S = 0.2
_EXPLAIN_S = 20.0  # between two rounds of explanations
_ROUND = 8  # nodes that are explained in a round
_PATIENCE = 4  # deadlines until a rollout has to be over
_PUBLISHED = (
    ("hawkBit", "20 000 targets a group, 500 groups a rollout; devices poll every 5 min: 33 requests/s for 10 000"),
    ("hawkBit", "a failed gate pauses what was not begun; devices of the group that runs go on"),
    ("AWS IoT Jobs", "rolls out and cancels 1 000 devices/min a job: 17/s; an abort cancels queued devices only"),
    ("Mender", "hosted: 800 active deployments; devices poll every 30 min, microcontrollers every 7 days"),
    ("Mender", "goal of its load test: 10 % of the fleet within one poll of 30 min"),
)


@dataclass(frozen=True)
class Options:
    """What is run."""

    nodes: int = 10_000
    seed: int = 1
    flaky: int = 200  # permille
    cuts: int = 50  # permille
    deadline_s: int = 0  # from an order to its proof; 0 = by the number of nodes
    workers: int = 2
    sync: str = "always"  # when the broker's messages reach the disk (broker.sync of fleet.toml)
    broker: str = EMBEDDED
    plan_only: bool = False

    @property
    def at_once(self) -> int:
        """Nodes under way at a time; all of them would wait for each other when they restart."""
        return max(50, self.nodes // 4)

    @property
    def span_s(self) -> int:
        """The deadline: two cores restart about 40 nodes a second, TLS included."""
        return self.deadline_s or 120 + self.nodes // 30


def pace(options: Options) -> Pace:
    """A silent node is noticed before its deadline; small fleets do not wait as long as large ones."""
    quick = Pace(keepalive_s=10, jitter_s=3, boot_ms=1000, trial_s=12, backoff_s=10)
    large = Pace(jitter_s=max(30, options.nodes // 100), trial_s=options.span_s * 2 // 3)
    return quick if options.span_s < 120 else large


def plan_of(name: str, options: Options, waves: tuple[Wave, ...], in_flight: int) -> Plan:
    """As fast as may be, and once: what fails counts."""
    return Plan(
        name=name,
        waves=waves,
        limits=Limits(in_flight=in_flight, per_minute=600_000),
        places=Places(neighbour_m=60, dark_hours=False),
        retries=Retries(tries=1),
        judging=Judging(enabled=False),
        on_failure=OnFailure.ABORT,
        expires_s=_PATIENCE * options.span_s,
    )


def good_waves(options: Options) -> tuple[Wave, ...]:
    """A canary and all others, with gates that what is known to be flaky passes."""
    lost = min(900, 2 * options.flaky + 50)
    gate = Gate(1000 - lost, 800, lost, max(10, options.nodes // 100), 0, 1, options.span_s)
    canary = Gate(1000 - lost, 800, lost, 10, 0, 1, min(options.span_s, 150))
    return Wave("canary", 1, 10, judged=False, gate=canary), Wave("rest", judged=False, gate=gate)


def bad_waves(options: Options) -> tuple[Wave, ...]:
    """Half of the nodes, so that as many are under way as may be when the gate fails."""
    gate = Gate(900, 800, 100, max(5, options.nodes // 100), 0, 1, min(options.span_s, 200))
    return Wave("half", 1, 500, judged=False, gate=gate), Wave("rest", judged=False, gate=gate)


def planned(store: Store, config: Any, plan: Plan, releases: dict[Kind, Published]) -> tuple[Planned, float]:
    """The plan, and the seconds that it took."""
    began = time.monotonic()
    draft = Draft(plan, tuple(sorted(one.id for one in releases.values())))
    return planning.plan(store, config, draft, int(time.time())), time.monotonic() - began


def on_paper(directory: Path, options: Options) -> dict[str, Any]:
    """Only the plan: of nodes that are rows of a database."""
    made = setup.plan(directory / "fleet", {"broker": {"listen": "127.0.0.1"}})
    made.carry_out()
    trusted = Trusted(made.config)
    with Store.open(made.config.store_url) as store:
        for sequence, version in enumerate((FIRST, GOOD), start=1):
            releases = {
                kind: trusted.publish(store, kind.value, version, sequence, program(kind, version)) for kind in Kind
            }
        paper.write(made.config, roster(options.nodes, options.seed, 0, 0))
        found, spent = planned(
            store, made.config, plan_of("good", options, good_waves(options), options.at_once), releases
        )
    return {"nodes": len(found.members), "plan_s": round(spent, 2), "waves": len(found.plan.waves)}


class Bench:
    """One run on a swarm whose nodes are on."""

    def __init__(self, swarm: Swarm, store: Store, options: Options) -> None:
        self._swarm = swarm
        self._store = store
        self._options = options
        self._explained = Explained(store, [seat.node for seat in swarm.seats], options.seed)
        self._orders: Orders

    async def run(self) -> dict[str, Any]:
        """Both rollouts."""
        found = {"good": await self._good(), "bad": await self._bad()}
        self._explained.ask(len(self._swarm.seats) if self._options.nodes <= 200 else 100)
        found["explained"] = {"asked": self._explained.asked, "without": self._explained.without}
        return found

    async def _good(self) -> dict[str, Any]:
        releases = self._swarm.publish(GOOD)
        plan = plan_of("good", self._options, good_waves(self._options), self._options.at_once)
        view, plan_s = await self._start(plan, releases)
        began = time.monotonic()
        await self._until(view, lambda: self._head(view).head.phase not in (Phase.RUNNING, Phase.DRAFT))
        facts = await self._swarm.facts()
        low = sum(member.wave == 0 for member in self._store.rollouts.members(view.id).values())
        high = low + min(self._options.at_once, self._options.nodes - low)  # the first burst: then nodes set the pace
        return {
            "plan_s": round(plan_s, 2),
            "phase": str(self._head(view).head.phase),
            "rollout_s": round(time.monotonic() - began, 1),
            "dispatch": {
                "committed_per_s": self._orders.rate(self._orders.committed, low, high),
                "published_per_s": self._orders.rate(self._orders.published, low, high),
                "heard_per_s": heard_per_s(sorted(one.orders[0] for one in facts.values() if one.orders)[low:high]),
                "orders": high - low,
            },
            **self._account(view, facts, releases),
        }

    async def _bad(self) -> dict[str, Any]:
        releases = self._swarm.publish(BAD, flaws.DIES)
        plan = plan_of("bad", self._options, bad_waves(self._options), max(50, self._options.nodes // 10))
        view, _ = await self._start(plan, releases)
        await self._swarm.figures()  # the lag begins anew
        began = time.monotonic()
        halt = Halt(Path(self._swarm.config.store_url), view.id)
        await self._until(view, halt.look)
        lag_ms = (await self._swarm.figures())["lag_ms"]
        facts = await self._swarm.facts()
        return {
            "phase": str(self._head(view).head.phase),
            "rollout_s": round(time.monotonic() - began, 1),
            "lag_ms": lag_ms,
            "touched": sum(one.tries > 0 for one in self._store.rollouts.state(view.id).executions.values()),
            **self._halt(view, facts, halt.decided_ms),
            **self._account(view, facts, releases),
        }

    async def _start(self, plan: Plan, releases: dict[Kind, Published]) -> tuple[RolloutView, float]:
        store, config, now_s = self._store, self._swarm.config, int(time.time())
        found, spent = planned(store, config, plan, releases)
        view = starting.keep(store, found, ACTOR, now_s)
        self._orders = Orders(Path(config.store_url), now_s)
        self._orders.look()
        starting.start(store, config, view, ACTOR, "bench", now_s, found)
        return view, spent

    async def _until(self, view: RolloutView, over: Any) -> None:
        """Look until it is over; TimeoutError."""
        end = time.monotonic() + _PATIENCE * self._options.span_s
        is_over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._explain(is_over))
            while not over():
                if time.monotonic() > end:
                    raise TimeoutError(f"rollout {view.name} does not end: {self._head(view).head}")
                self._orders.look()
                await asyncio.sleep(_LOOK_S)
            is_over.set()
        self._orders.look()

    async def _explain(self, is_over: asyncio.Event) -> None:
        """A few nodes now and then, beside what is measured."""
        while not is_over.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(is_over.wait(), _EXPLAIN_S)
            await asyncio.to_thread(self._explained.ask, _ROUND)

    def _head(self, view: RolloutView) -> RolloutView:
        return self._store.rollouts.get(view.id)

    def _account(self, view: RolloutView, facts: dict[str, Facts], releases: dict[Kind, Published]) -> dict[str, Any]:
        targets = {seat.node: releases[seat.kind].manifest.hex() for seat in self._swarm.seats}
        found = truth.take(self._store.rollouts.state(view.id).executions, facts, targets)
        return asdict(found)

    def _halt(self, view: RolloutView, facts: dict[str, Facts], decided_ms: int) -> dict[str, Any]:
        """When it was decided, and when the last node heard."""
        logged = self._halting(view)
        epoch = self._store.rollouts.epoch()
        since = None if logged is None else truth.deciding_ms(logged.step, facts)
        if since is None or epoch is None:
            return {"halt_ms": None}
        took, missing = truth.refusing_ms(facts.values(), epoch.number, since)
        if not took:
            return {"halt_ms": None, "refused": 0, "never_refused": len(missing)}
        spent = sorted(at_ms - since for at_ms in took.values())
        return {
            "halt_ms": spent[-1],
            "halt_parts_ms": {"decided": decided_ms - since, "first": spent[0], "half": spent[len(spent) // 2]},
            "refused": len(took),
            "never_refused": len(missing),
        }

    def _halting(self, view: RolloutView) -> Logged | None:
        """The decision that halted it."""
        for entry in self._store.audit.entries(f"rollout {view.id}"):
            if entry.action != "step":
                continue  # people's
            logged = decode(entry.body)
            if logged.step.rollout.phase in (Phase.HALTED, Phase.ABORTED):
                return logged
        return None


async def swarmed(directory: Path, options: Options) -> dict[str, Any]:
    """The whole run."""
    began = time.monotonic()
    seats = roster(options.nodes, options.seed, options.flaky, options.cuts)
    settings = {"broker": {"sync": options.sync}}
    async with Swarm(directory, seats, pace(options), options.workers, settings, options.broker) as swarm:
        await swarm.power_on(options.span_s + options.nodes / 20)
        with Store.open(swarm.config.store_url) as store:
            found = await Bench(swarm, store, options).run()
        found["memory_mb"] = await swarm.memory_mb()
        found["setup_s"] = {name: round(spent, 1) for name, spent in swarm.times.items()}
    return {**found, "total_s": round(time.monotonic() - began, 1)}


def arguments() -> argparse.ArgumentParser:
    """What the command understands."""
    made = argparse.ArgumentParser(prog="python -m tools.bench_rollout", description=(__doc__ or "").split("\n")[0])
    made.add_argument("--nodes", type=int, default=Options.nodes, metavar="N", help="how many (10000)")
    made.add_argument("--seed", type=int, default=Options.seed, metavar="S", help="of what is wrong with whom (1)")
    made.add_argument("--flaky", type=int, default=Options.flaky, metavar="PERMILLE", help="flaky nodes (200)")
    made.add_argument("--cuts", type=int, default=Options.cuts, metavar="PERMILLE", help="nodes with a power cut (50)")
    made.add_argument("--deadline", type=int, default=0, metavar="S", help="from an order to its proof")
    made.add_argument("--workers", type=int, default=Options.workers, metavar="N", help="processes of nodes (2)")
    made.add_argument("--sync", default=Options.sync, metavar="WHEN", help="broker.sync of the fleet (always)")
    made.add_argument("--broker", choices=(EMBEDDED, MOSQUITTO), default=EMBEDDED, help="which broker (embedded)")
    made.add_argument("--plan-only", action="store_true", help="only the plan, of nodes that are rows of a database")
    made.add_argument("--keep", type=Path, metavar="DIR", help="leave the fleet there, to look at it")
    return made


def main(words: list[str]) -> None:
    """Run it, and print the result."""
    asked = arguments().parse_args(words)
    rest = asked.deadline, asked.workers, asked.sync, asked.broker, asked.plan_only
    options = Options(asked.nodes, asked.seed, asked.flaky, asked.cuts, *rest)
    with tempfile.TemporaryDirectory(prefix="swarm-") as scratch:
        directory = asked.keep or Path(scratch)
        directory.mkdir(parents=True, exist_ok=True)
        found = on_paper(directory, options) if options.plan_only else asyncio.run(swarmed(directory, options))
    print(json.dumps({**asdict(options), **found, "published": _PUBLISHED}))


if __name__ == "__main__":
    main(sys.argv[1:])
