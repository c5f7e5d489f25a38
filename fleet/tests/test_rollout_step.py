"""What a rollout does, step by step: waves and gates, what operators say, what follows a halt, who comes and goes."""

from dataclasses import replace

import pytest

from fleet.rollout.commands import refusal
from fleet.rollout.model import (
    IN_FLIGHT,
    Command,
    Execution,
    Halt,
    Order,
    Phase,
    Quarantine,
    Report,
    Seen,
    Stage,
    Stop,
    Undo,
    Verb,
    Verdict,
)
from fleet.rollout.plan import Gate, Goal, Judging, Limits, Mode, OnFailure, Places, Plan, Retries, Wave, Window
from fleet.rollout.report import applied
from fleet.tests.rollout_world import NEW, NOW, QUICK, World, calm, member, members_of, names, report, world
from protocol import refusals, update

PLAN = calm(retries=Retries(tries=2))
ON_ITS_WAY = Execution("n-1", Stage.ACTIVE, tries=1, counter=5, ordered_s=NOW, deadline_s=NOW + 60, online=True)


@pytest.mark.parametrize(
    ("before", "phase", "said", "after"),
    [
        ("active", "running", {"stage": update.DOWNLOADING}, Stage.ACTIVE),
        ("active", "running", {"stage": update.TRIAL}, Stage.TRIAL),
        ("trial", "running", {"stage": update.DOWNLOADING}, Stage.TRIAL),  # an old word: stages go forward
        ("trial", "running", {"stage": update.CONFIRMED, "proved": False}, Stage.TRIAL),
        ("ordered", "running", {"stage": update.CONFIRMED}, Stage.PROVED),  # whatever was lost in between
        ("active", "running", {"stage": update.CONFIRMED, "counter": 4}, Stage.ACTIVE),  # of an order before
        ("active", "running", {"stage": update.CHECKING, "counter": 6}, Stage.SUPERSEDED),
        ("active", "running", {"stage": update.REFUSED, "counter": 6}, Stage.ACTIVE),  # a number that anybody can send
        ("active", "running", {"stage": update.REFUSED, "code": refusals.U_BOARD}, Stage.REJECTED),
        ("active", "running", {"stage": update.REFUSED, "code": refusals.U_MEMORY}, Stage.QUEUED),
        ("active", "running", {"stage": update.FAILED, "code": refusals.U_SPACE}, Stage.QUEUED),
        ("active", "aborted", {"stage": update.FAILED, "code": refusals.U_SPACE}, Stage.FAILED),
        ("active", "running", {"stage": update.FAILED, "code": refusals.U_LOOP}, Stage.FAILED),
        ("trial", "running", {"stage": update.REVERTED, "code": refusals.U_CRASHED}, Stage.REVERTED),
        ("trial", "running", {"stage": update.REVERTED, "code": refusals.U_UNREACHED}, Stage.QUEUED),
        ("active", "halted", {"stage": update.STOPPED}, Stage.QUEUED),
        ("active", "aborted", {"stage": update.STOPPED}, Stage.STOPPED),
        ("trial", "aborted", {"stage": update.STOPPED, "proved": True}, Stage.PROVED),  # it had confirmed before
        ("active", "running", {"stage": update.IDLE, "retired": True}, Stage.REMOVED),
        ("proved", "finished", {"stage": update.REVERTED}, Stage.REVERTED),
        ("proved", "finished", {"stage": update.REVERTED, "seen_s": NOW - 1}, Stage.PROVED),  # from before the proof
        ("proved", "finished", {"stage": update.TRIAL}, Stage.PROVED),
        ("proved", "finished", {"stage": update.CHECKING, "counter": 9, "runs": False}, Stage.PROVED),
        ("failed", "running", {"stage": update.CONFIRMED}, Stage.FAILED),
        ("timed out", "running", {"stage": update.CONFIRMED}, Stage.TIMED_OUT),
    ],
)
def test_reports(before: str, phase: str, said: dict[str, object], after: Stage) -> None:
    one = replace(ON_ITS_WAY, stage=Stage(before), since_s=NOW)
    told = report(one, **{"now_s": NOW, **said})  # type: ignore[arg-type]
    found = applied(PLAN, Phase(phase), one, told, NOW)
    assert found.stage is after
    assert applied(PLAN, Phase(phase), found, told, NOW) == found, "told twice"


def test_the_last_attempt_ends_it_and_puts_it_aside() -> None:
    fleet = world(1, gate=replace(QUICK, success=0), retries=Retries(tries=2, backoff_s=100))
    fleet.says(update.FAILED, "n-1", code=refusals.U_SPACE)
    assert fleet.state.executions["n-1"].failed, "it counts as failed meanwhile"
    assert not fleet.wait(99).actions
    assert fleet.wait(1).actions
    told = fleet.says(update.FAILED, "n-1", code=refusals.U_SPACE)
    assert [one.until_s for one in told.actions if isinstance(one, Quarantine)] == [fleet.now_s + 86400]
    assert fleet.stage("n-1") is Stage.FAILED


def test_a_wave_soaks_after_its_last_proof() -> None:
    fleet = world(2, 1, gate=replace(QUICK, soak_s=900))
    fleet.prove("n-1")
    fleet.wait(600)
    fleet.prove("n-2")
    fleet.wait(899)
    assert fleet.state.rollout.wave == 0
    told = fleet.wait(1)
    assert [one.node for one in told.actions if isinstance(one, Order)] == ["n-3"]
    fleet.prove("n-3")
    assert fleet.phase is Phase.RUNNING, "the last wave soaks, too"
    fleet.wait(900)
    assert fleet.phase is Phase.FINISHED


def test_a_wave_that_cannot_be_good_any_more_halts_at_once() -> None:
    fleet = world(10, 1, gate=replace(QUICK, success=950, sample=100), on_failure=OnFailure.PAUSE)
    fleet.says(update.REVERTED, "n-1", code=refusals.U_CRASHED)
    assert (fleet.phase, fleet.state.rollout.reason) == (
        Phase.HALTED,
        "wave w0: 1 of 10 nodes are lost, 95 % have to succeed",
    )


def test_with_the_careful_defaults_one_failure_by_chance_does_not_halt_and_the_second_of_a_few_does() -> None:
    fleet = world(40, gate=replace(Gate(), soak_s=0), on_failure=OnFailure.PAUSE)
    fleet.says(update.REVERTED, "n-1", code=refusals.U_CRASHED)
    for node in names(2, 20):
        fleet.prove(node)
        assert fleet.phase is Phase.RUNNING, node
    fleet.says(update.REVERTED, "n-21", code=refusals.U_CRASHED)
    assert (fleet.phase, fleet.state.rollout.reason) == (
        Phase.HALTED,
        "2 of 21 executed nodes of wave w0 failed, at most 5 % may",
    )


def test_resume_after_a_halt_accepts_what_was_seen_and_nothing_more() -> None:
    fleet = world(40, gate=Gate(soak_s=0, success=0, failures=50, sample=10), on_failure=OnFailure.PAUSE)
    fleet.prove(*names(10, 18))
    fleet.says(update.REVERTED, "n-1", code=refusals.U_CRASHED)
    assert fleet.phase is Phase.HALTED
    for node in fleet.in_stage(*IN_FLIGHT):
        fleet.says(update.STOPPED, node, counter=fleet.state.executions[node].stop)
    told = fleet.command(Verb.RESUME)
    assert fleet.phase is Phase.RUNNING
    assert fleet.state.rollout.group == 7 * 256 + 2, "what was halted stays so"
    orders = [one.node for one in told.actions if isinstance(one, Order)]
    assert len(orders) == 30
    assert all(fleet.state.executions[node].tries - fleet.state.executions[node].excused == 1 for node in orders)
    fleet.says(update.REVERTED, "n-2", code=refusals.U_CRASHED)
    assert fleet.phase is Phase.HALTED


def test_an_abort_says_who_was_never_touched_and_who_had_confirmed() -> None:
    fleet = world(3, 2)
    fleet.prove("n-1")
    fleet.says(update.INSTALLING, "n-2")
    told = fleet.command(Verb.ABORT)
    assert [type(one) for one in told.actions] == [Halt, Stop, Stop]
    fleet.says(update.STOPPED, "n-2", counter=fleet.state.executions["n-2"].stop)
    fleet.wait(3600, silent=True)
    stages = {node: (one.stage, one.tries) for node, one in fleet.state.executions.items()}
    assert stages == {
        "n-1": (Stage.PROVED, 1),
        "n-2": (Stage.STOPPED, 1),
        "n-3": (Stage.DARK, 1),
        "n-4": (Stage.STOPPED, 0),
        "n-5": (Stage.STOPPED, 0),
    }


def test_whoever_confirms_after_an_undo_is_undone_too() -> None:
    fleet = world(3)
    fleet.prove("n-1")
    told = fleet.command(Verb.UNDO)
    assert [one.nodes for one in told.actions if isinstance(one, Undo)] == [("n-1",)]
    assert fleet.phase is Phase.ABORTED
    stop = fleet.state.executions["n-2"].stop
    told = fleet.says(update.STOPPED, "n-2", counter=stop, proved=True, manifest=NEW, runs=True)
    assert fleet.stage("n-2") is Stage.PROVED
    assert [one.nodes for one in told.actions if isinstance(one, Undo)] == [("n-2",)]


def test_undo_of_a_finished_rollout() -> None:
    fleet = world(2)
    fleet.prove("n-1", "n-2")
    assert fleet.phase is Phase.FINISHED
    told = fleet.command(Verb.UNDO)
    assert [one.nodes for one in told.actions if isinstance(one, Undo)] == [("n-1", "n-2")]
    assert (fleet.phase, fleet.state.rollout.undo) == (Phase.FINISHED, True)


def test_retry_queues_what_failed_and_opens_it_again() -> None:
    fleet = world(2, gate=Gate(soak_s=0, success=0, failures=1000), retries=Retries(tries=1))
    fleet.prove("n-1")
    fleet.says(update.FAILED, "n-2", code=refusals.U_SPACE)
    assert fleet.phase is Phase.FINISHED
    told = fleet.command(Verb.RETRY)
    assert [one.node for one in told.actions if isinstance(one, Order)] == ["n-2"]
    fleet.prove("n-2")
    assert (fleet.phase, fleet.state.rollout.reason) == (Phase.FINISHED, "2 of 2 nodes are proved")


def test_promote_lets_a_wave_pass_that_is_too_small_but_not_one_that_is_bad() -> None:
    fleet = World(calm(), members_of(5, 1))
    fleet.online("n-1", "n-6")
    fleet.command(Verb.START)
    assert not fleet.command(Verb.PROMOTE).notes, "there is nothing to promote yet"
    fleet.prove("n-1")
    assert fleet.state.rollout.wave == 0
    fleet.command(Verb.PROMOTE)
    assert fleet.state.rollout.wave == 1
    bad = world(4, 1, gate=Gate(soak_s=0, success=900, failures=1000), on_failure=OnFailure.PAUSE)
    bad.prove(*names(2, 4))
    bad.says(update.REVERTED, "n-1", code=refusals.U_CRASHED)
    for verb in (Verb.RESUME, Verb.PROMOTE):
        bad.command(verb)
    assert (bad.phase, bad.state.rollout.wave) == (Phase.RUNNING, 0)


def test_stragglers_are_ordered_behind_their_wave() -> None:
    gate = Gate(soak_s=0, presence=500)
    fleet = World(
        calm(waves=(Wave("a", judged=False, gate=gate), Wave("b", judged=False, gate=gate))), members_of(2, 2)
    )
    fleet.online("n-1", "n-3")
    fleet.command(Verb.START)
    fleet.prove("n-1")
    assert fleet.state.rollout.wave == 1
    told = fleet.online("n-2")
    assert [one.node for one in told.actions if isinstance(one, Order)] == ["n-2"]


def test_new_nodes_join_behind_all_others() -> None:
    fleet = world(1, 1, mode=Mode.CONTINUOUS, gate=QUICK)
    fleet.tell(Seen(joined=(member("new-1", 0),)))
    assert fleet.state.executions["new-1"].wave == 1
    fleet.prove("n-1")
    fleet.prove("n-2")
    fleet.online("new-1")
    fleet.prove("new-1")
    assert fleet.phase is Phase.FINISHED
    fleet.tell(Seen(joined=(member("new-2", 0),)))
    assert fleet.phase is Phase.RUNNING


def test_a_newer_rollout_takes_nodes() -> None:
    fleet = world(2)
    fleet.tell(Seen(superseded=frozenset({"n-1"})))
    assert fleet.stage("n-1") is Stage.SUPERSEDED
    fleet.prove("n-2")
    assert fleet.phase is Phase.FINISHED


@pytest.mark.parametrize("how", ["retired", "another order", "a newer rollout"])
def test_a_wave_whose_nodes_are_all_gone_lets_nobody_pass_without_an_operator(how: str) -> None:
    fleet = world(1, 2)
    if how == "a newer rollout":
        fleet.tell(Seen(superseded=frozenset({"n-1"})))
    else:
        order = {"retired": True} if how == "retired" else {"counter": fleet.counter + 9}
        fleet.says(update.DOWNLOADING, "n-1", **order)
    fleet.wait(86400)
    assert fleet.state.rollout.wave == 0, "a canary that is gone proves nothing"
    fleet.command(Verb.PROMOTE)
    assert fleet.in_stage(Stage.ORDERED) == ["n-2", "n-3"]


def test_the_verdict_of_one_wave_is_not_that_of_the_next() -> None:
    waves = tuple(Wave(name, gate=QUICK) for name in "abc")
    fleet = world(1, 1, 1, waves=waves, judging=Judging(enabled=True))
    fleet.prove("n-1")
    fleet.tell(Seen(verdict=Verdict.PROMOTE, evidence=1))
    assert fleet.state.rollout.wave == 1
    fleet.tell(Seen(verdict=Verdict.PROMOTE, evidence=1))
    fleet.prove("n-2")
    assert fleet.state.rollout.wave == 1
    fleet.tell(Seen(verdict=Verdict.PROMOTE, evidence=2))
    assert fleet.state.rollout.wave == 2


def test_a_late_verdict_halts_a_finished_rollout() -> None:
    fleet = world(1, on_failure=OnFailure.UNDO)
    fleet.prove("n-1")
    assert fleet.phase is Phase.FINISHED
    told = fleet.tell(Seen(verdict=Verdict.HALT, why="the heap shrinks"))
    assert [one.nodes for one in told.actions if isinstance(one, Undo)] == [("n-1",)]


@pytest.mark.parametrize("goal", [Goal.CONFIG, Goal.PREVIOUS])
def test_settings_and_the_way_back_take_the_same_way(goal: Goal) -> None:
    fleet = world(1, 2, goal=goal)
    fleet.prove("n-1")
    fleet.prove("n-2", "n-3")
    assert fleet.phase is Phase.FINISHED


def test_settings_restart_nobody() -> None:
    lamps = {"n-1": member("n-1", neighbours=("n-2",)), "n-2": member("n-2", neighbours=("n-1",))}
    fleet = World(calm(goal=Goal.CONFIG, places=Places(measuring=9)), lamps)
    fleet.start()
    assert fleet.in_stage(Stage.ORDERED) == ["n-1", "n-2"]


def test_a_lamp_beside_one_that_went_dark_is_left_alone_until_that_speaks() -> None:
    lamps = {"n-1": member("n-1", neighbours=("n-2",)), "n-2": member("n-2", neighbours=("n-1",))}
    gate = Gate(soak_s=0, success=0, failures=1000)
    fleet = World(calm(places=Places(dark_hours=False), waves=(Wave("all", gate=gate),)), lamps)
    fleet.start()
    (first,) = fleet.in_stage(*IN_FLIGHT)
    fleet.say(Report(first, online=False))
    fleet.wait(3600, silent=True)
    assert fleet.stage(first) is Stage.DARK
    assert fleet.in_stage(*IN_FLIGHT) == []
    fleet.online(first)
    assert len(fleet.in_stage(*IN_FLIGHT)) == 1


def test_a_deadline_counts_open_windows_only() -> None:
    window = Window("0 2 * * *", "UTC", 1800)
    fleet = world(1, switch=window, gate=replace(QUICK, deadline_s=3600))
    order = next(one for one in fleet.log[-1].step.actions if isinstance(one, Order))
    night = NOW + 18 * 3600  # 02:00 UTC
    assert order.switch == (night, night + 1800, night + 86400, night + 86400 + 1800)
    assert order.expires_s == night + 86400 + 1800


def test_no_minute_has_more_orders_than_its_limit_and_a_breath() -> None:
    fleet = world(300, limits=Limits(in_flight=1000, per_minute=60))
    for _ in range(59):
        fleet.wait(1)
    assert 60 <= len(fleet.in_stage(*IN_FLIGHT)) <= 62


def test_what_cannot_be_said_now_is_ignored_and_says_why() -> None:
    fleet = world(1)
    fleet.command(Verb.PAUSE)
    for verb in (Verb.START, Verb.APPROVE, Verb.PAUSE):
        assert refusal(fleet.plan, fleet.state, Command(verb, "me"), NOW).startswith("a rollout that is paused cannot")
        assert not fleet.command(verb).notes
    assert refusal(fleet.plan, fleet.state, Command(Verb.RETRY, "me"), NOW) == "there is nothing to try again"


def test_the_careful_defaults() -> None:
    gate, wave = Gate(), Plan("x").waves[0]
    assert (wave.count, wave.share, gate.success, gate.failures, gate.soak_s) == (1, 10, 950, 50, 900)
    assert (Retries().tries, Retries().burst, Retries().burst_s, Retries().quarantine_s) == (3, 5, 180, 86400)
