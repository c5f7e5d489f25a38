"""What users of other systems that roll updates out complain about, and how this engine does it right.

Listed with the traps in `test_rollout_traps.py`.
"""

from dataclasses import replace

from fleet.model import Kind
from fleet.rollout import commands
from fleet.rollout.model import ENDED, IN_FLIGHT, Command, Order, Phase, Quarantine, Seen, Stage, Step, Verb
from fleet.rollout.plan import Limits, OnFailure, Places
from fleet.rollout.step import step
from fleet.tests.rollout_world import BERLIN, NOW, OTHER, QUICK, World, calm, member, members_of, world
from protocol import refusals, update


def test_hawkbit_952_cancel_needs_the_consent_of_the_device() -> None:
    """Actions that are stuck in CANCELING block a device for good. Here an abort is final at once."""
    fleet = world(2)
    fleet.command(Verb.ABORT)
    assert fleet.phase is Phase.ABORTED
    fleet.wait(3600, silent=True)
    assert {fleet.stage(node) for node in fleet.members} == {Stage.DARK}


def test_hawkbit_735_finished_at_once_with_nothing_done() -> None:
    fleet = World(calm(expires_s=3600), members_of(3))
    fleet.command(Verb.START)
    fleet.wait(3600)
    assert (fleet.phase, fleet.state.rollout.reason) == (Phase.ABORTED, "no node has proved it")


def test_thingsboard_10191_power_cut_is_not_tried_again() -> None:
    fleet = world(1, gate=replace(QUICK, success=0))
    fleet.says(update.REVERTED, "n-1", code=refusals.U_POWER)
    assert fleet.stage("n-1") is Stage.QUEUED
    assert fleet.wait(299).actions == ()
    assert isinstance(fleet.wait(1).actions[0], Order)


def test_aws_137_server_says_failed_and_the_device_was_updated() -> None:
    fleet = world(2, gate=replace(QUICK, success=0, failures=1000))
    fleet.prove("n-2")
    fleet.wait(3600, silent=True)
    fleet.prove("n-1")
    assert fleet.stage("n-1") is Stage.DARK, "it was too late, and that stays"
    assert fleet.state.executions["n-1"].late, "but it is known that it runs"


def test_esphome_3380_offline_devices_stop_all_others() -> None:
    fleet = World(calm(), members_of(3))
    fleet.online("n-2", "n-3")
    fleet.command(Verb.START)
    assert fleet.in_stage(*IN_FLIGHT) == ["n-2", "n-3"]
    fleet.prove("n-2", "n-3")
    assert [one.node for one in fleet.online("n-1").actions if isinstance(one, Order)] == ["n-1"], "when it is seen"


def test_nerveshub_418_update_loops() -> None:
    """Three tries, or five in 180 s, then nobody orders it for a day."""
    fleet = world(1, 1, gate=replace(QUICK, success=0))
    for _ in range(3):
        told = fleet.says(update.FAILED, "n-1", code=refusals.U_STORAGE)
        fleet.wait(1200)
    assert fleet.stage("n-1") is Stage.FAILED
    assert next(one for one in told.actions if isinstance(one, Quarantine)).until_s == fleet.now_s - 1200 + 86400


def test_nerveshub_202_a_lost_broadcast_is_a_lost_update() -> None:
    """Whatever got lost, the newest word of a node says all."""
    fleet = world(1)
    fleet.prove("n-1")  # nothing before it ever arrived
    assert fleet.phase is Phase.FINISHED


def test_trmnl_476_failures_are_inferred_after_days() -> None:
    fleet = world(1, gate=replace(QUICK, deadline_s=600))
    fleet.wait(600, silent=True)
    assert fleet.stage("n-1") is Stage.DARK


def test_mikrotik_140_restart_strands_devices() -> None:
    """Nothing is in memory: the state is a value, and the decision a function of it."""
    fleet = world(5, limits=Limits(in_flight=2))
    fleet.prove(*fleet.in_stage(*IN_FLIGHT))
    fleet.replay()
    seen = Seen()
    assert step(fleet.plan, fleet.members, fleet.state, seen, fleet.now_s) == Step(fleet.state.rollout)


def test_balena_1165_thundering_herd() -> None:
    fleet = world(200, limits=Limits(in_flight=1000, per_minute=60_000, jitter_s=100))
    first = len(fleet.in_stage(*IN_FLIGHT))
    for _ in range(50):
        fleet.wait(1)
    half = len(fleet.in_stage(*IN_FLIGHT))
    for _ in range(50):
        fleet.wait(1)
    assert first < 20
    assert 60 < half < 140
    assert len(fleet.in_stage(*IN_FLIGHT)) == 200


def test_flightctl_knows_no_neighbours_and_no_sun() -> None:
    """Never two lamps beside each other, and none at night."""
    places = {"lat_udeg": BERLIN[0], "lon_udeg": BERLIN[1]}
    lamps = {
        "n-1": member("n-1", 0, Kind.LIGHT, neighbours=("n-2",), **places),
        "n-2": member("n-2", 0, Kind.LIGHT, neighbours=("n-1", "n-3"), **places),
        "n-3": member("n-3", 0, Kind.LIGHT, neighbours=("n-2",), **places),
    }
    fleet = World(calm(places=Places()), dict(lamps), now_s=NOW + 12 * 3600)  # 20:00 UTC in January
    fleet.start()
    flying = fleet.in_stage(*IN_FLIGHT)
    assert flying in (["n-1", "n-3"], ["n-2"])
    orders = [one for one in fleet.log[-1].step.actions if isinstance(one, Order)]
    assert all(one.switch[0] > NOW + 22 * 3600 for one in orders), (
        "not before the sun is up in Berlin, at about 07:00 UTC"
    )


def test_somebody_elses_order_is_taken_for_ours() -> None:
    fleet = world(1)
    fleet.says(update.CONFIRMED, "n-1", counter=99, manifest=OTHER, runs=False, proved=False)
    assert fleet.stage("n-1") is Stage.SUPERSEDED


def test_a_forged_number_takes_a_node_out() -> None:
    """Anybody who can write on the broker makes a node refuse a number; that says nothing about its order."""
    fleet = world(1)
    fleet.says(update.REFUSED, "n-1", counter=99, code=refusals.U_CAMPAIGN_FORGED)
    assert fleet.stage("n-1") is Stage.ORDERED


def test_every_end_is_an_end() -> None:
    """What nobody resumes is over some day, too: no rollout is open for ever."""
    fleet = world(3, on_failure=OnFailure.PAUSE, gate=replace(QUICK, failures_max=1, success=0))
    fleet.says(update.REVERTED, "n-1", "n-2", code=refusals.U_CRASHED)
    assert fleet.phase is Phase.HALTED
    fleet.wait(8 * 86400)
    fleet.wait(1)
    assert fleet.phase is Phase.ABORTED
    assert all(one.stage in ENDED for one in fleet.state.executions.values())
    assert commands.refusal(fleet.plan, fleet.state, Command(Verb.RESUME, "me"), fleet.now_s)
