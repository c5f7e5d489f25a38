"""Why a node is not ordered: every reason that the engine has, in words, with the time at which it is over."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from fleet.model import Kind
from fleet.rollout.holds import why_not
from fleet.rollout.model import Command, Hold, Report, Seen, Verb
from fleet.rollout.plan import Judging, Limits, Places, Wave, Window
from fleet.tests.rollout_world import BERLIN, NOW, QUICK, World, calm, member, members_of
from protocol import refusals, update

SOAK = replace(QUICK, soak_s=900)
CANARY = (Wave("canary", judged=False, gate=SOAK), Wave("rest", judged=False, gate=QUICK))
PLACE = {"lat_udeg": BERLIN[0], "lon_udeg": BERLIN[1]}
START = Command(Verb.START, "me")
Case = tuple[World, str, Seen]


def started(*waves: int, **more: object) -> World:
    world = World(calm(**more), members_of(*waves))
    world.start()
    return world


def told(*verbs: Verb) -> Case:
    world = World(calm(limits=Limits(1)), members_of(3))
    world.online()
    for verb in verbs:
        world.command(verb)
    waiting = [node for node, one in world.state.executions.items() if not one.counter]
    return world, waiting[0] if waiting else "n-1", Seen()


def soaking() -> Case:
    world = started(1, 1, waves=CANARY)
    world.prove("n-1")
    return world, "n-2", Seen()


def judged() -> Case:
    waves = (Wave("canary", gate=QUICK), Wave("rest", gate=QUICK))
    world = started(1, 1, waves=waves, judging=Judging(enabled=True))
    world.prove("n-1")
    return world, "n-2", Seen()


def backing_off() -> Case:
    world = started(1, waves=(Wave("all", gate=replace(QUICK, success=0)),))
    world.says(update.FAILED, "n-1", code=refusals.U_STORAGE)
    return world, "n-1", Seen()


def away() -> Case:
    world = World(calm(), members_of(2))
    world.online("n-1")
    world.command(Verb.START)
    return world, "n-2", Seen()


def held(seen: Seen, **more: object) -> Case:
    """One node that nothing held until `seen`, which is true from the beginning."""
    world = World(calm(**more), {"n-1": member("n-1", 0, Kind.LIGHT, **PLACE)})
    world.tell(replace(seen, reports=(Report("n-1", online=True, seen_s=NOW),)))
    world.tell(replace(seen, command=START))
    return world, "n-1", seen


def beside() -> Case:
    lamps = {"n-1": member("n-1", 0, Kind.LIGHT, neighbours=("n-2",)), "n-2": member("n-2", 0, Kind.LIGHT)}
    world = World(calm(places=Places(dark_hours=False)), lamps)
    world.start()
    return world, next(node for node in lamps if not world.state.executions[node].counter), Seen()


def district() -> Case:
    world = World(calm(places=Places(measuring=2)), {"n-1": member("n-1", district="mitte")})
    seen = Seen(measuring={"mitte": 2})
    world.online()
    world.tell(replace(seen, command=START))
    return world, "n-1", seen


def limited(**limits: int) -> Case:
    world = started(50, limits=Limits(**{"in_flight": 100, "per_minute": 60_000, **limits}))
    waiting = [node for node, one in world.state.executions.items() if not one.counter]
    return world, waiting[0], Seen()


AT_02 = Window("0 2 * * *", "Europe/Berlin", 3600)  # in the dark, but in midsummer

CASES: dict[Hold, tuple[Callable[[], Case], str, int]] = {
    Hold.DRAFT: (told, "the rollout has not started", 0),
    Hold.PAUSED: (lambda: told(Verb.START, Verb.PAUSE), "the rollout is paused: a test", 0),
    Hold.HALTED: (lambda: told(Verb.START, Verb.HALT), "the rollout is halted: a test", 0),
    Hold.WAVE: (soaking, "its wave is rest, and canary is under way", 0),
    Hold.SOAK: (soaking, "wave canary soaks until Fri 2027-01-15 08:15 UTC", NOW + 900),
    Hold.THRESHOLD: (
        lambda: (started(5, 1), "n-6", Seen()),
        "0 of 5 nodes of wave first were executed, 80 % have to be",
        0,
    ),
    Hold.VERDICT: (judged, "the telemetry of wave canary has not spoken for it", 0),
    Hold.QUARANTINE: (
        lambda: held(Seen(quarantined={"n-1": NOW + 7200})),
        "it failed too often, and is left alone until Fri 2027-01-15 10:00 UTC",
        NOW + 7200,
    ),
    Hold.BACKOFF: (backing_off, "attempt 1 failed, the next one is at Fri 2027-01-15 08:05 UTC", NOW + 300),
    Hold.OTHER_ROLLOUT: (lambda: held(Seen(taken=frozenset({"n-1"}))), "an earlier rollout has not done with it", 0),
    Hold.OFFLINE: (away, "it is offline; it is ordered when it is seen, until Fri 2027-01-22 08:00 UTC", 0),
    Hold.DOWNLOAD_WINDOW: (
        lambda: held(Seen(), download=AT_02),
        "the download window opens Sat 2027-01-16 02:00 Europe/Berlin",
        NOW + 17 * 3600,
    ),
    Hold.SWITCH_WINDOW: (
        lambda: held(Seen(), switch=AT_02, expires_s=3600),
        "the switch window opens Sat 2027-01-16 02:00 Europe/Berlin",
        NOW + 17 * 3600,
    ),
    Hold.DAYLIGHT: (
        lambda: held(Seen(), switch=AT_02, places=Places()),
        "it is dark there whenever the switch window is open",
        0,
    ),
    Hold.NEIGHBOUR: (beside, "its neighbour n-{} is under way", 0),
    Hold.DISTRICT: (district, "2 stations of district mitte measure, 2 have to go on", 0),
    Hold.JITTER: (lambda: limited(jitter_s=3600), "its turn comes at Fri 2027-01-15 {} UTC", -1),
    Hold.RATE: (lambda: limited(per_minute=6), "6 orders a minute may be made", NOW + 10),
    Hold.IN_FLIGHT: (lambda: limited(in_flight=3), "3 of 3 that may be under way are", 0),
}


@pytest.mark.parametrize("hold", CASES, ids=lambda hold: hold.value)
def test_reason(hold: Hold) -> None:
    make, text, expected_s = CASES[hold]
    world, node, seen = make()
    found = why_not(world.plan, world.members, world.state, node, seen, world.now_s)
    reasons = {reason.hold: reason for reason in found}
    assert hold in reasons, found
    begin, _, end = text.partition("{}")
    assert reasons[hold].text.startswith(begin)
    assert reasons[hold].text.endswith(end)
    assert reasons[hold].expected_s == expected_s or expected_s == -1


def test_an_aborted_rollout_holds_nobody_for_it_ends_everybody() -> None:
    world, node, seen = told(Verb.START, Verb.ABORT)
    assert why_not(world.plan, world.members, world.state, node, seen, world.now_s)[0].hold is Hold.ENDED


def test_every_hold_has_a_case() -> None:
    beyond = {Hold.ENDED, Hold.APPROVAL}  # shown above; and known to the fleet's configuration only
    assert set(Hold) - set(CASES) == beyond


def test_the_reasons_come_in_the_order_of_hold() -> None:
    world = World(calm(limits=Limits(1)), members_of(2, 2))
    world.online("n-1")
    world.command(Verb.START)
    seen = Seen(taken=frozenset({"n-4"}), quarantined={"n-4": NOW + 60})
    found = [one.hold for one in why_not(world.plan, world.members, world.state, "n-4", seen, world.now_s)]
    assert found == [Hold.WAVE, Hold.THRESHOLD, Hold.QUARANTINE, Hold.OTHER_ROLLOUT, Hold.OFFLINE, Hold.IN_FLIGHT]
    assert found == sorted(found, key=list(Hold).index)
