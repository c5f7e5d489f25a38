"""Every decision once more from the log, what other gates would have made of it, and an explanation for every node."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from fleet.rollout import explain, whatif
from fleet.rollout.logged import Logged
from fleet.rollout.model import Execution, Phase, Seen, Stage
from fleet.rollout.plan import Gate, Plan, Wave
from fleet.rollout.replay import Decision, history, replay
from fleet.rollout.step import create
from fleet.rollout.whatif import Answer
from fleet.tests.rollout_chance import Chance
from fleet.tests.rollout_world import World, calm, members_of
from protocol import refusals, update

SEEDS = range(60)
TURNS = 40


def bodies(log: Sequence[Logged]) -> list[tuple[int, bytes]]:
    return [(seq, one.encode()) for seq, one in enumerate(log, 1)]


def decisions(world: World) -> list[Decision]:
    return list(replay(7, world.plan, world.members, bodies(world.log)))


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_happened_comes_out_the_same_from_the_log(seed: int) -> None:
    world = Chance(seed).run(TURNS)
    found = decisions(world)
    assert [one.differs for one in found] == [""] * len(world.log)
    assert found[-1].after == world.state if found else True
    assert all(line.strip() for one in found for line in history(one))


@pytest.mark.parametrize("seed", SEEDS)
def test_no_node_is_ever_without_an_explanation(seed: int) -> None:
    chance = Chance(seed)
    for _ in range(TURNS):
        chance.run(1)
        world = chance.world
        for node in world.members:
            found = explain.explain(world.plan, world.members, world.state, node, Seen(), world.now_s)
            assert found
            assert all(one.code and one.text for one in found)
            assert explain.expected_s(found, world.now_s) >= 0


def through(world: World, *bad: str) -> None:
    """Each node gets its order and does it; some are reverted. A look each minute."""
    for _ in range(60):
        flying = world.in_stage(Stage.ORDERED, Stage.ACTIVE, Stage.TRIAL)
        for node in flying:
            if node in bad:
                world.says(update.REVERTED, node, code=refusals.U_CRASHED)
            else:
                world.says(update.TRIAL, node)
                world.prove(node)
        world.wait(60)
        if world.phase not in (Phase.RUNNING, Phase.DRAFT):
            return


def rollout(*bad: str, gate: Gate = Gate(soak_s=120, failures=500, success=300, sample=2)) -> World:  # noqa: B008
    """Three nodes in the first wave, seven in the next."""
    waves = (Wave("first", judged=False, gate=gate), Wave("rest", judged=False, gate=gate))
    world = World(calm(waves=waves), members_of(3, 7))
    world.start()
    through(world, *bad)
    return world


def changed(world: World, **gate: int) -> Answer:
    plan: Plan = whatif.changed(world.plan, gate, {}, {})
    return whatif.whatif(plan, world.members, decisions(world))


def test_a_decision_that_was_changed_in_the_log_is_found_and_the_next_ones_are_judged_by_themselves() -> None:
    world = rollout()
    log = list(world.log)
    at = next(number for number, one in enumerate(log) if any(x.stage is Stage.PROVED for x in one.step.changed))
    forged = [replace(one, code=refusals.U_SPACE) for one in log[at].step.changed]
    log[at] = replace(log[at], step=replace(log[at].step, changed=tuple(forged)))
    found = list(replay(7, world.plan, world.members, bodies(log)))
    assert found[at].differs.startswith("changed: the log has")
    assert next(one.seq for one in found if one.differs) == at + 1


def test_a_report_that_was_changed_in_the_log_is_found() -> None:
    world = rollout()
    log = list(world.log)
    at = next(number for number, one in enumerate(log) if any(r.proved for r in one.seen.reports))
    lies = tuple(replace(one, proved=False) for one in log[at].seen.reports)
    log[at] = replace(log[at], seen=replace(log[at].seen, reports=lies))
    assert any(one.differs for one in replay(7, world.plan, world.members, bodies(log)))


def test_bytes_that_hold_no_decision_are_refused() -> None:
    world = rollout()
    with pytest.raises(ValueError, match="not a decision"):
        list(replay(7, world.plan, world.members, [(1, b"\x80")]))


def test_the_history_says_who_did_what_and_what_came_of_it() -> None:
    world = rollout("n-5")
    lines = [line for one in decisions(world) for line in history(one)]
    assert "me says start: a test" in lines
    assert any(line.startswith("order n-") for line in lines)
    assert any(line == "reverted: n-5" for line in lines)
    assert any("wave rest begins" in line for line in lines)
    assert any(line.startswith("it is finished") for line in lines)


def test_the_same_gates_do_what_was_done() -> None:
    world = rollout("n-5")
    answer = whatif.whatif(world.plan, world.members, decisions(world))
    assert (answer.would.phase, answer.would.exposed) == (answer.was.phase, answer.was.exposed)
    assert (answer.ignored, answer.unknown) == (0, frozenset())


def test_a_stricter_ceiling_would_have_halted_before_most_nodes_ran_it() -> None:
    world = rollout("n-2")
    assert world.phase is Phase.FINISHED
    answer = changed(world, failures=20)
    assert answer.would.halted_s
    assert answer.would.wave == 0
    assert answer.would.exposed == {"n-1", "n-2", "n-3"}
    assert len(answer.was.exposed) == 10
    assert answer.ignored > 0


def test_a_longer_soak_moves_what_nodes_said_with_their_orders() -> None:
    world = rollout()
    answer = changed(world, soak_s=1200)
    assert answer.would.phase is Phase.FINISHED
    assert answer.would.ended_s >= answer.was.ended_s + 1000
    assert answer.would.exposed == answer.was.exposed


def test_fewer_at_a_time_take_longer_and_do_the_same() -> None:
    world = rollout()
    plan = whatif.changed(world.plan, {}, {"in_flight": 1}, {})
    answer = whatif.whatif(plan, world.members, decisions(world))
    assert answer.would.phase is Phase.FINISHED
    assert answer.would.ended_s > answer.was.ended_s


def test_nodes_that_the_log_never_saw_ordered_stay_out() -> None:
    world = rollout("n-1", "n-2", gate=Gate(soak_s=120, failures=100, success=300, sample=2))
    assert world.phase is Phase.ABORTED
    answer = changed(world, failures=900, success=0, presence=0)
    assert not answer.would.halted_s
    assert {f"n-{at}" for at in range(4, 11)} <= answer.unknown | answer.would.ordered
    assert answer.would.exposed <= {"n-1", "n-2", "n-3"}


def test_a_rollout_without_decisions_is_where_it_was_made() -> None:
    members = members_of(1)
    assert list(replay(7, calm(), members, [])) == []
    assert create(7, calm(), members).executions == {"n-1": Execution("n-1", before=members["n-1"].before)}
