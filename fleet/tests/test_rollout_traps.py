"""What is known to go wrong in other systems that roll updates out, and how this engine does it right.

One test for each finding, named after it; `TRAPS` lists them all, with what users complain about
(`test_rollout_complaints.py`). Some show where the thing is decided elsewhere:

    statuses of nodes        fleet/store/intake.py: one row for each node, whatever it says how often
    windows on the node      firmware/node/core/update/parts.py; here: that an order carries them
    confirmation             firmware/node/tasks/upkeep.py; here: that nothing else counts
    selection and versions   fleet/selection.py, fleet/campaigns.py
"""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from fleet import selection
from fleet.rollout import gates, wire
from fleet.rollout.model import (
    IN_FLIGHT,
    Halt,
    Order,
    Phase,
    Report,
    Seen,
    Stage,
    Step,
    Stop,
    Undo,
    Verb,
    Verdict,
)
from fleet.rollout.plan import Gate, Judging, Limits, Mode, OnFailure, Retries, Wave, Window
from fleet.rollout.step import due
from fleet.store import schema
from fleet.tests.rollout_world import NEW, NOW, OLD, QUICK, World, calm, member, members_of, names, world
from protocol import refusals, update

# -- the ten findings --


def test_hawkbit_emergency_stop_stops_nobody_in_flight() -> None:
    """Its error action pauses the rollout, and the running group is completed."""
    fleet = world(10, 5, gate=replace(QUICK, sample=1), on_failure=OnFailure.PAUSE)
    told = fleet.says(update.FAILED, "n-1", code=refusals.U_LOOP)
    assert fleet.phase is Phase.HALTED
    assert {one.node for one in told.actions if isinstance(one, Stop)} == set(names(2, 10)), (
        "every one of them, at once"
    )
    assert [one.group for one in told.actions if isinstance(one, Halt)] == [7 * 256 + 1], "by one message, too"
    for node in names(2, 10):
        fleet.says(update.STOPPED, node, counter=fleet.state.executions[node].stop)
    assert fleet.in_stage(*IN_FLIGHT) == []


def test_hawkbit_advances_below_threshold() -> None:
    """A group that is over begins the next one, however few of it succeeded."""
    gate = replace(QUICK, success=900, failures=200, sample=10)
    fleet = world(20, 5, gate=gate)
    fleet.says(update.REVERTED, *names(1, 3), code=refusals.U_CRASHED)  # 15 %: below the ceiling of failures
    fleet.prove(*(node for node in names(4, 20) if fleet.stage(node) in IN_FLIGHT))
    assert fleet.state.rollout.wave == 0
    assert fleet.phase in (Phase.HALTED, Phase.ABORTED)
    assert not any(fleet.state.executions[node].tries for node in names(21, 25))


def test_hawkbit_and_mender_silence_is_no_failure() -> None:
    """hawkBit 693, thingsboard 5674: a device that dies stays "proceeding" for ever."""
    fleet = world(1, 5, on_failure=OnFailure.PAUSE)
    assert due(fleet.plan, fleet.state, NOW + 3600) == {"n-1"}
    fleet.wait(3599)
    assert fleet.stage("n-1") is Stage.ORDERED
    fleet.wait(1, silent=True)
    assert (fleet.stage("n-1"), fleet.phase) == (Stage.DARK, Phase.HALTED)


def test_hawkbit_3185_success_is_not_a_claim() -> None:
    """A rollout finishes while nothing has booted the new image, and a fallback is never seen."""
    fleet = world(1)
    fleet.says(update.CONFIRMED, "n-1", proved=False)
    fleet.wait(3500)
    assert (fleet.stage("n-1"), fleet.phase) == (Stage.TRIAL, Phase.RUNNING), "its word is no proof"
    fleet.prove("n-1")
    assert fleet.phase is Phase.FINISHED
    fleet.now_s += 60
    told = fleet.says(update.REVERTED, "n-1", code=refusals.U_CRASHED)
    assert fleet.stage("n-1") is Stage.REVERTED
    assert fleet.phase is not Phase.FINISHED, "a fallback afterwards opens it again"
    assert "open again" in told.notes[0]


def test_hawkbit_3185_what_runs_beats_what_was_said() -> None:
    fleet = world(1)
    fleet.prove("n-1")
    fleet.now_s += 60
    fleet.says(update.CONFIRMED, "n-1", manifest=OLD, runs=False)
    assert fleet.stage("n-1") is Stage.REVERTED


def test_mender_phases_have_no_gate() -> None:
    """Time and percent alone begin the next phase."""
    fleet = world(2, 5)
    fleet.prove("n-1")
    for _ in range(20):
        fleet.wait(60)
    assert fleet.state.rollout.wave == 0, "time begins nothing"
    fleet.prove("n-2")
    assert fleet.state.rollout.wave == 1


def test_mender_micro_takes_anything_that_is_offered() -> None:
    """No signature check on ESP32. Here a plan names digests, and its hash changes with every byte of them."""
    plan = calm()
    assert wire.encode(plan) != wire.encode(replace(plan, force=True))
    assert Step.__dataclass_fields__.keys() == {"rollout", "changed", "actions", "notes"}
    assert Order.__dataclass_fields__.keys() == {"node", "expires_s", "fetch", "switch"}, "an order brings no program"


def test_aws_cancel_reaches_queued_only() -> None:
    """IN_PROGRESS goes on unless it is forced, QUEUED never times out, and there is no pause."""
    fleet = world(3)
    fleet.says(update.DOWNLOADING, "n-1")
    fleet.says(update.TRIAL, "n-2")
    told = fleet.command(Verb.ABORT)
    assert {one.node for one in told.actions if isinstance(one, Stop)} == {"n-1", "n-2", "n-3"}


def test_aws_queued_never_times_out() -> None:
    fleet = World(calm(expires_s=86400), members_of(2))
    fleet.online("n-1")
    fleet.command(Verb.START)
    fleet.prove("n-1")
    fleet.wait(86399)
    assert fleet.stage("n-2") is Stage.QUEUED
    fleet.wait(1)
    assert fleet.stage("n-2") is Stage.DARK
    assert fleet.phase is Phase.FINISHED


def test_aws_has_no_pause() -> None:
    fleet = world(2, limits=Limits(in_flight=1))
    flying = fleet.in_stage(*IN_FLIGHT)
    assert not [one for one in fleet.command(Verb.PAUSE).actions if isinstance(one, Stop)], "what is under way goes on"
    assert not fleet.prove(*flying).actions, "and nothing new begins"
    assert fleet.command(Verb.RESUME).actions


def test_nobody_gates_on_telemetry() -> None:
    waves = (Wave("canary", gate=QUICK), Wave("rest", judged=False))
    fleet = world(1, 5, waves=waves, judging=Judging(enabled=True))
    fleet.prove("n-1")
    fleet.wait(86400)
    assert fleet.state.rollout.wave == 0, "without a word of the telemetry nothing goes on"
    fleet.tell(Seen(verdict=Verdict.HALT, evidence=4, why="half of its records are missing"))
    assert fleet.phase is Phase.ABORTED
    assert fleet.state.rollout.evidence == 4
    assert all(fleet.state.executions[node].tries == 0 for node in names(2, 6)), "the rest was never touched"


def test_nerveshub_threshold_that_nobody_reads() -> None:
    """Every number of a gate decides something: one step past it, and the same rollout halts."""
    cases = {
        "failures": (
            Gate(soak_s=0, failures=100, sample=10, success=0),
            Gate(soak_s=0, failures=99, sample=10, success=0),
        ),
        "sample": (Gate(soak_s=0, failures=0, sample=11, success=0), Gate(soak_s=0, failures=0, sample=10, success=0)),
        "failures_max": (
            Gate(soak_s=0, failures=1000, failures_max=1, success=0),
            Gate(soak_s=0, failures=50, sample=99, failures_max=1, success=0),
        ),
    }
    for name, (mild, strict) in cases.items():
        bad = 2 if name == "failures_max" else 1
        halted = []
        for gate in (replace(mild, failures_max=2) if name == "failures_max" else mild, strict):
            fleet = world(10, 5, gate=gate)
            fleet.prove(*names(bad + 1, 10))
            fleet.says(update.REVERTED, *names(1, bad), code=refusals.U_CRASHED)
            halted.append(fleet.phase is Phase.ABORTED)
        assert halted == [False, True], name


def test_no_micropython_updater_reports_back() -> None:
    """Every node has an end of its own kind, and the ends are counted apart."""
    fleet = world(6, gate=replace(QUICK, sample=100, success=0), retries=Retries(tries=1))
    fleet.prove("n-1")
    fleet.says(update.FAILED, "n-2", code=refusals.U_SPACE)
    fleet.says(update.REFUSED, "n-3", code=refusals.U_BOARD)
    fleet.says(update.REVERTED, "n-4", code=refusals.U_HUNG)
    fleet.says(update.DOWNLOADING, "n-5")
    fleet.say(Report("n-6", online=False))
    fleet.wait(3600)
    _, total = gates.counted(fleet.state.executions.values(), 1)
    ends = (total.proved, total.failed, total.rejected, total.reverted, total.timed_out, total.dark)
    assert ends == (1, 1, 1, 1, 1, 1)


# -- traps --


def test_hawkbit_and_edgehog_divide_by_total() -> None:
    """With a slow wave a ceiling over all its nodes reacts when it is too late."""
    gate = Gate(soak_s=0, failures=200, sample=10, success=0)
    fleet = world(100, gate=gate, limits=Limits(in_flight=10))
    for at in range(10):
        node = fleet.in_stage(*IN_FLIGHT)[0]
        if at < 3:
            fleet.says(update.REVERTED, node, code=refusals.U_CRASHED)
        else:
            fleet.prove(node)
    assert fleet.phase is Phase.ABORTED, "3 of 10 executed are 30 %, though they are 3 % of all"


def test_a_ceiling_without_a_sample_halts_on_the_first_failure() -> None:
    gate = Gate(soak_s=0, failures=50, sample=10, success=0)
    fleet = world(30, gate=gate)
    fleet.says(update.REVERTED, "n-1", code=refusals.U_CRASHED)
    assert fleet.phase is Phase.RUNNING, "1 of 1 is 100 %, and says nothing"


def test_a_share_alone_lets_many_fail_in_a_large_fleet() -> None:
    gate = Gate(soak_s=0, failures=1000, failures_max=3, success=0)
    fleet = world(1000, gate=gate)
    fleet.says(update.REVERTED, *names(1, 4), code=refusals.U_CRASHED)
    assert fleet.phase is Phase.ABORTED


def test_already_installed_counts_as_failed() -> None:
    """A node that runs it already confirms at once, with a proof."""
    fleet = world(1)
    fleet.prove("n-1")
    assert fleet.stage("n-1") is Stage.PROVED


def test_rejected_by_the_node_counts_as_failed() -> None:
    """NervesHub 665: whoever declines looks like whoever fails."""
    fleet = world(20, gate=Gate(soak_s=0, failures=0, sample=1, success=0))
    fleet.says(update.REFUSED, "n-1", code=refusals.U_BOARD)
    assert (fleet.stage("n-1"), fleet.phase) == (Stage.REJECTED, Phase.RUNNING)


def test_removed_from_the_fleet_counts_as_failed() -> None:
    fleet = world(2, gate=Gate(soak_s=0, failures=0, sample=1))
    fleet.says(update.DOWNLOADING, "n-1", retired=True)
    fleet.prove("n-2")
    assert (fleet.stage("n-1"), fleet.phase) == (Stage.REMOVED, Phase.FINISHED)


def test_hawkbit_recounts_when_a_device_is_deleted() -> None:
    """The denominator moves. Here a wave is of the nodes of its plan; who leaves is in no number but its own."""
    fleet = world(10, 1, gate=Gate(soak_s=0, success=0, presence=500, failures=1000))
    before = gates.counted(fleet.state.executions.values(), 2)[0][0]
    fleet.says(update.CHECKING, *names(1, 5), retired=True)
    after = gates.counted(fleet.state.executions.values(), 2)[0][0]
    assert (before.members, after.members, after.removed, after.executed) == (10, 5, 5, 0)
    assert fleet.state.rollout.wave == 0, "nobody has been executed by that"


def test_aws_resets_retries_when_a_device_rejoins() -> None:
    fleet = world(1, mode=Mode.CONTINUOUS, gate=replace(QUICK, success=0))
    fleet.says(update.FAILED, "n-1", code=refusals.U_STORAGE)
    fleet.tell(Seen(joined=(member("n-1"),)))
    assert fleet.state.executions["n-1"].tries == 1


def test_hawkbit_1249_status_flood() -> None:
    """A row for each percent, until a quota stops the end from being stored. Here a node has one row, and progress
    inside a stage changes nothing."""
    assert [column.name for column in schema.node_update.primary_key] == ["node"]
    fleet = world(1)
    assert fleet.says(update.DOWNLOADING, "n-1").changed
    for _ in range(100):
        fleet.now_s += 1
        assert fleet.says(update.DOWNLOADING, "n-1").changed == ()


def test_aws_rate_does_not_apply_to_late_joiners() -> None:
    fleet = world(1, mode=Mode.CONTINUOUS, limits=Limits(in_flight=100, per_minute=60))
    fleet.prove("n-1")
    fleet.tell(Seen(joined=tuple(member(f"late-{at}") for at in range(50))))
    told = fleet.online()
    assert len([one for one in told.actions if isinstance(one, Order)]) <= 2
    assert len(fleet.wait(1).actions) == 1


def test_confirmed_too_early_or_never() -> None:
    """The most common mistake on ESP32. A trial is no success, and one without an end has a deadline."""
    fleet = world(2)
    fleet.says(update.TRIAL, "n-1", runs=True, manifest=NEW)
    assert fleet.stage("n-1") is Stage.TRIAL
    fleet.wait(3600)
    assert fleet.stage("n-1") is Stage.TIMED_OUT


def test_window_checked_on_the_server_only() -> None:
    """A node that got its order at 04:59 restarts its lamp at 05:10. Here the order itself says when."""
    window = Window("0 2 * * *", "Europe/Berlin", 3 * 3600)
    fleet = world(1, switch=window, gate=replace(QUICK, deadline_s=7200))
    one = fleet.state.executions["n-1"]
    order = next(action for action in fleet.log[-1].step.actions if isinstance(action, Order))
    assert len(order.switch) % 2 == 0
    assert order.switch[0] == NOW + 17 * 3600, "02:00 in Berlin, 01:00 UTC, of the next night"
    assert order.expires_s == one.deadline_s == order.switch[-1] == order.switch[0] + 7200


def test_versions_compared_as_text() -> None:
    """ "10" < "9", and changed instead of newer."""
    older = selection.parse("version<1.10.0")
    assert selection.matches(older, {"version": "1.9.0"})
    assert not selection.matches(older, {"version": "1.11.0"})


@pytest.mark.parametrize("action", list(OnFailure))
def test_exactly_one_error_action(action: OnFailure) -> None:
    fleet = world(2, 3, on_failure=action, gate=Gate(soak_s=0, success=0, failures=0, sample=2))
    fleet.prove("n-1")
    told = fleet.says(update.REVERTED, "n-2", code=refusals.U_CRASHED)
    assert fleet.phase is (Phase.HALTED if action is OnFailure.PAUSE else Phase.ABORTED)
    undone = [one.nodes for one in told.actions if isinstance(one, Undo)]
    assert undone == ([("n-1",)] if action is OnFailure.UNDO else [])


TRAPS = {
    "0.1 the emergency stop completes the running group": "test_hawkbit_emergency_stop_stops_nobody_in_flight",
    "0.2 a wave below its threshold advances": "test_hawkbit_advances_below_threshold",
    "0.3 silence is never a failure": "test_hawkbit_and_mender_silence_is_no_failure",
    "0.4 success is a claim": "test_hawkbit_3185_success_is_not_a_claim",
    "0.4 a fallback is never noticed": "test_hawkbit_3185_what_runs_beats_what_was_said",
    "0.5 phases without a gate": "test_mender_phases_have_no_gate",
    "0.6 nothing is signed on ESP32": "test_mender_micro_takes_anything_that_is_offered",
    "0.7 an abort cancels what is queued only": "test_aws_cancel_reaches_queued_only",
    "0.7 what is queued never times out": "test_aws_queued_never_times_out",
    "0.7 no pause": "test_aws_has_no_pause",
    "0.8 no gate on telemetry": "test_nobody_gates_on_telemetry",
    "0.9 a threshold that no code reads": "test_nerveshub_threshold_that_nobody_reads",
    "0.10 no status report": "test_no_micropython_updater_reports_back",
    "5C thresholds over total": "test_hawkbit_and_edgehog_divide_by_total",
    "5C thresholds without a minimum": "test_a_ceiling_without_a_sample_halts_on_the_first_failure",
    "5C thresholds without an absolute cap": "test_a_share_alone_lets_many_fail_in_a_large_fleet",
    "5C already installed is failed": "test_already_installed_counts_as_failed",
    "5C rejected is failed": "test_rejected_by_the_node_counts_as_failed",
    "5C removed is failed": "test_removed_from_the_fleet_counts_as_failed",
    "5C a deleted device changes the denominator": "test_hawkbit_recounts_when_a_device_is_deleted",
    "5C a device that rejoins has all its retries": "test_aws_resets_retries_when_a_device_rejoins",
    "5C status flood": "test_hawkbit_1249_status_flood",
    "5C no rate for late joiners": "test_aws_rate_does_not_apply_to_late_joiners",
    "5C confirmed too early or never": "test_confirmed_too_early_or_never",
    "5C windows on the server only": "test_window_checked_on_the_server_only",
    "5C versions as text": "test_versions_compared_as_text",
    "5C one error action": "test_exactly_one_error_action",
    "3.1 a device that dies stays proceeding": "test_hawkbit_and_mender_silence_is_no_failure",
    "3.3 cancel needs consent": "test_hawkbit_952_cancel_needs_the_consent_of_the_device",
    "3.6 finished with nothing done": "test_hawkbit_735_finished_at_once_with_nothing_done",
    "3.7 a power cut is not tried again": "test_thingsboard_10191_power_cut_is_not_tried_again",
    "3.8 failed on the server, updated on the device": "test_aws_137_server_says_failed_and_the_device_was_updated",
    "3.10 offline devices stop all others": "test_esphome_3380_offline_devices_stop_all_others",
    "3.13 update loops": "test_nerveshub_418_update_loops",
    "3.13 a lost broadcast": "test_nerveshub_202_a_lost_broadcast_is_a_lost_update",
    "3.14 inferred after days": "test_trmnl_476_failures_are_inferred_after_days",
    "3.16 a restart strands devices": "test_mikrotik_140_restart_strands_devices",
    "3.19 thundering herd": "test_balena_1165_thundering_herd",
    "5B.7 neighbours and the sun": "test_flightctl_knows_no_neighbours_and_no_sun",
}


def test_no_trap_is_forgotten() -> None:
    assert {key.split()[0] for key in TRAPS} >= {f"0.{at}" for at in range(1, 11)} | {"5C"}
    assert len([key for key in TRAPS if key.startswith("5C")]) == 14
    here = Path(__file__)
    source = here.read_text() + (here.parent / "test_rollout_complaints.py").read_text()
    for test in TRAPS.values():
        assert re.search(rf"^def {test}\(", source, re.MULTILINE), test
