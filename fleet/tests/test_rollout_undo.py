"""What takes a rollout back."""

from dataclasses import replace

from fleet.model import Kind
from fleet.rollout.commands import refusal
from fleet.rollout.model import Command, Execution, Phase, Verb
from fleet.rollout.plan import Goal, Member, OnFailure, Plan, Skipped, Wave
from fleet.rollout.step import create
from fleet.rollout.undo import Undone, undone

PLAN = Plan("spring", waves=(Wave("a", count=2), Wave("b")), on_failure=OnFailure.UNDO)
MEMBERS = {name: Member(name, Kind.AIR, wave, before=b"old") for wave, name in enumerate(("air-0", "air-1"))}


def undo(*, staged: bool = False, settings: bool = False, **changes: Member) -> Undone:
    members = {**MEMBERS, **{one.node: one for one in changes.values()}}
    executions = {node: Execution(node, wave=one.wave) for node, one in members.items()}
    return undone(7, PLAN, members, executions, sorted(members), staged=staged, settings=settings)


def test_that_of_an_operator_keeps_the_waves() -> None:
    found = undo(staged=True)
    assert (found.plan.goal, found.plan.parent, found.plan.targets) == (Goal.PREVIOUS, 7, ())
    assert found.plan.waves == PLAN.waves
    assert found.members == tuple(MEMBERS.values())


def test_that_after_a_halt_is_one_wave_without_soak_and_judging() -> None:
    found = undo()
    [wave] = found.plan.waves
    assert (wave.gate.soak_s, wave.judged, found.plan.judging.enabled) == (0, False, False)
    assert [one.wave for one in found.members] == [0, 0]


def test_an_undo_that_fails_is_not_undone_for_that_would_boot_the_bad_release() -> None:
    assert undo().plan.on_failure is OnFailure.PAUSE
    assert undo(staged=True).plan.on_failure is OnFailure.PAUSE


def test_an_undo_cannot_be_undone_for_that_would_bring_a_release_back_without_its_approvals() -> None:
    found = undo(staged=True)
    state = create(8, found.plan, {one.node: one for one in found.members})
    state = replace(state, rollout=replace(state.rollout, phase=Phase.FINISHED))
    said = refusal(found.plan, state, Command(Verb.UNDO, "ann"), 0)
    assert "it is an undo itself" in said
    assert not refusal(PLAN, state, Command(Verb.UNDO, "ann"), 0)


def test_what_ran_when_the_node_was_ordered_counts_not_what_ran_when_it_was_planned() -> None:
    executions = {"air-0": Execution("air-0", before=b"newer")}
    found = undone(7, PLAN, MEMBERS, executions, ["air-0"], staged=False, settings=False)
    assert [one.before for one in found.members] == [b"newer"]


def test_a_node_of_which_nobody_knows_what_ran_before_keeps_what_it_has() -> None:
    blank = replace(MEMBERS["air-1"], before=b"")
    found = undo(blank=blank)
    assert found.plan.nodes == ("air-0",)
    assert found.skipped == (Skipped("air-1", "nobody knows what ran there before"),)
    assert undo(blank=blank, settings=True).plan.nodes == ("air-0", "air-1"), "settings need no program"
