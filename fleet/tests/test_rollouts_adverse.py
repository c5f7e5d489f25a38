"""Rollouts while things go wrong around them: a root expires, a release is yanked, a node comes too late."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet import signing
from fleet.config import Config
from fleet.model import Kind
from fleet.provision import Provisioner, Request
from fleet.rollout.model import Phase, Report, Seen, Verb
from fleet.rollout.plan import Member, Mode
from fleet.rollouts.deciding import Decider, Watched
from fleet.signing import Roots, SignatureError
from fleet.tests.rollout_rig import WAVES, World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World.make(tmp_path / "fleet")
    yield made
    made.close()


@pytest.fixture
def going(world: World) -> World:
    world.add()
    world.say(Verb.START)
    world.run(3)
    assert world.stages()["air-00"] == "active"
    return world


def test_a_root_that_has_expired_lets_nobody_be_ordered_and_loses_no_abort(
    going: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine = signing.roots

    def expired(config: Config) -> Roots:
        found = genuine(config)
        found.current.expires = now_s
        return found

    now_s = going.now_s
    monkeypatch.setattr(signing, "roots", expired)
    going.say(Verb.ABORT)
    assert (going.phase(), list(going.store.rollouts.epoch().halted)) == (Phase.ABORTED, [257])
    going.run(5)
    assert set(going.stages().values()) == {"stopped"}
    assert going.nodes["air-00"].runs == going.old.manifest
    going.add(name="next")
    going.say(Verb.START, 2)
    with pytest.raises(SignatureError, match="the root has expired"):
        going.run(5)


def test_a_yanked_release_halts_a_paused_rollout_too(going: World) -> None:
    going.say(Verb.PAUSE)
    going.store.releases.yank(going.new.id, going.now_s, "ops@desk", "it eats records")
    going.run(5)
    assert (going.phase(), going.stages()["air-00"]) == (Phase.HALTED, "queued")


def test_a_node_that_matches_when_the_time_is_over_does_not_take_part(world: World) -> None:
    world.add(mode=Mode.CONTINUOUS, expires_s=60, waves=(WAVES[1],))
    world.say(Verb.START)
    world.run(2)
    Provisioner(world.config, world.store.nodes).provision(Request("air-99", Kind.AIR, "esp32"))
    watched = Watched.load(world.store, 1)
    late = Seen(joined=(Member("air-99", Kind.AIR, 0),), reports=(Report("air-00", online=False),))
    assert Decider(world.store, world.config).decide(watched, late, watched.state.rollout.started_s + 61) is not None
    assert set(watched.members) == set(world.nodes)
    assert world.store.rollouts.state(1) == watched.state
