"""Who is in which wave."""

from collections import Counter
from dataclasses import replace

import pytest

from fleet.model import Kind
from fleet.rollout import waves
from fleet.rollout.draft import PlanError
from fleet.rollout.plan import Member, Plan, Target, Wave

PLAN = Plan("spring")


def nodes(count: int, lamps: int = 0) -> list[Member]:
    return [
        *(Member(f"air-{number}", Kind.AIR, 0, before=b"old") for number in range(count)),
        *(Member(f"light-{number}", Kind.LIGHT, 0, before=b"old") for number in range(lamps)),
    ]


def counts(assigned: waves.Assigned) -> dict[str, int]:
    found = Counter(assigned.plan.waves[one.wave].name for one in assigned.members.values())
    return {wave.name: found[wave.name] for wave in assigned.plan.waves}


SIZES: dict[str, tuple[tuple[Wave, ...], int, dict[str, int]]] = {
    "the first wave is one node": (PLAN.waves, 10, {"canary": 1, "rest": 9}),
    "or 1 % of them, the greater": (PLAN.waves, 1000, {"canary": 10, "rest": 990}),
    "a part of a node is a node": (PLAN.waves, 1001, {"canary": 11, "rest": 990}),
    "shares are of all nodes, not of those left": (
        (Wave("a", share=100), Wave("b", share=500), Wave("c")),
        100,
        {"a": 10, "b": 50, "c": 40},
    ),
    "a wave without nodes is left out": ((Wave("a", count=5), Wave("b", count=5), Wave("c")), 7, {"a": 5, "b": 2}),
    "a fleet of one has one wave": (PLAN.waves, 1, {"canary": 1}),
}


@pytest.mark.parametrize("case", SIZES)
def test_how_many_nodes_a_wave_has(case: str) -> None:
    given, count, wanted = SIZES[case]
    assert counts(waves.assign(replace(PLAN, waves=given), nodes(count))) == wanted


def test_a_size_of_each_product() -> None:
    plan = replace(PLAN, waves=(Wave("canary", count=1, share=100, per_kind=True), Wave("rest")))
    found = waves.assign(plan, nodes(30, 5))
    assert Counter(one.kind for one in found.members.values() if one.wave == 0) == {Kind.AIR: 3, Kind.LIGHT: 1}


def test_a_wave_takes_what_matches() -> None:
    plan = replace(PLAN, waves=(Wave("desk", where="desk"), Wave("one", count=1, where="site=a"), Wave("rest")))
    tags = {"air-0": {"desk": "yes"}, "air-1": {"site": "a"}, "air-2": {"site": "a"}}
    found = waves.assign(plan, nodes(5), attributes=lambda node: tags.get(node, {}))
    assert counts(found) == {"desk": 1, "one": 1, "rest": 3}
    assert found.members["air-0"].wave == 0


def test_a_wave_whose_selection_fits_nobody_is_a_mistake() -> None:
    plan = replace(PLAN, waves=(Wave("desk", where="desk"), Wave("rest")))
    with pytest.raises(PlanError, match="no node of the rollout is in wave desk"):
        waves.assign(plan, nodes(5))


def test_hawkbit_735_an_empty_rollout_is_refused() -> None:
    with pytest.raises(PlanError, match="no node is left to roll out to"):
        waves.assign(PLAN, [])


def test_nodes_that_no_wave_takes_are_named() -> None:
    found = waves.assign(replace(PLAN, waves=(Wave("some", count=3),)), nodes(5))
    assert (len(found.members), len(found.left)) == (3, 2)
    assert not found.members.keys() & set(found.left)


def test_the_order_of_the_nodes_changes_nothing() -> None:
    there = nodes(200)
    assert waves.assign(PLAN, there) == waves.assign(PLAN, list(reversed(there)))


def test_another_release_is_tried_by_other_nodes_first() -> None:
    def canaries(digest: bytes) -> set[str]:
        plan = replace(PLAN, targets=(Target(Kind.AIR, "air-1", digest, b"m", 1),))
        return {one.node for one in waves.assign(plan, nodes(1000)).members.values() if one.wave == 0}

    assert len(canaries(b"a") & canaries(b"b")) < 5


def test_what_a_rollout_is_called_moves_no_node() -> None:
    assert waves.assign(PLAN, nodes(100)).members == waves.assign(replace(PLAN, name="again-2"), nodes(100)).members


def test_a_canary_is_not_a_node_that_is_away_while_another_is_there() -> None:
    first = next(one.node for one in waves.assign(PLAN, nodes(10)).members.values() if one.wave == 0)
    found = waves.assign(PLAN, nodes(10), silent={first})
    assert found.members[first].wave == 1
    everybody = [one.node for one in nodes(10)]
    assert counts(waves.assign(PLAN, nodes(10), silent=everybody)) == {"canary": 1, "rest": 9}
