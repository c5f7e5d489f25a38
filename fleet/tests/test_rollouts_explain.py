"""Why a node is where it is, and what the log of a rollout tells: over a fleet with its service, and as printed."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fleet import campaigns, provision
from fleet.errors import NotFoundError, UsageError, VerificationError
from fleet.model import Standing
from fleet.rollout.model import Phase, Stage, Verb
from fleet.rollout.plan import Mode, Skipped
from fleet.rollouts import explain, history
from fleet.store.intake import Rows
from fleet.tests.cli_rig import Result, run
from fleet.tests.rollout_rig import WAVES, World
from protocol import refusals
from protocol.trust import INSTALL

LONG = (replace(WAVES[0], gate=replace(WAVES[0].gate, soak_s=600)), WAVES[1])


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    found = World.make(tmp_path / "fleet")
    found.run(1)
    yield found
    found.close()


def codes(world: World, node: str = "air-01", approvals: int = 0) -> list[str]:
    world.store.journal.add_figures(world.now_s * 1000, {})  # the service runs
    return [one.code for one in explain.explanation(world.store, node, world.now_s, approvals).reasons]


def begun(world: World, seconds: int = 0, **plan: object) -> World:
    world.add(**plan)
    world.say(Verb.START)
    world.run(seconds)
    return world


def stranger(world: World, **plan: object) -> World:
    """A rollout that has the first node only."""
    made = world.plan(**plan)
    world.store.rollouts.add(made, world.members(made)[:1], [], "ops@desk", world.now_s, "00")
    world.say(Verb.START)
    return world


def ordered(world: World) -> World:
    """A person orders air-01, outside rollouts."""
    view = world.store.nodes.view("air-01")
    wish = campaigns.Wish(INSTALL, world.new)
    plans = campaigns.plan(world.store, world.config, [view], wish, world.now_s)
    campaigns.order(world.store, world.config, plans, wish, "ops@desk", world.now_s)
    return world


def left_out(world: World) -> World:
    plan = world.plan()
    skipped = [Skipped("air-01", "the release is for another board", refusals.U_BOARD)]
    world.store.rollouts.add(plan, world.members(plan)[:1], skipped, "ops@desk", world.now_s, "00")
    return world


def retired(world: World) -> World:
    provision.Provisioner(world.config, world.store.nodes).retire("air-01")
    return world


def pending(world: World) -> World:
    world.store.nodes.replace(replace(world.store.nodes.get("air-01"), standing=Standing.PENDING))
    return world


def offline(world: World) -> World:
    world.nodes["air-01"].state(online=False)
    world.run(1)
    return world


def configured(world: World) -> World:
    world.store.configs.set("air-01", {1: 30}, world.now_s)
    return world


CASES: dict[str, tuple[Callable[[World], World], list[str]]] = {
    "nobody wants anything of it": (lambda world: world, ["target.none"]),
    "it is retired": (retired, ["node.retired", "target.none"]),
    "it was never accepted": (pending, ["node.pending", "target.none"]),
    "it is offline": (offline, ["node.offline", "target.none"]),
    "its wave comes later": (lambda world: begun(world), ["hold.wave", "hold.threshold"]),
    "the wave before soaks": (lambda world: begun(world, 10, waves=LONG), ["hold.wave", "hold.soak"]),
    "it runs the target, proved": (lambda world: begun(world, 60), ["target.proved", "stage.proved"]),
    "it is left out": (left_out, ["target.none", "skipped.u_board"]),
    "a rollout names other nodes": (
        lambda world: stranger(world, nodes=("air-00",)),
        ["target.none", "selection.nodes"],
    ),
    "a rollout selects other nodes": (
        lambda world: stranger(world, where="id=air-00 and slot=b and kind=light"),
        ["target.none", "selection.where", "selection.where"],
    ),
    "it matches since": (lambda world: stranger(world), ["target.none", "selection.later"]),
    "it joins": (lambda world: stranger(world, mode=Mode.CONTINUOUS), ["target.none", "selection.joining"]),
    "a person ordered it": (ordered, ["order.open"]),
    "a configuration is on its way": (configured, ["target.none", "config.pending"]),
}


@pytest.mark.parametrize("name", CASES)
def test_every_reason_of_a_node_is_told(world: World, name: str) -> None:
    arrange, expected = CASES[name]
    assert codes(arrange(world)) == expected


def test_a_draft_waits_for_its_approvals(world: World) -> None:
    world.add()
    assert codes(world, approvals=2) == ["target.none", "hold.draft", "hold.approval", "hold.wave"]
    assert "hold.approval" not in codes(world, approvals=0)


def test_an_order_of_a_person_that_is_done_is_told_with_its_proof(world: World) -> None:
    ordered(world).run(12)
    assert codes(world) == ["target.proved", "order.done"]


def test_a_service_that_does_not_run_is_the_first_reason(world: World) -> None:
    begun(world)
    found = explain.explanation(world.store, "air-01", world.now_s)
    assert found.reasons[0].code == "service.stopped"


def test_what_a_node_only_claims_is_told_apart(world: World) -> None:
    begun(world)
    node = world.nodes["air-01"]
    node.runs = world.new.manifest
    node.state()
    world.run(1)
    assert codes(world)[0] == "target.claimed"


def test_an_unknown_node_is_an_error(world: World) -> None:
    with pytest.raises(NotFoundError):
        explain.explanation(world.store, "air-99", world.now_s)


def test_no_node_is_without_an_explanation_at_any_second_of_a_rollout(tmp_path: Path) -> None:
    world = World.make(tmp_path / "fleet", bad=["air-02"])
    begun(world)
    for _ in range(30):
        world.run(1)
        for node in world.nodes:
            assert codes(world, node)
    world.close()


def test_the_newest_open_rollout_says_when_it_moves(world: World) -> None:
    begun(world, 10, waves=LONG)
    found = explain.explanation(world.store, "air-01", world.now_s)
    assert found.wanted == world.new.manifest
    assert not found.on_target
    assert found.expected_s(world.now_s) == 0  # the wave before has an end, and what holds this one has none
    assert [part.about for part in found.parts if part.is_open] == ["rollout 1 (spring)"]


# -- the log --


def test_every_decision_of_a_real_rollout_comes_out_the_same(world: World) -> None:
    begun(world, 60)
    assert world.phase() is Phase.FINISHED
    found = history.replay(world.store, "spring")
    assert len(found.decisions) > 5
    assert found.faults == {}
    history.require_same(found)


@pytest.mark.parametrize("verb", [Verb.ABORT, Verb.HALT])
def test_a_rollout_that_was_stopped_comes_out_the_same(world: World, verb: Verb) -> None:
    begun(world, 7)
    world.say(verb, why="looks odd")
    world.run(10)
    assert history.replay(world.store, "1").faults == {}


def test_a_database_that_is_not_what_the_log_left_is_found(world: World) -> None:
    begun(world, 60)
    with world.store._engine.begin() as connection:
        connection.exec_driver_sql("UPDATE rollout_node SET stage = ?", (Stage.FAILED.value,))
    found = history.replay(world.store, "1")
    assert "the database has other nodes than the log" in found.faults[found.decisions[-1].seq]
    with pytest.raises(VerificationError, match="does not come out"):
        history.require_same(found)


def test_a_log_whose_chain_is_broken_is_refused(world: World) -> None:
    begun(world, 10)
    with world.store._engine.begin() as connection:
        connection.exec_driver_sql("UPDATE audit SET actor = 'nobody' WHERE seq = 1")
    with pytest.raises(VerificationError):
        history.replay(world.store, "1")


def test_other_gates_are_asked_for(world: World) -> None:
    begun(world, 60)
    with pytest.raises(UsageError):
        history.whatif(world.store, "1", {}, {}, {})
    _, plan, answer = history.whatif(world.store, "1", {"soak_s": 30}, {}, {})
    assert plan.waves[0].gate.soak_s == 30
    assert answer.would.phase is Phase.FINISHED
    assert answer.would.ended_s > answer.was.ended_s


# -- as printed --


def fleet(world: World, *words: str, tty: bool = False) -> Result:
    return run(*words, "--fleet", world.config.directory, tty=tty)


def test_explain_prints_a_card_and_the_reasons_below_what_they_are_about(world: World) -> None:
    begun(world, 10, waves=LONG)
    found = fleet(world, "node", "explain", "air-01")
    assert found.code == 0, found.err
    assert "rollout 1 (spring)" in found.out
    assert "1. its wave is rest" in found.out
    narrow = fleet(world, "node", "explain", "air-01", tty=True)
    assert max(map(len, narrow.out.splitlines())) <= 80 + 20  # colours count, too


def test_explain_has_stable_codes_for_scripts(world: World) -> None:
    begun(world)
    found = fleet(world, "node", "explain", "air-01", "--json").json["explanation"]
    assert (found["node"], found["wanted"], found["on_target"]) == ("air-01", "air-1.1.0", False)
    assert "hold.wave" in [one["code"] for one in found["reasons"]]
    assert set(found["reasons"][0]) == {"about", "text", "expected", "code", "advice"}


def test_replay_prints_each_decision_and_ends_with_7_when_one_differs(world: World) -> None:
    begun(world, 60)
    found = fleet(world, "rollout", "replay", "spring")
    assert found.code == 0, found.err
    assert "ops@desk says start" in found.out
    assert "byte for byte" in found.err
    with world.store._engine.begin() as connection:
        connection.exec_driver_sql("UPDATE rollout_node SET stage = ?", (Stage.FAILED.value,))
    assert fleet(world, "rollout", "replay", "spring", "--quiet").code == 7


def test_whatif_prints_both_courses(world: World) -> None:
    begun(world, 60)
    found = fleet(world, "rollout", "whatif", "spring", "--soak", "30s", "--json").json["courses"]
    assert [one["gates"] for one in found] == ["as it was", "instead"]
    assert (found[0]["exposed"], found[0]["wave"]) == (4, "rest")
    assert fleet(world, "rollout", "whatif", "spring").code == 2


def beats(world: World, days: int) -> None:
    """Every node spoke each five minutes; the last one sleeps at night."""
    now = int(time.time())
    keys = world.store.nodes.keys()
    rows = Rows()
    for name, key in keys.items():
        for at in range(now - days * 86400, now, 300):
            if name != "air-03" or 6 <= at % 86400 // 3600 < 20:
                rows.health.append((key, 1, at, at * 1000, json.dumps({})))
    intake = world.store.intake()
    intake.write(rows)
    intake.close()


REHEARSE = ("rollout", "rehearse", "--release", "air-1.1.0", "--wave", "canary=1", "--wave", "rest", "--no-judging")


def test_a_rehearsal_needs_a_past(world: World) -> None:
    found = fleet(world, *REHEARSE)
    assert (found.code, "no past" in found.err) == (3, True)


def test_a_rehearsal_says_how_long_it_takes_and_what_the_gates_catch(world: World) -> None:
    beats(world, 3)
    words = (*REHEARSE, "--breaks", "100", "--flaky", "0", "--runs", "4")
    found = fleet(world, *words, "--json")
    assert found.code == 0, found.err
    told = found.json["rehearsal"]
    assert (told["nodes"], told["record_s"], told["runs"]) == (4, 2 * 86400, 4)
    assert told["proved"]["p50"] == 4
    assert told["half_s"]["p50"] > 0
    (broken,) = told["broken"]
    assert (broken["caught"], broken["exposed"]["p90"], broken["waves"]) == (1000, 1, {"canary": 4})
    assert fleet(world, *words, "--json").json == found.json
    printed = fleet(world, *words, tty=True)
    assert "Proved over time" in printed.out


@pytest.mark.parametrize("breaks", ["0", "x", "101"])
def test_shares_that_are_none_are_refused(world: World, breaks: str) -> None:
    assert fleet(world, *REHEARSE, "--breaks", breaks).code == 2
