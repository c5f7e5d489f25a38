"""From a plan to a rollout: approvals for one plan hash, and names."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fleet.errors import NotAllowedError
from fleet.rollout.model import Command, Verb
from fleet.rollouts import starting
from fleet.tests.plan_rig import NOW_S, Desk, opened, start


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with opened(tmp_path) as found:
        yield found


class TestApproval:
    """A fleet that demands two."""

    @pytest.fixture
    def strict(self, desk: Desk) -> Desk:
        desk.config = replace(desk.config, rollouts=replace(desk.config.rollouts, approvals=2))
        return desk

    def approve(self, desk: Desk, number: int, actor: str) -> None:
        view = desk.store.rollouts.get(number)
        starting.approve(desk.store, desk.config, view, Command(Verb.APPROVE, actor), NOW_S)

    def test_it_starts_with_as_many_as_it_needs_and_not_before(self, strict: Desk) -> None:
        view = starting.keep(strict.store, strict.plan(), "ops@desk", NOW_S)
        for actor in ("ann@desk", "bob@desk"):
            with pytest.raises(NotAllowedError, match="waits for"):
                starting.start(strict.store, strict.config, strict.store.rollouts.get(view.id), "ops@desk", "", NOW_S)
            self.approve(strict, view.id, actor)
        starting.start(strict.store, strict.config, strict.store.rollouts.get(view.id), "ops@desk", "", NOW_S)
        assert strict.store.rollouts.get(view.id).head.phase == "running"

    def test_the_author_does_not_approve_and_nobody_does_twice(self, strict: Desk) -> None:
        view = starting.keep(strict.store, strict.plan(), "ops@desk", NOW_S)
        with pytest.raises(NotAllowedError, match="made this plan"):
            self.approve(strict, view.id, "ops@desk")
        self.approve(strict, view.id, "ann@desk")
        with pytest.raises(NotAllowedError, match="has approved rollout"):
            self.approve(strict, view.id, "ann@desk")

    def test_any_edit_voids_it(self, strict: Desk) -> None:
        view = starting.keep(strict.store, strict.plan(), "ops@desk", NOW_S)
        for actor in ("ann@desk", "bob@desk"):
            self.approve(strict, view.id, actor)
        edited = starting.keep(strict.store, strict.plan(gate={"soak": "1s"}), "ops@desk", NOW_S)
        assert edited.id != view.id
        with pytest.raises(NotAllowedError, match="waits for 2 approvals"):
            starting.start(strict.store, strict.config, edited, "ops@desk", "", NOW_S)

    def test_so_does_a_node_that_changes(self, strict: Desk) -> None:
        view = starting.keep(strict.store, strict.plan(), "ops@desk", NOW_S)
        self.approve(strict, view.id, "ann@desk")
        strict.say("air-2", version="1.4.9")
        with pytest.raises(NotAllowedError, match="have changed since") as error:
            self.approve(strict, view.id, "bob@desk")
        assert error.value.cause == "1 of them: air-2"

    def test_the_same_plan_is_the_same_rollout(self, strict: Desk) -> None:
        first = starting.keep(strict.store, strict.plan(), "ops@desk", NOW_S)
        assert starting.keep(strict.store, strict.plan(), "ops@desk", NOW_S + 60).id == first.id

    def test_a_plan_whose_name_was_taken_can_be_approved_too(self, strict: Desk) -> None:
        for soak in ("1s", "2s", "3s", "4s"):
            waves = [{"name": "canary", "count": 1}, {"name": "rest"}]
            view = starting.keep(strict.store, strict.plan(gate={"soak": soak}, waves=waves), "ops@desk", NOW_S)
            self.approve(strict, view.id, "ann@desk")
        assert view.name == "air-1.5.0-4"


def test_a_name_that_was_used_gets_a_number(desk: Desk) -> None:
    start(desk, desk.plan(nodes=["air-1"]))
    view = starting.keep(desk.store, desk.plan(nodes=["air-2"]), "ops@desk", NOW_S)
    assert view.name == "air-1.5.0-2"
