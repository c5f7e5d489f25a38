"""The service is killed at every point of a rollout that could leave a trace, and goes on where it was (kill_rig.py).

Each scenario is run twice: once undisturbed, once killed at each of its points. Both have to end the same.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from fleet.rollout.model import Phase, Verb
from fleet.rollout.plan import Gate, OnFailure, Wave
from fleet.rollout.replay import replay
from fleet.tests.kill_rig import Killed
from fleet.tests.rollout_rig import BOOT, INSTALL, STOP, World, actions_of, campaigns_of
from protocol import topics


@dataclass(frozen=True)
class Scenario:
    """What operators do, second by second, and where it ends: {rollout: its phase}."""

    words: dict[int, tuple[Verb, int]]  # {second: (word, rollout)}
    ends: dict[int, Phase]
    bad: tuple[str, ...] = ()
    on_failure: OnFailure = OnFailure.ABORT
    seconds: int = 17


GATE = Gate(soak_s=1, deadline_s=60, sample=2)
WAVES = (Wave("canary", count=1, judged=False, gate=GATE), Wave("rest", judged=False, gate=GATE))
SCENARIOS = {
    "a good release, from the canary to all": Scenario({1: (Verb.START, 1)}, {1: Phase.FINISHED}),
    "a bad one is halted in its second wave, and undone": Scenario(
        {1: (Verb.START, 1)}, {1: Phase.ABORTED, 2: Phase.FINISHED}, ("air-01", "air-02"), OnFailure.UNDO, 24
    ),
    "an operator aborts while the canary is on its way": Scenario(
        {1: (Verb.START, 1), 4: (Verb.ABORT, 1)}, {1: Phase.ABORTED}, seconds=9
    ),
    "an operator pauses, resumes, halts and resumes": Scenario(
        {1: (Verb.START, 1), 3: (Verb.PAUSE, 1), 5: (Verb.RESUME, 1), 11: (Verb.HALT, 1), 13: (Verb.RESUME, 1)},
        {1: Phase.FINISHED},
        seconds=24,
    ),
    "an operator undoes what was finished": Scenario(
        {1: (Verb.START, 1), 17: (Verb.UNDO, 1)}, {1: Phase.FINISHED, 2: Phase.FINISHED}, seconds=33
    ),
}


def undisturbed(world: World, scenario: Scenario) -> None:
    for second in range(1, scenario.seconds + 1):
        if second in scenario.words:
            verb, rollout = scenario.words[second]
            world.now_s += 1
            for node in world.nodes.values():
                node.turn(world.now_s)
            world.service.now_s = world.now_s
            world.service.take(world.told())
            world.say(verb, rollout)
            world.service.tick(world.now_s)
        else:
            world.run(1)


def killed(world: World, scenario: Scenario) -> Killed:
    service = Killed(world)
    for second in range(1, scenario.seconds + 1):
        verb, rollout = scenario.words.get(second, (None, 1))
        service.second(verb, rollout)
    assert service.end() == 0
    return service


def outcome(world: World, rollout: int) -> dict[str, tuple[object, ...]]:
    """How every node of a rollout ended."""
    found = world.executions(rollout)
    return {node: (one.stage, one.tries, one.excused, one.failed, one.late) for node, one in found.items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_service_that_is_killed_at_every_point_goes_on_where_it_was(tmp_path: Path, name: str) -> None:
    scenario = SCENARIOS[name]
    worlds = []
    for place, play in enumerate((undisturbed, killed)):
        world = World.make(tmp_path / str(place), 3, scenario.bad)
        world.add(on_failure=scenario.on_failure, waves=WAVES)
        worlds.append((world, play(world, scenario)))
    (whole, _), (world, service) = worlds
    assert isinstance(service, Killed)
    for rollout, phase in scenario.ends.items():
        assert whole.phase(rollout) is world.phase(rollout) is phase
        assert outcome(world, rollout) == outcome(whole, rollout)
        assert_replays(world, rollout)
    assert len(world.store.rollouts.all()) == len(scenario.ends), "nothing was begun twice"
    assert [node.runs for node in world.nodes.values()] == [node.runs for node in whole.nodes.values()]
    assert_one_word(world)
    assert world.store.audit.verify() == whole.store.audit.verify()
    assert_every_kind(service)
    for made in (whole, world):
        made.close()


def assert_replays(world: World, rollout: int) -> None:
    view, members = world.store.rollouts.get(rollout), world.store.rollouts.members(rollout)
    bodies = [(one.seq, one.body) for one in world.store.audit.entries(f"rollout {rollout}") if one.body]
    decisions = list(replay(rollout, view.plan, members, bodies))
    assert {one.differs for one in decisions} == {""}
    assert decisions[-1].after == world.store.rollouts.state(rollout)


def assert_one_word(world: World) -> None:
    """Under one number a node heard one thing only, and it heard of no attempt that is not counted."""
    for orders in campaigns_of(world.wire).values():
        assert {len(payloads) for payloads in orders.values()} == {1}
        assert list(orders) == sorted(orders), "what is older never comes after what is newer"
    tries: Counter[str] = Counter()
    for view in world.store.rollouts.all():
        for node, one in world.executions(view.id).items():
            tries[node] += one.tries
    ordered = Counter(actions_of(world.wire, INSTALL)) + Counter(actions_of(world.wire, BOOT))
    assert ordered == +tries
    epochs = {message.payload for message in world.wire if message.topic == topics.EPOCH}
    newest = world.store.rollouts.epoch()
    assert (newest is None) == (not epochs)
    assert newest is None or newest.envelope in epochs, "nothing that was halted is lost"
    assert len(actions_of(world.wire, STOP)) <= len(world.nodes)


def assert_every_kind(service: Killed) -> None:
    """It was killed often, at each point once, and at every kind of point."""
    assert len(set(service.deaths)) == len(service.deaths) > 50
    writes = {"before INSERT", "before UPDATE", "before COMMIT", "after COMMIT", "before store", "after store"}
    batches = {"before batch", "between messages", "after batch", "after command", "after tick"}
    assert {kind for _, kind, _ in service.deaths} >= writes | batches
