"""The decision engine under everything that can happen to it.

`rollout_world.Check` holds after every step: no end that changes (but a revert after a proof, and a retry), nothing
proved without a proof, nothing finished without one, no order past a ceiling, a limit, a neighbour or a district, no
wave before its time, a halt that reaches everybody, one order per node and number, and the same step told twice changes
nothing. Every tenth sequence is then led to its end, and every fifth is taken from its log once more, byte for byte.
"""

import random
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from fleet.rollout.model import ENDED, IN_FLIGHT, Execution, Phase, Seen, Stage, Verb, Verdict
from fleet.rollout.transitions import LEGAL, Cause, moved
from fleet.tests.rollout_chance import CODES, STAGES, Chance, random_members, random_plan
from fleet.tests.rollout_world import World, report

SEQUENCES = 10_000
SHARDS = 20
TURNS = 24


@pytest.mark.parametrize("shard", range(SHARDS))
def test_random_sequences(shard: int, record_property: Callable[[str, object], None]) -> None:
    phases: Counter[Phase] = Counter()
    stages: Counter[Stage] = Counter()
    steps = 0
    for seed in range(shard, SEQUENCES, SHARDS):
        chance = Chance(seed)
        try:
            world = chance.run(TURNS)
            if seed // SHARDS % 5 == 0:
                chance.settle()
                world.replay()
        except Exception as error:
            raise AssertionError(f"sequence {seed} after {len(chance.world.log)} steps") from error
        phases[world.phase] += 1
        stages.update(one.stage for one in world.state.executions.values())
        steps += len(world.log)
    record_property("sequences", sum(phases.values()))
    record_property("decisions", steps)
    print(f"{sum(phases.values())} sequences, {steps} decisions: {dict(phases)}")
    assert sum(phases.values()) == SEQUENCES // SHARDS
    assert set(phases) == set(Phase), "every phase was met"
    assert set(stages) >= ENDED, "every end was met"


class Machine(RuleBasedStateMachine):
    """The same world, driven by hypothesis: what it finds is made as short as can be."""

    @initialize(seed=st.integers(0, 1 << 16))
    def begin(self, seed: int) -> None:
        chance = random.Random(seed)
        plan = random_plan(chance)
        self.world = World(plan, random_members(chance, len(plan.waves)))
        self.world.start()

    def node(self, at: int) -> str:
        names = sorted(self.world.members)
        return names[at % len(names)]

    @rule(at=st.integers(0, 11), stage=st.sampled_from(STAGES), code=st.sampled_from(CODES), proved=st.booleans())
    def a_node_says(self, at: int, stage: int, code: int, proved: bool) -> None:
        one = self.world.state.executions[self.node(at)]
        found = report(one, stage, self.world.now_s, code=code)
        self.world.say(found if proved else report(one, stage, self.world.now_s, code=code, proved=False))

    @precondition(lambda self: self.world.in_stage(*IN_FLIGHT))
    @rule(at=st.integers(0, 11), late_s=st.integers(0, 5000))
    def one_under_way_is_proved(self, at: int, late_s: int) -> None:
        flying = self.world.in_stage(*IN_FLIGHT)
        one = self.world.state.executions[flying[at % len(flying)]]
        self.world.say(report(one, STAGES[5], self.world.now_s - late_s))

    @rule(at=st.integers(0, 11), online=st.booleans(), retired=st.booleans(), back=st.integers(0, 3))
    def presence(self, at: int, online: bool, retired: bool, back: int) -> None:
        one = self.world.state.executions[self.node(at)]
        counter = max(0, one.counter - back)
        self.world.say(report(one, 0, self.world.now_s, online=online, retired=retired, counter=counter))

    @rule(seconds=st.sampled_from([-4000, -30, 1, 60, 900, 3600, 86400]), silent=st.booleans())
    def time(self, seconds: int, silent: bool) -> None:
        self.world.wait(seconds, silent)

    @rule(verb=st.sampled_from(Verb))
    def operator(self, verb: Verb) -> None:
        self.world.command(verb)

    @rule(verdict=st.sampled_from(Verdict))
    def telemetry(self, verdict: Verdict) -> None:
        self.world.tell(Seen(verdict=verdict, evidence=1))

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.replay()


TestMachine = Machine.TestCase
TestMachine.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def test_only_legal_transitions_are_possible() -> None:
    for stage in Stage:
        for other in Stage:
            for cause in Cause:
                if (stage, other, cause) in LEGAL:
                    assert moved(Execution("n-1", stage), other, cause, 5).since_s == 5
                else:
                    with pytest.raises(ValueError, match="does not become"):
                        moved(Execution("n-1", stage), other, cause, 5)
    by_itself = [(stage, other) for stage, other, cause in LEGAL if stage in ENDED and cause is not Cause.OPERATOR]
    assert by_itself == [(Stage.PROVED, Stage.REVERTED)]
