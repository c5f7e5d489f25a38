"""Planning: who takes part, who does not and why, what it costs, and when a plan is not what it was."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fleet.errors import NotAllowedError, NotFoundError, UsageError
from fleet.model import Kind, Standing
from fleet.releases.archive import Archive
from fleet.rollout import draft
from fleet.rollout.draft import PlanError
from fleet.rollout.plan import Mode, Overlap
from fleet.rollouts import cost, places, planning
from fleet.rollouts.planning import Planned
from fleet.selection import SelectionError
from fleet.tests.plan_rig import AIR, LAMPS, NOW_S, Desk, opened, start
from protocol import update


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with opened(tmp_path) as found:
        yield found


def canary(found: Planned) -> list[str]:
    return [node for node, one in found.members.items() if one.wave == 0]


def test_a_release_is_for_every_node_of_its_product(desk: Desk) -> None:
    found = desk.plan()
    assert list(found.members) == list(AIR)
    assert not found.skipped
    assert Counter(one.wave for one in found.members.values()) == {0: 1, 1: 3}
    assert {one.before for one in found.members.values()} == {desk.releases["air-1.4.0"].manifest}
    assert found.members["air-1"].district == "m1"


def test_two_products_are_one_rollout(desk: Desk) -> None:
    found = desk.plan(releases=["air-1.5.0", "light-1.5.0"])
    assert list(found.members) == [*AIR, *LAMPS]
    assert [target.product for target in found.plan.targets] == [Kind.AIR, Kind.LIGHT]


def test_nodes_are_chosen_by_selection_or_by_name(desk: Desk) -> None:
    assert list(desk.plan(where="site=mitte and kind=air").members) == ["air-1", "air-2"]
    assert list(desk.plan(nodes=["air-4", "air-2"]).members) == ["air-2", "air-4"]
    with pytest.raises(NotFoundError, match="no node air-9"):
        desk.plan(nodes=["air-9"])
    with pytest.raises(SelectionError, match="no node has 'sit'"):
        desk.plan(where="sit=mitte")


def test_who_is_selected_and_needs_another_release_is_told_so(desk: Desk) -> None:
    assert desk.skipped(where="site=mitte") == dict.fromkeys(LAMPS, "the rollout has no release for light")


REASONS: dict[str, tuple[Mapping[str, Any], str]] = {
    "it runs that already": ({"runs": "air-1.5.0"}, "it runs that already"),
    "it runs a newer one that was published": ({"runs": "air-1.6.0"}, "it runs air-1.6.0, which is newer"),
    "it runs a newer one that nobody published, by version and not by text": (
        {"version": "1.10.0"},
        "it runs version 1.10.0, which is newer",
    ),
    "its floor is above the release": ({"runs": "air-1.4.0", "floor": 12}, "older than the node's security floor"),
    "it was provisioned without a root": ({"runs": "air-1.4.0", "root": 0}, "provisioned without a root"),
    "it failed on it before": (
        {"runs": "air-1.4.0", "stage": update.REVERTED, "reverted": True},
        "failed on this node",
    ),
}


@pytest.mark.parametrize("case", REASONS)
def test_what_a_node_would_refuse_is_found_when_planning(desk: Desk, case: str) -> None:
    desk.publish("air", "1.6.0", 14)
    said, reason = REASONS[case]
    values = dict(said)
    if values.pop("reverted", False):
        values["manifest"] = desk.releases["air-1.5.0"].manifest
    desk.say("air-2", **values)
    found = desk.skipped()
    assert list(found) == ["air-2"]
    assert reason in found["air-2"]


@pytest.mark.parametrize("version", ["1.4.9", "1.5.0-rc1", "1.0.10"])
def test_an_older_program_of_ones_own_is_updated(desk: Desk, version: str) -> None:
    desk.say("air-2", version=version)
    assert "air-2" in desk.plan().members


def test_another_board_is_skipped(desk: Desk) -> None:
    node = desk.store.nodes.get("air-3")
    desk.store.nodes.replace(replace(node, board="esp8266"))
    assert desk.skipped() == {"air-3": "the release is for another board"}


def test_a_retired_node_that_is_named_is_skipped_and_is_no_reason_to_fail(desk: Desk) -> None:
    node = desk.store.nodes.get("air-3")
    desk.store.nodes.replace(replace(node, standing=Standing.RETIRED))
    assert desk.skipped(nodes=["air-2", "air-3"]) == {"air-3": "it is retired"}
    assert "air-3" not in desk.plan().members


def test_what_failed_before_is_tried_again_by_force(desk: Desk) -> None:
    desk.say("air-2", "air-1.4.0", stage=update.REVERTED, manifest=desk.releases["air-1.5.0"].manifest)
    assert "air-2" in desk.plan(force=True).members


def test_hawkbit_735_a_rollout_over_nobody_is_an_error_that_says_why(desk: Desk) -> None:
    with pytest.raises(PlanError, match="no node matches"):
        desk.plan(where="site=mitte and kind=air and id=air-4")
    for name in AIR:
        desk.say(name, "air-1.5.0")
    with pytest.raises(PlanError) as error:
        desk.plan()
    assert error.value.cause == "4 nodes: it runs that already"


def test_a_release_that_may_not_be_used_is_refused(desk: Desk) -> None:
    desk.store.releases.yank("air-1.5.0", NOW_S, "ops@desk", "drifts")
    with pytest.raises(NotAllowedError, match="was yanked"):
        desk.plan()
    with pytest.raises(PlanError, match="are both for air"):
        desk.plan(releases=["air-1.4.0", desk.releases["air-1.4.0"].digest.hex()])


def test_settings_skip_who_shall_have_them_already(desk: Desk) -> None:
    desk.store.configs.set("air-2", {1: 30}, NOW_S)
    found = desk.plan(goal="config", settings={"interval_s": 30}, where="kind=air")
    assert {one.node: one.reason for one in found.skipped} == {"air-2": "it shall have these settings already"}
    back = desk.plan(goal="config", settings={"interval_s": "default"}, where="kind=air")
    assert list(back.members) == ["air-2"]


def test_the_program_before_needs_another_slot_that_holds_one(desk: Desk) -> None:
    desk.say("air-2", "air-1.5.0", spare=desk.releases["air-1.4.0"].manifest)
    found = desk.plan(goal="previous", nodes=["air-1", "air-2"])
    assert {name: one.before for name, one in found.members.items()} == {"air-2": desk.releases["air-1.4.0"].manifest}
    assert [one.node for one in found.skipped] == ["air-1"]


def test_lamps_that_are_near_are_neighbours_also_of_those_that_take_no_part(desk: Desk) -> None:
    found = desk.plan(releases=["light-1.5.0"], nodes=["light-1"])
    assert found.members["light-1"].neighbours == ("light-2",)
    assert (found.members["light-1"].lat_udeg, found.members["light-1"].lon_udeg) == (52516300, 13377700)
    alone = desk.plan(releases=["light-1.5.0"], nodes=["light-1"], places={"neighbour_m": 0})
    assert alone.members["light-1"].neighbours == ()


def test_lamps_that_could_never_restart_are_found_when_planning(desk: Desk) -> None:
    night = {"cron": "0 1 * * *", "zone": "Europe/Berlin", "duration": "2h"}
    with pytest.raises(PlanError, match="by daylight only"):
        desk.plan(releases=["light-1.5.0"], switch=night)
    for more in ({"places": {"dark_hours": False}}, {"now": True}):
        assert desk.plan(releases=["light-1.5.0"], switch=night, **more).members


def test_a_place_that_is_none_is_told_and_stops_nothing(desk: Desk) -> None:
    desk.store.nodes.set_tags("light-2", lambda tags: {**tags, "lat": "north"})
    found = desk.plan(releases=["light-1.5.0"])
    assert "The tags lat and lon of light-2 are no place on earth." in found.notes


def test_sizes_are_estimates_until_a_payload_was_built(desk: Desk) -> None:
    found = desk.plan()
    release = desk.releases["air-1.5.0"]
    assert set(found.sizes.values()) == {release.size * cost.PACKED // 1000}
    assert found.estimated == set(AIR)
    payload = Archive(desk.config.releases_dir).put(b"x" * 274)
    kept = desk.config.releases_dir / "payloads"
    kept.mkdir()
    (kept / f"{release.digest.hex()}-{desk.releases['air-1.4.0'].manifest.hex()}").write_bytes(payload)
    desk.say("air-2", version="1.4.9")
    found = desk.plan()
    assert {node for node, size in found.sizes.items() if size == 274} == set(AIR) - {"air-2"}
    assert found.estimated == {"air-2"}


def test_a_base_image_is_fetched_too(desk: Desk) -> None:
    desk.publish("air", "1.6.0", 14, base=b"b" * 9000)
    assert min(desk.plan(releases=["air-1.6.0"]).sizes.values()) > 9000


def test_waves_follow_each_other_with_their_soak_and_within_their_windows(desk: Desk) -> None:
    first, rest = desk.plan().passages
    assert first.begin_s == NOW_S < first.end_s
    assert rest.begin_s == first.end_s + 15 * 60
    shut = desk.plan(switch={"cron": "0 1 * * *", "duration": "1h"}, limits={"in_flight": 1}).passages
    assert shut[0].end_s % 86400 >= 3600, "nobody restarts before the window opens"
    assert shut[1].end_s > shut[0].end_s


def test_the_hash_is_the_same_until_something_changes(desk: Desk) -> None:
    first = desk.plan()
    desk.say("air-2", "air-1.4.0", at_s=NOW_S + 60)
    assert desk.plan().hash == first.hash, "a word of a node changes nothing"
    assert desk.plan(name="other").hash == first.hash, "nor does what it is called"
    assert planning.again(desk.store, desk.config, first.plan, NOW_S).hash == first.hash
    desk.say("air-2", version="1.4.9")
    assert desk.plan().hash != first.hash
    assert desk.plan(limits={"in_flight": 3}).hash != first.hash


def test_a_node_that_was_away_for_a_day_is_no_canary(desk: Desk) -> None:
    [first] = canary(desk.plan())
    for name in AIR:
        if name != first:
            desk.say(name, "air-1.4.0", at_s=NOW_S + 86400)
    found = planning.plan(desk.store, desk.config, draft.parse({"releases": ["air-1.5.0"]}), NOW_S + 86400 + 60)
    assert first not in canary(found)


def test_nodes_of_an_open_rollout_are_refused_or_ordered_by_rule(desk: Desk) -> None:
    number = start(desk, desk.plan(where="site=mitte and kind=air"))
    found = desk.plan()
    assert found.conflicts == {number: ("air-1", "air-2")}
    with pytest.raises(NotAllowedError, match=f"rollout {number} is not done with 2 of these nodes"):
        planning.require_free(found)
    for rule in (Overlap.AFTER, Overlap.SUPERSEDE):
        planning.require_free(desk.plan(overlap=rule.value))
    planning.require_free(desk.plan(nodes=["air-3"]))


def test_nodes_that_match_later_join_the_last_wave(desk: Desk) -> None:
    found = desk.plan(where="site=mitte and kind=air", mode="continuous")
    assert found.plan.mode is Mode.CONTINUOUS
    assert planning.joiners(desk.store, desk.config, found.plan, found.members.keys(), NOW_S) == []
    desk.store.nodes.set_tags("air-4", lambda tags: {**tags, "site": "mitte"})
    [one] = planning.joiners(desk.store, desk.config, found.plan, found.members.keys(), NOW_S)
    assert (one.node, one.wave) == ("air-4", 1)


NEAR = {
    "59 m to the north": ((52_516_300, 13_377_700), (52_516_830, 13_377_700), True),
    "61 m to the north": ((52_516_300, 13_377_700), (52_516_850, 13_377_700), False),
    "59 m to the east": ((52_516_300, 13_377_700), (52_516_300, 13_378_570), True),
    "62 m to the east": ((52_516_300, 13_377_700), (52_516_300, 13_378_620), False),
    "on the same mast": ((52_516_300, 13_377_700), (52_516_300, 13_377_700), True),
    "far in the south": ((-33_900_000, 18_400_000), (-33_900_300, 18_400_300), True),
}


@pytest.mark.parametrize("case", NEAR)
def test_who_is_a_neighbour(case: str) -> None:
    one, other, near = NEAR[case]
    wanted = {"a": ("b",), "b": ("a",)} if near else {}
    assert places.neighbours({"a": one, "b": other}, 60) == wanted


def test_more_lamps_than_hang_in_a_street_are_a_mistake_in_their_tags() -> None:
    crowd = {f"light-{number}": (52_516_300, 13_377_700) for number in range(places.CROWD + 1)}
    with pytest.raises(UsageError, match="hang within 60 m"):
        places.neighbours(crowd, 60)


@pytest.mark.parametrize(
    ("lat", "lon", "place"),
    [
        ("52.5163", "13.3777", (52_516_300, 13_377_700)),
        ("-33.9", "+18.4123456789", (-33_900_000, 18_412_345)),
        ("0", "0", (0, 0)),
        ("-0.5", "-0.000001", (-500_000, -1)),
        ("91", "0", None),
        ("0", "181", None),
        ("1e1", "0", None),
        ("52,5", "13", None),
    ],
)
def test_what_is_a_place(lat: str, lon: str, place: places.Place | None) -> None:
    tags = {"lat": lat, "lon": lon}
    if place is None:
        with pytest.raises(UsageError, match="is no place"):
            places.place_of(tags)
    else:
        assert places.place_of(tags) == place
    assert places.place_of({"lat": lat}) is None
