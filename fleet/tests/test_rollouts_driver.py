"""Rollouts through store, driver and delivery: what is decided reaches the nodes that it is for, and nobody else."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fleet.errors import ConflictError, NotFoundError
from fleet.rollout.canary import Judgement
from fleet.rollout.logged import decode
from fleet.rollout.model import Command, Phase, Seen, Verb, Verdict
from fleet.rollout.plan import Goal, Judging, OnFailure, Overlap
from fleet.rollouts.deciding import Decider, Watched
from fleet.rollouts.driver import Driver
from fleet.rollouts.operate import operate
from fleet.store.rollouts import Outcome
from fleet.tests.rollout_rig import BOOT, INSTALL, NOW_S, STOP, WAVES, World, actions_of, assert_replays, campaigns_of


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World.make(tmp_path / "fleet")
    yield made
    made.close()


@pytest.fixture
def bad(tmp_path: Path) -> Iterator[World]:
    """The new program reverts on the second node."""
    made = World.make(tmp_path / "fleet", bad=["air-01"])
    yield made
    made.close()


def assert_one_word(world: World) -> None:
    """No node ever got two different orders under one number, nor two orders for one attempt."""
    for orders in campaigns_of(world.wire).values():
        assert all(len(payloads) == 1 for payloads in orders.values())
    tries = {node: one.tries for node, one in world.executions().items() if one.tries}
    assert actions_of(world.wire, INSTALL) == tries


def test_a_good_release_reaches_everybody_behind_its_canary(world: World) -> None:
    world.add()
    world.say(Verb.START)
    world.run(5)
    assert set(actions_of(world.wire, INSTALL)) == {"air-00"}, "the canary, and nobody else"
    world.run_to(Phase.FINISHED)
    assert set(world.stages().values()) == {"proved"}
    assert all(node.runs == world.new.manifest for node in world.nodes.values())
    assert_one_word(world)
    assert_replays(world)


def test_a_campaign_says_what_the_engine_wants(world: World) -> None:
    world.add(now=True, force=True)
    world.say(Verb.START)
    world.run(2)
    campaign = world.nodes["air-00"].seen[0]
    assert (campaign.action, campaign.release, campaign.now, campaign.force) == (INSTALL, world.new.digest, True, True)
    assert (campaign.group, campaign.expires) == (257, world.executions()["air-00"].deadline_s)
    ordered = world.store.campaigns.orders(["air-00"])["air-00"]
    assert (ordered.group, ordered.counter, ordered.actor) == (257, world.executions()["air-00"].counter, "rollout 1")


def test_a_node_that_is_offline_gets_no_order_and_is_ordered_when_it_comes(world: World) -> None:
    world.nodes["air-00"].said.clear()
    world.nodes["air-00"].state(online=False)
    world.add()
    world.say(Verb.START)
    world.run(5)
    assert actions_of(world.wire, INSTALL) == {}
    world.nodes["air-00"].state()
    world.run_to(Phase.FINISHED)
    assert_one_word(world)


def test_a_bad_release_is_halted_and_undone(bad: World) -> None:
    bad.add(on_failure=OnFailure.UNDO)
    bad.say(Verb.START)
    bad.run_to(Phase.ABORTED)
    bad.run(2)
    assert bad.store.rollouts.get(2).plan.parent == 1
    bad.run_to(Phase.FINISHED, 2)
    assert all(node.runs == bad.old.manifest for node in bad.nodes.values())
    assert bad.stages()["air-00"] == "proved"
    assert "reverted" in bad.stages().values()
    assert actions_of(bad.wire, BOOT) == dict.fromkeys(bad.stages(2), 1)
    for rollout in (1, 2):
        assert_replays(bad, rollout)


def test_a_yanked_release_is_ordered_no_more(world: World) -> None:
    world.add()
    world.say(Verb.START)
    world.run(4)
    world.store.releases.yank(world.new.id, world.now_s, "ops@desk", "it eats records")
    world.run(3)
    assert world.phase() is Phase.HALTED
    assert "it eats records" in world.store.rollouts.get(1).head.reason


def test_somebody_else_orders_a_node(world: World) -> None:
    from fleet import campaigns

    world.add()
    world.say(Verb.START)
    world.run(3)
    wish = campaigns.Wish(STOP)
    plans = campaigns.plan(world.store, world.config, [world.store.nodes.view("air-00")], wish, world.now_s)
    campaigns.order(world.store, world.config, plans, wish, "me@desk", world.now_s)
    world.run(3)
    assert world.stages()["air-00"] == "superseded"


def test_a_node_that_is_retired_on_its_way_is_left_out(world: World) -> None:
    world.add()
    world.say(Verb.START)
    world.run(2)
    from fleet.provision import Provisioner

    Provisioner(world.config, world.store.nodes).retire("air-00")
    world.nodes["air-00"].hear = lambda *_: None  # type: ignore[method-assign]
    world.run(40, lambda: world.stages()["air-00"] == "removed")
    assert world.stages()["air-00"] == "removed"


def test_a_later_revert_opens_a_finished_rollout_again(world: World) -> None:
    world.add()
    world.say(Verb.START)
    world.run_to(Phase.FINISHED)
    node = world.nodes["air-02"]
    node.stage = 9
    node.runs, node.boot = world.old.manifest, node.boot + 1
    node.state()
    node.say(world.now_s, code=1)
    world.run(3)
    assert world.stages()["air-02"] == "reverted"
    assert world.phase() is not Phase.FINISHED


def test_the_telemetry_halts_what_every_gate_lets_pass(world: World) -> None:
    verdicts = iter([Verdict.HOLD, Verdict.HALT])
    packets = {"why": "heap"}

    def judge(*_: object) -> Judgement:
        return Judgement(next(verdicts, Verdict.HALT), "the heap shrinks", packets)

    waves = (replace(WAVES[0], judged=True), WAVES[1])
    world.add(waves=waves, judging=Judging())
    world.service.driver._judge = judge
    world.say(Verb.START)
    world.run_to(Phase.ABORTED)
    head = world.store.rollouts.get(1).head
    assert (head.verdict, head.reason) == (Verdict.HALT, "the heap shrinks")
    assert world.store.rollouts.evidence(head.evidence) == packets
    assert world.store.rollouts.evidence_of(1) == [(head.evidence, 0, world.store.rollouts.evidence_of(1)[0][2])]
    assert set(actions_of(world.wire, INSTALL)) == {"air-00"}
    assert_replays(world)


def test_nodes_of_an_open_rollout_wait_or_are_taken(world: World) -> None:
    world.add()
    world.say(Verb.START)
    world.run(2)
    world.add(name="later", overlap=Overlap.AFTER)
    world.say(Verb.START, 2)
    world.run(2)
    assert set(world.stages(2).values()) == {"queued"}
    world.add(name="instead", overlap=Overlap.SUPERSEDE)
    world.say(Verb.START, 3)
    world.run(3)
    assert set(world.stages(1).values()) <= {"superseded", "proved"}


def test_settings_go_through_the_same_engine_and_back(world: World) -> None:
    world.store.configs.set("air-00", {1: 20, 2: 5}, NOW_S)
    world.add(goal=Goal.CONFIG, targets=(), settings={1: 30}, on_failure=OnFailure.PAUSE)
    world.say(Verb.START)
    world.run(2)
    desired = world.store.configs.get("air-00")
    assert (desired.rev, desired.values) == (2, {1: 30, 2: 5})
    assert world.executions()["air-00"].counter == 2
    assert world.store.rollouts.config_before(1) == {"air-00": {1: 20, 2: 5}}
    world.say(Verb.ABORT)
    desired = world.store.configs.get("air-00")
    assert (desired.rev, desired.values) == (3, {1: 20, 2: 5}), "what was, as the next revision"
    assert world.executions()["air-00"].stop == 3


def test_an_undo_of_settings_is_about_settings_and_so_is_the_undo_of_that(world: World) -> None:
    world.add(goal=Goal.CONFIG, targets=(), settings={1: 30})
    for parent in (1, 2):
        world.add(name=f"undo-{parent}", goal=Goal.PREVIOUS, targets=(), parent=parent)
    world.add(name="boot-the-program-before", goal=Goal.PREVIOUS, targets=())
    assert [Watched.load(world.store, number).settings for number in (1, 2, 3, 4)] == [True, True, True, False]


def test_an_operator_undoes_a_finished_rollout_in_its_waves(world: World) -> None:
    world.add()
    world.say(Verb.START)
    world.run_to(Phase.FINISHED)
    world.say(Verb.UNDO, why="customers")
    undo = world.store.rollouts.get("undo-spring")
    assert (undo.plan.goal, undo.plan.parent, undo.created_by) == (Goal.PREVIOUS, 1, "ops@desk")
    assert [wave.name for wave in undo.plan.waves] == ["canary", "rest"]
    world.run(3)
    assert set(actions_of(world.wire, BOOT)) == {"air-00"}
    world.run_to(Phase.FINISHED, undo.id)
    assert all(node.runs == world.old.manifest for node in world.nodes.values())


def test_two_who_decide_at_once_do_not_both(world: World) -> None:
    world.add()
    world.say(Verb.START)
    one, two = (Watched.load(world.store, 1) for _ in range(2))
    decider = Decider(world.store, world.config)
    assert decider.decide(one, Seen(command=Command(Verb.PAUSE, "a")), NOW_S) is not None
    with pytest.raises(ConflictError):
        decider.decide(two, Seen(command=Command(Verb.HALT, "b")), NOW_S)
    assert world.phase() is Phase.PAUSED
    assert [entry.actor for entry in world.store.audit.entries("rollout 1")][-1] == "a"


def test_an_operator_is_told_of_a_conflict_only_when_it_does_not_end(world: World) -> None:
    world.add()
    world.say(Verb.START)
    driver = Driver(world.store, world.config)
    apply, faults = world.store.rollouts.apply, [ConflictError("late"), ConflictError("late")]

    def late(outcome: Outcome) -> list[int]:
        if faults:
            raise faults.pop()
        return apply(outcome)

    world.store.rollouts.apply = late  # type: ignore[method-assign]
    assert driver.order(1, Command(Verb.PAUSE, "a"), NOW_S).rollout.phase is Phase.PAUSED


def test_a_word_to_nobody(world: World) -> None:
    with pytest.raises(NotFoundError, match="no rollout 7"):
        operate(world.store, world.config, 7, Command(Verb.PAUSE, "a"), NOW_S)


def test_what_changes_nothing_leaves_no_entry(world: World) -> None:
    world.add()
    world.say(Verb.START)
    world.run_to(Phase.FINISHED)
    before = world.store.audit.newest()
    fresh = Driver(world.store, world.config)
    assert [fresh.tick(world.now_s + at) for at in range(40)] == [0] * 40, "also one that knows nothing yet"
    assert world.store.audit.newest() == before


def test_the_log_says_who_what_and_why(world: World) -> None:
    world.add()
    world.say(Verb.START)
    world.run(2)
    world.say(Verb.PAUSE, why="lunch")
    told = list(world.store.audit.entries("rollout 1"))
    assert [(one.actor, one.action) for one in told] == [
        ("ops@desk", "plan"), ("ops@desk", "start"), ("fleet", "step"), ("fleet", "step"), ("ops@desk", "pause"),
    ]  # fmt: skip
    assert told[-1].why == "lunch"
    last = decode(told[-1].body)
    assert (last.seen.command, last.step.rollout.phase) == (Command(Verb.PAUSE, "ops@desk", "lunch"), Phase.PAUSED)


def test_progress_makes_no_step(world: World) -> None:
    world.add()
    world.say(Verb.START)
    world.run(4, lambda: world.nodes["air-00"].stage == 2)
    world.service.tick(world.now_s)
    before = world.service.driver.steps
    for done in range(1, 20):
        world.nodes["air-00"].say(world.now_s + done, done=done * 1000, total=50_000)
        world.service.tick(world.now_s + done, world.told())
    assert world.service.driver.steps == before
