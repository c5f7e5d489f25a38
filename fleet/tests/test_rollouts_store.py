"""What the database keeps of rollouts, and that a decision is written whole or not at all."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fleet.errors import ConflictError, NotAllowedError, NotFoundError
from fleet.model import Kind, Ordered
from fleet.rollout.model import Execution, Phase, Quarantine, Stage, Verdict
from fleet.rollout.plan import Member, Plan, Skipped
from fleet.rollout.step import create
from fleet.store.audit import Act
from fleet.store.rollouts import Epoch, New, Outcome
from fleet.tests.store_rig import NOW_S, Feed, filled_store
from protocol.trust import INSTALL

PLAN = Plan("spring", nodes=("air-1", "air-2"))
MEMBERS = [Member("air-1", Kind.AIR, 0, before=b"old"), Member("air-2", Kind.AIR, 1, neighbours=("air-1",))]
SKIPPED = [Skipped("light-1", "it is for another product", 9)]
ACT = Act(NOW_S, "fleet", "step", "rollout 1")


@pytest.fixture
def feed(tmp_path: Path) -> Iterator[Feed]:
    with filled_store(tmp_path / "fleet.db") as found:
        found.store.rollouts.add(PLAN, MEMBERS, SKIPPED, "ops@desk", NOW_S, "cafe")
        yield found


def test_a_draft_is_what_was_planned(feed: Feed) -> None:
    rollouts = feed.store.rollouts
    view = rollouts.get("spring")
    assert (view.id, view.plan, view.created_by, view.created_s, view.hash) == (1, PLAN, "ops@desk", NOW_S, "cafe")
    assert rollouts.get(1) == rollouts.get("1") == view
    assert list(rollouts.members(1).values()) == MEMBERS
    assert rollouts.skipped(1) == SKIPPED
    assert rollouts.state(1) == create(1, PLAN, rollouts.members(1))
    assert [one.id for one in rollouts.all([Phase.DRAFT])] == [1]
    assert rollouts.all([Phase.RUNNING]) == []
    assert rollouts.heads() == {1: (0, Phase.DRAFT, 0)}


def test_names_are_never_used_twice_and_are_no_numbers(feed: Feed) -> None:
    for name in ("spring", "7"):
        with pytest.raises(NotAllowedError):
            feed.store.rollouts.add(replace(PLAN, name=name), MEMBERS, [], "ops@desk", NOW_S)
    with pytest.raises(NotFoundError, match="no rollout summer"):
        feed.store.rollouts.get("summer")


def outcome(feed: Feed) -> Outcome:
    """One of everything that a step can leave behind."""
    head = feed.store.rollouts.get(1).head
    values = {"recent": (NOW_S, NOW_S + 1), "counter": 4, "stop": 5, "late": True, "text": "x", "before": b"old"}
    ordered = Ordered("air-1", 4, INSTALL, bytes(32), bytes(32), bytes(16), b"e", NOW_S, NOW_S + 9, "rollout 1", 257)
    return Outcome(
        head=replace(head, phase=Phase.RUNNING, verdict=Verdict.PROMOTE, approvals=("a", "b"), version=1, group=257),
        act=ACT,
        changed=[Execution("air-1", Stage.ORDERED, tries=1, **values), Execution("light-1", wave=1)],
        orders=[ordered],
        joined=[Member("light-1", Kind.LIGHT, 1)],
        quarantine=[Quarantine("air-2", NOW_S + 60, "it flaps")],
        epoch=Epoch(7, NOW_S, {257: NOW_S + 9}, b"envelope"),
        spawned=[New(replace(PLAN, name="undo", parent=1), MEMBERS[:1], "fleet", NOW_S)],
    )


def test_what_a_step_leaves_behind(feed: Feed) -> None:
    rollouts, made = feed.store.rollouts, outcome(feed)
    assert rollouts.apply(made) == [2]
    state = rollouts.state(1)
    assert state.rollout == made.head
    assert [state.executions[one.node] for one in made.changed] == made.changed
    assert set(rollouts.members(1)) == {"air-1", "air-2", "light-1"}
    assert list(feed.store.campaigns.orders().values()) == made.orders
    assert rollouts.quarantined(NOW_S) == {"air-2": NOW_S + 60}
    assert rollouts.quarantined(NOW_S + 60) == {}
    assert rollouts.epoch() == made.epoch
    assert rollouts.get("undo").plan.parent == 1
    assert [view.id for view, _ in rollouts.of_node("air-1")] == [2, 1]
    assert rollouts.unfinished() == {"air-1": (1,), "air-2": (1,), "light-1": (1,)}
    assert rollouts.unfinished(1) == {}
    assert feed.store.audit.verify() == 3


FAULTS = {
    "the rollout has changed": lambda made: replace(made, head=replace(made.head, version=2)),
    "a node was ordered meanwhile": lambda made: replace(made, orders=[replace(made.orders[0], counter=3)]),
    "something was halted meanwhile": lambda made: replace(made, epoch=replace(made.epoch, number=6)),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_nothing_is_left_behind_when_somebody_was_faster(feed: Feed, fault) -> None:
    rollouts, made = feed.store.rollouts, outcome(feed)
    feed.store.campaigns.set([replace(made.orders[0], counter=3)])
    rollouts.set_epoch(replace(made.epoch, number=6))
    tables = ("rollout", "rollout_node", "campaign", "epoch", "node_quarantine", "audit")
    before = [feed.sql(f"SELECT * FROM {table}") for table in tables]
    with pytest.raises(ConflictError):
        rollouts.apply(fault(made))
    assert [feed.sql(f"SELECT * FROM {table}") for table in tables] == before
    rollouts.apply(made)


@pytest.mark.parametrize("name", ["9" * 19, "9" * 5000, "\u0663", "\u00b2"])
def test_a_number_that_none_can_have_is_not_found(feed: Feed, name: str) -> None:
    with pytest.raises(NotFoundError, match="no rollout"):
        feed.store.rollouts.get(name)


def test_evidence_is_kept(feed: Feed) -> None:
    key = feed.store.rollouts.add_evidence(1, 0, {"nodes": ["air-1"], "p": 3}, NOW_S)
    assert feed.store.rollouts.evidence(key) == {"nodes": ["air-1"], "p": 3}
    assert feed.store.rollouts.evidence_of(1) == [(key, 0, NOW_S)]
    with pytest.raises(NotFoundError):
        feed.store.rollouts.evidence(key + 1)


def test_a_name_that_is_taken_gets_a_number_and_stays_as_short_as_a_plan_wants_it(feed: Feed) -> None:
    rollouts = feed.store.rollouts
    assert rollouts.free_name("undo-spring") == "undo-spring"
    for wanted in ("undo-spring", "undo-spring-2", "x" * 63):
        rollouts.add(replace(PLAN, name=wanted), MEMBERS, [], "ops@desk", NOW_S)
    assert rollouts.free_name("undo-spring") == "undo-spring-3"
    assert rollouts.free_name("x" * 64) == "x" * 57 + "-2"


def test_approvals_are_of_other_people_and_an_undo_waits_for_nobody(feed: Feed) -> None:
    view = feed.store.rollouts.get(1)
    approved = replace(view, head=replace(view.head, approvals=(view.created_by, "ann")))
    assert (view.missing_approvals(2), approved.missing_approvals(2), approved.missing_approvals(0)) == (2, 1, 0)
    assert replace(view, plan=replace(PLAN, parent=7)).missing_approvals(2) == 0
    assert replace(view, head=replace(view.head, phase=Phase.RUNNING)).missing_approvals(2) == 0
