"""Random plans, nodes and happenings for the decision engine; the same seed gives the same sequence."""

import random
from dataclasses import replace

from fleet.model import Kind
from fleet.rollout.model import IN_FLIGHT, Phase, Report, Seen, Stage, Verb, Verdict
from fleet.rollout.plan import (
    Gate,
    Goal,
    Judging,
    Limits,
    Member,
    Mode,
    OnFailure,
    Places,
    Plan,
    Retries,
    Wave,
    Window,
)
from fleet.tests.rollout_world import BERLIN, NEW, NOW, OLD, OTHER, World, member, report
from protocol import refusals, update

STAGES = (
    update.CHECKING,
    update.DOWNLOADING,
    update.INSTALLING,
    update.WAITING,
    update.TRIAL,
    update.CONFIRMED,
    update.REFUSED,
    update.FAILED,
    update.REVERTED,
    update.STOPPED,
)
CODES = (0, refusals.U_SPACE, refusals.U_STORAGE, refusals.U_CRASHED, refusals.U_UNREACHED, refusals.U_POWER)
_PAUSES = (1, 1, 5, 10, 10, 30, 30, 60, 60, 60, 120, 300, 900, 900, 3600, 43200, -30, -4000)


def random_plan(chance: random.Random) -> Plan:
    """A plan of one to four waves, with every rule in or out."""

    def gate() -> Gate:
        return Gate(
            success=chance.choice([0, 500, 800, 950]),
            presence=chance.choice([0, 500, 800, 1000]),
            failures=chance.choice([50, 200, 500, 1000]),
            sample=chance.choice([0, 1, 2, 5, 10]),
            failures_max=chance.choice([0, 0, 1, 2, 5]),
            soak_s=chance.choice([0, 0, 60, 900]),
            deadline_s=chance.choice([60, 600, 3600, 3600]),
        )

    waves = tuple(Wave(f"w{at}", judged=chance.random() < 0.3, gate=gate()) for at in range(chance.randint(1, 3)))
    window = Window(f"0 {chance.randint(0, 23)} * * *", "Europe/Berlin", chance.choice([1800, 7200, 43200]))
    return Plan(
        name="random",
        goal=chance.choice([Goal.RELEASE, Goal.RELEASE, Goal.CONFIG, Goal.PREVIOUS]),
        mode=chance.choice([Mode.SNAPSHOT, Mode.CONTINUOUS]),
        waves=waves,
        limits=Limits(chance.choice([1, 2, 5, 50]), chance.choice([1, 30, 600]), chance.choice([0, 0, 120])),
        download=window if chance.random() < 0.1 else Window(),
        switch=window if chance.random() < 0.15 else Window(),
        places=Places(chance.choice([0, 60]), "district", chance.choice([0, 0, 1, 2]), chance.random() < 0.3),
        retries=Retries(chance.randint(1, 3), chance.choice([10, 300]), chance.randint(2, 5)),
        judging=Judging(enabled=chance.random() < 0.5),
        on_failure=chance.choice([OnFailure.PAUSE, OnFailure.PAUSE, *OnFailure]),
        expires_s=chance.choice([7200, 86400, 172800]),
        force=chance.random() < 0.1,
        now=chance.random() < 0.2,
    )


def random_members(chance: random.Random, waves: int) -> dict[str, Member]:
    """Two to twelve nodes; lamps stand in a row."""
    found = {}
    count = chance.randint(2, 12)
    for at in range(count):
        lamp = chance.random() < 0.5
        beside = tuple(f"n-{near}" for near in (at - 1, at + 1) if 0 <= near < count) if lamp else ()
        place = BERLIN if chance.random() < 0.7 else (None, None)
        found[f"n-{at}"] = Member(
            f"n-{at}",
            Kind.LIGHT if lamp else Kind.AIR,
            chance.randrange(waves),
            lat_udeg=place[0],
            lon_udeg=place[1],
            district="" if lamp else chance.choice(["mitte", "nord", ""]),
            neighbours=beside,
            before=OLD,
        )
    return found


class Chance:
    """Drives a world at random: reports in any order, lost, twice, late and wrong; commands; a clock that jumps."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.good = self.chance.choice([0.5, 0.8, 0.95, 0.99])  # share of reports that say good things
        plan = random_plan(self.chance)
        self.world = World(plan, random_members(self.chance, len(plan.waves)))
        self.sent: list[Report] = []

    def run(self, steps: int) -> World:
        if self.chance.random() < 0.9:
            self.world.start()
        for _ in range(steps):
            self.turn()
        return self.world

    def settle(self) -> None:
        """From now on all goes well: whatever happened before, the rollout comes to its end."""
        world = self.world
        for round_ in range(100):
            if world.phase in (Phase.DRAFT, Phase.FINISHED, Phase.ABORTED):
                break
            world.online()
            world.command(Verb.RESUME)
            for node in world.in_stage(*IN_FLIGHT):
                world.says(update.STOPPED, node) if world.state.executions[node].stop else world.prove(node)
            world.wait(60 if round_ < 80 else 86400)
        assert world.phase in (Phase.DRAFT, Phase.FINISHED, Phase.ABORTED), world.state.rollout
        assert world.phase is Phase.DRAFT or not world.in_stage(Stage.QUEUED)

    def turn(self) -> None:
        kind = self.chance.random()
        if kind < 0.55:
            self.reports()
        elif kind < 0.8:
            self.time()
        elif kind < 0.9:
            self.operator()
        else:
            self.around()

    def a_report(self) -> Report:
        """Mostly what a node would say next; sometimes an old one again, or nonsense."""
        chance, world = self.chance, self.world
        if self.sent and chance.random() < 0.2:
            return chance.choice(self.sent)
        flying = world.in_stage(*IN_FLIGHT)
        node = chance.choice(flying if flying and chance.random() < 0.8 else list(world.members))
        one = world.state.executions[node]
        if chance.random() < 0.2 * (1 - self.good):
            return Report(
                node,
                online=chance.random() < 0.5,
                seen_s=chance.choice([0, NOW, world.now_s]),
                counter=chance.randint(0, world.counter) if chance.random() < 0.8 else world.counter + 1000,
                stage=chance.choice(STAGES),
                code=chance.choice(CODES),
                manifest=chance.choice([b"", OLD, NEW, OTHER]),
                proved=chance.random() < 0.3,
                runs=chance.random() < 0.5,
                retired=chance.random() < 0.1,
            )
        good = chance.random() < self.good
        stage = chance.choice(STAGES[:6] if good else STAGES[6:])
        stage = update.CONFIRMED if good and chance.random() < 0.5 else stage
        stage = update.CONFIRMED if good and one.stage is Stage.PROVED else stage
        stage = update.STOPPED if one.stop and chance.random() < 0.7 else stage
        counter = one.stop if stage == update.STOPPED and one.stop else one.counter
        found = report(one, stage, world.now_s, counter=counter, code=0 if good else chance.choice(CODES))
        return replace(found, online=chance.random() < 0.9, proved=found.proved and chance.random() < 0.9)

    def reports(self) -> None:
        found = [self.a_report() for _ in range(self.chance.randint(1, 5))]
        self.sent += found
        self.chance.shuffle(found)
        heard = {one.node: one for one in found if self.chance.random() < 0.9}  # one report of each node
        self.world.say(*heard.values())

    def time(self) -> None:
        seconds = self.chance.choice(_PAUSES)
        self.world.wait(seconds, silent=self.chance.random() < 0.2)

    def operator(self) -> None:
        verbs = [Verb.RESUME, Verb.RESUME, Verb.RETRY, Verb.PAUSE, Verb.PROMOTE, Verb.HALT, Verb.START, Verb.APPROVE]
        verb = self.chance.choice(verbs if self.chance.random() < 0.95 else [Verb.ABORT, Verb.UNDO])
        self.world.command(verb)

    def around(self) -> None:
        """What comes from elsewhere: other rollouts, the telemetry, new nodes."""
        chance, nodes = self.chance, list(self.world.members)

        def some(likely: float) -> frozenset[str]:
            return frozenset(node for node in nodes if chance.random() < likely)

        joined = ()
        if self.world.plan.mode is Mode.CONTINUOUS and chance.random() < 0.3:
            joined = (member(f"new-{len(nodes)}", len(self.world.plan.waves) - 1),)
        self.world.tell(
            Seen(
                verdict=chance.choice(
                    [
                        None,
                        None,
                        Verdict.PROMOTE,
                        Verdict.PROMOTE,
                        Verdict.HOLD,
                        Verdict.HALT if chance.random() < 0.3 else None,
                    ]
                ),
                evidence=chance.choice([0, 1, 2]),
                busy=some(0.1),
                taken=some(0.1),
                superseded=some(0.01),
                quarantined=dict.fromkeys(some(0.1), self.world.now_s + 600),
                measuring={"mitte": chance.randint(0, 5), "nord": chance.randint(0, 5)},
                joined=joined,
            )
        )
