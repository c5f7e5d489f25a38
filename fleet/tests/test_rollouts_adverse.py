"""Rollouts while things go wrong around them: a root expires, a release is yanked, a node comes too late."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet import signing
from fleet.cli.rollout_options import _read
from fleet.config import Config
from fleet.errors import UsageError
from fleet.model import Kind
from fleet.provision import Provisioner, Request
from fleet.rollout.model import Phase, Report, Seen, Verb
from fleet.rollout.plan import Member, Mode, Overlap
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


def test_a_rollout_that_cannot_be_decided_on_does_not_hold_up_those_behind_it(
    going: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    going.add(name="behind", overlap=Overlap.SUPERSEDE)
    going.say(Verb.START, 2)
    genuine = going.service.driver._advance

    def advance(number: int, now_s: int) -> int:
        if number == 1:
            raise ValueError("air-00: proved does not become queued by report")
        return genuine(number, now_s)

    monkeypatch.setattr(going.service.driver, "_advance", advance)
    going.store.releases.yank(going.new.id, going.now_s, "ops@desk", "it eats records")
    with pytest.raises(ValueError, match="does not become"):
        going.run(1)
    assert going.phase(2) is Phase.HALTED


def test_a_number_that_nobody_ordered_is_no_way_out_of_a_gate(going: World) -> None:
    """A program that is broken may say anything: a canary that names a later order has not been taken away."""
    canary, *others = going.nodes.values()
    assert canary.campaign is not None
    canary.campaign.counter = 5000
    going.run(90)
    assert (going.stages()["air-00"], going.phase()) == ("timed out", Phase.ABORTED)
    assert not any(node.seen for node in others)


def test_a_plan_file_that_is_too_large_is_refused_and_not_cut(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text("a = 1\n" * 3)
    assert _read(path, 18) == "a = 1\n" * 3
    with pytest.raises(UsageError, match="too large"):
        _read(path, 17)


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
