"""Halts through store, driver and delivery: one epoch for all, an order to stop for who does not answer it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.rollout.model import Phase, Verb
from fleet.rollouts import deciding
from fleet.rollouts.deciding import Decider
from fleet.tests.rollout_rig import INSTALL, NOW_S, STOP, WAVES, World, actions_of, assert_replays, campaigns_of
from protocol import topics, trust, update
from protocol.trust import Epoch, Signed


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World.make(tmp_path / "fleet")
    yield made
    made.close()


def test_a_halt_tells_all_by_one_epoch_and_stops_who_does_not_answer_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deciding, "ANSWERED_S", 2)
    world.add(waves=(WAVES[1],))
    world.nodes["air-00"].deaf = True
    world.say(Verb.START)
    world.run(2)
    assert set(world.stages().values()) == {"active"}
    world.say(Verb.HALT, why="a doubt")
    world.run(3)
    assert world.nodes["air-01"].epoch == Epoch(
        number=world.store.rollouts.epoch().number, issued=NOW_S + 2, halted=[257]
    )
    assert actions_of(world.wire, STOP) == {"air-00": 1}
    assert [message.retain for message in world.wire if message.topic == topics.EPOCH] == [True]
    assert set(world.stages().values()) == {"queued"}
    assert_replays(world)


def test_an_order_that_was_halted_before_it_was_sent_is_not_sent(world: World) -> None:
    world.add()
    world.say(Verb.START)
    world.service.take(world.told())
    world.now_s += 1
    world.service.driver.tick(world.now_s)
    assert world.stages()["air-00"] == "ordered"
    world.say(Verb.HALT)
    world.run(2)
    assert campaigns_of(world.wire) == {}
    world.run(deciding.ANSWERED_S)
    assert actions_of(world.wire, STOP) == {"air-00": 1}
    world.say(Verb.RESUME)
    world.run_to(Phase.FINISHED)
    assert_replays(world)


def test_who_was_stopped_goes_on_under_another_group(world: World) -> None:
    world.add()
    world.say(Verb.START)
    world.run(2)
    assert world.stages()["air-00"] == "active"
    world.say(Verb.HALT, why="a doubt")
    world.run(3)
    assert world.nodes["air-00"].epoch == Epoch(
        number=world.store.rollouts.epoch().number, issued=NOW_S + 2, halted=[257]
    )
    world.say(Verb.RESUME)
    world.run_to(Phase.FINISHED)
    assert {campaign.group for campaign in world.nodes["air-01"].seen} == {258}, "under another group"
    assert_replays(world)


def test_a_stop_takes_the_nonce_of_the_order_so_a_proof_on_its_way_counts(world: World) -> None:
    world.add()
    world.say(Verb.START)
    world.run(20, lambda: world.nodes["air-00"].stage == update.TRIAL)
    world.nodes["air-00"].turn(world.now_s)
    said = world.told()
    world.nodes["air-00"].deaf = True
    world.say(Verb.ABORT)
    world.now_s += deciding.ANSWERED_S
    world.service.tick(world.now_s)
    install, stop = world.nodes["air-00"].seen
    assert (install.action, stop.action, stop.nonce) == (INSTALL, STOP, install.nonce)
    world.service.tick(world.now_s + 1, said)
    world.run(3)
    assert world.stages()["air-00"] == "proved"


def test_stops_come_behind_the_epoch_that_halts_all_some_at_a_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deciding, "STOPS", 1)
    world.add(waves=(WAVES[1],))
    world.say(Verb.START)
    world.run(2)
    world.publish = lambda messages: list(range(len(messages)))  # type: ignore[method-assign]
    world.say(Verb.HALT)
    assert world.store.rollouts.epoch() is not None
    stopped = [sum(bool(one.stop) for one in world.executions().values())]
    for second in range(deciding.ANSWERED_S - 1, deciding.ANSWERED_S + 4):
        world.service.tick(world.now_s + second)
        stopped.append(sum(bool(one.stop) for one in world.executions().values()))
    assert stopped == [0, 0, 1, 2, 3, 4]
    assert all(one.stop for one in world.executions().values())
    assert_replays(world)


def test_who_was_resumed_before_its_stop_was_sent_has_not_failed_and_stops_at_the_next_halt(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deciding, "STOPS", 1)
    world.add(waves=(WAVES[1],))
    world.say(Verb.START)
    world.run(2)
    world.say(Verb.HALT)
    world.say(Verb.RESUME)
    world.say(Verb.HALT)
    world.run(3, lambda: all(one.stop > one.counter for one in world.executions().values()))
    world.say(Verb.RESUME)
    world.run_to(Phase.FINISHED)
    assert set(world.stages().values()) == {"proved"}
    assert {len(node.seen) for node in world.nodes.values()} <= {2, 3}, "two orders, and a stop between them"
    assert_replays(world)


def test_the_epoch_forgets_what_has_expired_and_its_number_outlives_a_backup(world: World) -> None:
    world.add()
    world.say(Verb.START)
    world.run(2)
    world.say(Verb.ABORT)
    first = world.store.rollouts.epoch()
    assert (first.number, list(first.halted)) == (NOW_S + 2, [257])
    later = max(first.halted.values()) + 1
    world.service.tick(later)
    second = world.store.rollouts.epoch()
    assert (second.number, dict(second.halted)) == (later, {})
    assert Epoch.decode(Signed.decode(second.envelope).document).halted == []


def test_no_more_groups_are_halted_than_fit(world: World) -> None:
    decider = Decider(world.store, world.config)
    made = decider._orders.epoch(None, {group: NOW_S + group for group in range(1, 50)}, NOW_S)
    assert sorted(made.halted) == list(range(50 - trust.MAX_HALTED, 50)), "those that end last"


def test_the_epoch_is_told_again_over_a_new_connection(world: World) -> None:
    from fleet.rollouts.epoch import EpochDelivery

    world.add()
    world.say(Verb.START)
    world.say(Verb.HALT)
    sent: list[tuple[str, bytes, bool]] = []
    session = [1]
    halted = EpochDelivery(world.store, lambda *message: sent.append(message), lambda: session[0])
    for session[0] in (1, 1, 2, 2):
        halted.step()
    assert sent == [(topics.EPOCH, world.store.rollouts.epoch().envelope, True)] * 2
