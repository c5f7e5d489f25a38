"""Rollouts through store, driver and delivery beyond a plain release: settings and back, districts, nodes that join."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from fleet import proofs
from fleet.bus import Message
from fleet.model import Kind
from fleet.provision import Provisioner, Request
from fleet.rollout.model import IN_FLIGHT, Hold, Phase, Stage, Verb
from fleet.rollout.plan import Goal, Member, Mode, OnFailure, Places
from fleet.rollouts import history
from fleet.rollouts.explain import explanation
from fleet.tests.rollout_rig import INSTALL, NOW_S, WAVES, Node, World, actions_of
from protocol import topics
from protocol.messages import E_ARGUMENT, Config, State

DISTRICT = "mitte"
FOUR = ("air-00", "air-01", "air-02", "air-03")


class Settable(World):
    """A world whose nodes take settings, but for those that refuse them."""

    refusing: tuple[str, ...] = ()

    def publish(self, messages: Sequence[Message]) -> list[int]:
        for message in messages:
            for node in self.nodes.values():
                if message.topic == topics.down(node.name, "config"):
                    self._answer(node, Config.decode(message.payload).rev)
        return super().publish(messages)

    def _answer(self, node: Node, rev: int) -> None:
        applied, error = (rev - 1, E_ARGUMENT) if node.name in self.refusing else (rev, 0)
        said = State(online=True, boot=node.boot, manifest=node.runs, slot="b", firmware="1", config_desired=rev)
        said.config_applied, said.config_error = applied, error
        node.said.append((node.name, "state", said.encode()))

    def settings(self) -> dict[str, dict[int, object]]:
        """{node: what it shall have}."""
        return {name: dict(one.values) for name, one in self.store.configs.next(self.nodes).items()}


class Placed(World):
    """A world whose stations stand in one district."""

    def members(self, plan: object) -> list[Member]:
        for name in self.nodes:
            self.store.nodes.set_tags(name, lambda tags: {**tags, "district": DISTRICT})
        return [replace(one, district=DISTRICT) for one in super().members(plan)]  # type: ignore[arg-type]


@pytest.fixture
def worlds(tmp_path: Path) -> object:
    """Make a world of some kind; it is closed afterwards."""
    made: list[World] = []

    def make(kind: type[World]) -> World:
        made.append(kind.make(tmp_path / "fleet"))
        return made[-1]

    yield make
    for world in made:
        world.close()


Make = Callable[[type[World]], World]


def assert_replays(world: World, *rollouts: int) -> None:
    for number in rollouts:
        history.require_same(history.replay(world.store, str(number)))


def test_what_a_rollout_of_settings_gave_is_taken_back_in_its_waves(worlds: Make) -> None:
    world = worlds(Settable)
    assert isinstance(world, Settable)
    world.store.configs.set("air-00", {1: 20, 2: 5}, NOW_S)
    world.store.configs.set("air-01", {2: 7}, NOW_S)
    before = world.settings()
    world.add(goal=Goal.CONFIG, targets=(), settings={1: 30})
    world.say(Verb.START)
    world.run_to(Phase.FINISHED)
    assert set(world.stages().values()) == {"proved"}
    given = {name: {**values, 1: 30} for name, values in before.items()}
    assert world.settings() == given
    world.say(Verb.UNDO, why="customers")
    world.run(3)
    assert world.settings() == {**given, "air-00": before["air-00"]}, "the canary first"
    world.run_to(Phase.FINISHED, 2)
    assert set(world.stages(2).values()) == {"proved"}
    assert world.settings() == before
    assert actions_of(world.wire, INSTALL) == {}, "no program is touched"
    assert_replays(world, 1, 2)


def test_settings_that_a_node_refuses_are_taken_back_from_who_took_them(worlds: Make) -> None:
    world = worlds(Settable)
    assert isinstance(world, Settable)
    world.refusing = FOUR[1:]
    world.store.configs.set("air-00", {1: 20}, NOW_S)
    world.add(goal=Goal.CONFIG, targets=(), settings={1: 30}, on_failure=OnFailure.UNDO)
    world.say(Verb.START)
    world.run_to(Phase.ABORTED)
    assert world.stages()["air-00"] == "proved"
    world.run_to(Phase.FINISHED, 2)
    assert world.stages(2) == {"air-00": "proved"}
    assert world.settings()["air-00"] == {1: 20}
    assert_replays(world, 1, 2)


@pytest.mark.parametrize(("measuring", "at_once"), [(3, 1), (2, 2), (0, 4)])
def test_so_many_stations_of_a_district_go_on_measuring(worlds: Make, measuring: int, at_once: int) -> None:
    world = worlds(Placed)
    world.add(waves=WAVES[1:], places=Places(measuring=measuring))
    world.say(Verb.START)
    most = 0
    while world.phase() is not Phase.FINISHED:
        world.run(1)
        assert world.now_s < NOW_S + 200
        most = max(most, under_way(world))
    assert most == at_once
    assert_replays(world, 1)


def test_while_a_station_is_away_its_district_spares_no_other(worlds: Make) -> None:
    world = worlds(Placed)
    world.nodes["air-03"].said.clear()
    world.nodes["air-03"].state(online=False)
    world.add(waves=WAVES[1:], places=Places(measuring=3))
    world.say(Verb.START)
    world.run(10)
    assert actions_of(world.wire, INSTALL) == {}
    reasons = explanation(world.store, "air-00", world.now_s).reasons
    assert [one.text for one in reasons if one.code == f"hold.{Hold.DISTRICT}"] == [
        f"3 stations of district {DISTRICT} measure, 3 have to go on"
    ]
    world.nodes["air-03"].state()
    world.run_to(Phase.FINISHED)
    assert set(world.stages().values()) == {"proved"}


def under_way(world: World) -> int:
    return sum(one.stage in IN_FLIGHT for one in world.executions().values())


def joins(world: World, name: str, kind: Kind) -> None:
    """A node is provisioned, and reports."""
    Provisioner(world.config, world.store.nodes).provision(Request(name, kind, "esp32"))
    key = proofs.key_of(proofs.secret_of(world.config), name, world.store.nodes.get(name).boot0)
    world.nodes[name] = Node(name, key, world.nodes["air-00"].manifests, world.old.manifest)
    world.nodes[name].state()
    world.nodes[name].say(world.now_s)


def test_who_matches_later_joins_behind_all_others_until_the_rollout_expires(worlds: Make) -> None:
    world = worlds(World)
    world.add(mode=Mode.CONTINUOUS, where="kind=air", expires_s=300)
    world.say(Verb.START)
    world.run(3)
    joins(world, "air-new", Kind.AIR)
    joins(world, "light-new", Kind.LIGHT)
    world.run(60)
    assert set(world.stages()) == {*FOUR, "air-new"}
    new = world.executions()["air-new"]
    assert (new.stage, new.wave) == (Stage.PROVED, len(WAVES) - 1)
    assert new.ordered_s > world.executions()["air-00"].since_s
    assert world.nodes["air-new"].runs == world.new.manifest
    joins(world, "air-last", Kind.AIR)
    world.run(60)
    assert world.stages()["air-last"] == "proved", "also when all others were done with"
    world.run(300)
    assert world.phase() is Phase.FINISHED
    joins(world, "air-late", Kind.AIR)
    world.run(60)
    assert "air-late" not in world.stages()
    assert_replays(world, 1)
