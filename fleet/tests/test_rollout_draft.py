"""Plan files: what they may say, what is wrong with them, and that what is written is read again."""

from dataclasses import fields
from typing import Any

import pytest

from fleet.model import Kind
from fleet.rollout import draft, keys
from fleet.rollout.draft import PlanError
from fleet.rollout.plan import Gate, Goal, Judging, Limits, Member, OnFailure, Plan, Wave, Window

AIR = {"releases": ["air-1.5.0"]}
FULL = """
name = "spring"
releases = ["air-1.5.0", "light-2.0.0"]
where = "site=mitte and version<1.5"
mode = "continuous"
on_failure = "undo"
overlap = "after"
expires = "3d"
force = true

[gate]
soak = "1h"
failures = "2.5%"

[limits]
in_flight = 7
jitter = "90s"

[download]
cron = "0 1 * * *"
zone = "Europe/Berlin"
duration = "4h"

[judging]
alpha = "0.5%"

[[waves]]
name = "desk"
where = "desk=yes"

[[waves]]
name = "canary"
share = "1%"
count = 2
per_kind = true

[waves.gate]
soak = "6h"

[[waves]]
name = "rest"
"""


def test_a_file_says_everything_about_a_rollout() -> None:
    found = draft.load(FULL, "spring.toml")
    plan, usual = found.plan, Gate(soak_s=3600, failures=25)
    assert found.releases == ("air-1.5.0", "light-2.0.0")
    assert plan.waves == (
        Wave("desk", where="desk=yes", gate=usual),
        Wave("canary", count=2, share=10, per_kind=True, gate=Gate(soak_s=6 * 3600, failures=25)),
        Wave("rest", judged=False, gate=usual),
    )
    assert plan.limits == Limits(in_flight=7, jitter_s=90)
    assert plan.download == Window("0 1 * * *", "Europe/Berlin", 4 * 3600)
    assert plan.judging == Judging(alpha=5)
    assert (plan.name, plan.on_failure, plan.expires_s, plan.force) == ("spring", OnFailure.UNDO, 3 * 86400, True)


@pytest.mark.parametrize(
    "text",
    [
        FULL,
        'releases = ["air-1.5.0"]',
        'goal = "previous"\nnodes = ["air-1", "air-2"]',
        'goal = "config"\n[settings]\ninterval_s = 30\nstats = true\nbatch = "default"',
        'releases = ["air-1.5.0"]\n[[waves]]\nname = "all"\njudged = true',
    ],
)
def test_what_is_written_is_read_again(text: str) -> None:
    found = draft.load(text, "plan")
    again = draft.load(draft.text(found, "two lines\nof remark"), "plan")
    assert again == found
    assert draft.text(again) == draft.text(found)


def test_the_careful_defaults_are_those_of_the_plan() -> None:
    plan = draft.parse(AIR).plan
    assert plan == Plan("air-1.5.0")
    first = plan.waves[0]
    assert (first.count, first.share) == (1, 10), "one node or 1 %"
    assert (first.gate.success, first.gate.failures, first.gate.soak_s) == (950, 50, 15 * 60)
    assert first.gate.sample > 1


@pytest.mark.parametrize(
    ("tree", "name"),
    [
        ({"releases": ["air-1.5.0", "light-2.0.0"]}, "air-1.5.0-light-2.0.0"),
        ({"goal": "config", "settings": {"interval_s": 30}}, "config-interval_s"),
        ({"goal": "previous"}, "previous"),
    ],
)
def test_a_rollout_without_a_name_gets_one(tree: dict[str, Any], name: str) -> None:
    assert draft.parse(tree).plan.name == name


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "a key that there is not": ({**AIR, "relases": []}, "plan: relases is no key of a plan"),
    "a key of a table that there is not": ({**AIR, "limits": {"inflight": 1}}, "plan: limits.inflight is no key"),
    "a table that is a number": ({**AIR, "limits": 3}, "plan: limits must be a table"),
    "a number that is a text": ({**AIR, "limits": {"in_flight": "3"}}, "limits.in_flight must be a whole number"),
    "a number that is true": ({**AIR, "limits": {"in_flight": True}}, "limits.in_flight must be a whole number"),
    "no node in flight": ({**AIR, "limits": {"in_flight": 0}}, "limits.in_flight must be a whole number from 1"),
    "a share without its sign": ({**AIR, "gate": {"success": 95}}, 'gate.success must be a share such as "5%"'),
    "a share above all": ({**AIR, "gate": {"success": "101%"}}, "gate.success must be a share"),
    "a success of nothing": ({**AIR, "gate": {"success": "0%"}}, "gate.success must be a share"),
    "a time without its unit": ({**AIR, "gate": {"soak": 900}}, "gate.soak must be a time"),
    "a deadline of a second": ({**AIR, "gate": {"deadline": "1s"}}, "gate.deadline must be a time"),
    "a gate of a wave": (
        {**AIR, "waves": [{"name": "a", "count": 1}, {"name": "b", "gate": {"soak": "x"}}]},
        "plan: waves[2].gate.soak must be",
    ),
    "no wave": ({**AIR, "waves": []}, "waves must be 1 to"),
    "two waves of one name": ({**AIR, "waves": [{"name": "a", "count": 1}, {"name": "a"}]}, "waves[2].name: two waves"),
    "a wave that leaves nothing": ({**AIR, "waves": [{"name": "a"}, {"name": "b"}]}, "waves[1] takes all nodes"),
    "a wave with a wrong selection": ({**AIR, "waves": [{"name": "a", "where": "kind="}]}, "waves[1].where: expected"),
    "a wrong selection": ({**AIR, "where": "kind=="}, "plan: where: expected a value"),
    "nodes and a selection": ({**AIR, "nodes": ["air-1"], "where": "kind=air"}, "nodes and where do not go together"),
    "nodes that may join": ({**AIR, "nodes": ["air-1"], "mode": "continuous"}, "nodes and mode do not go together"),
    "no release": ({}, "releases is empty"),
    "releases for settings": ({**AIR, "goal": "config", "settings": {"batch": 2}}, "releases is of the goal release"),
    "no settings": ({"goal": "config"}, "settings is empty"),
    "settings with a release": ({**AIR, "settings": {"batch": 2}}, "settings is of the goal config"),
    "a setting that there is not": ({"goal": "config", "settings": {"intervall_s": 2}}, "settings.intervall_s is no"),
    "a setting out of its range": ({"goal": "config", "settings": {"batch": 61}}, "settings.batch: not within 1 .. 60"),
    "a goal that there is not": ({"goal": "explode"}, "goal must be one of release, config, previous"),
    "a name that is a number": ({**AIR, "name": "7"}, "name must be text of the form"),
    "a window that never closes": (
        {**AIR, "switch": {"cron": "0 1 * * *"}},
        "switch: cron and duration belong together",
    ),
    "a window with seconds": (
        {**AIR, "switch": {"cron": "0 0 1 * * *", "duration": "1h"}},
        "switch: cron must have five fields",
    ),
    "a window of the 13th month": ({**AIR, "switch": {"cron": "0 1 1 13 *", "duration": "1h"}}, "switch: cron: "),
    "a window that never comes": ({**AIR, "switch": {"cron": "0 1 31 2 *", "duration": "1h"}}, "switch: cron: "),
    "a window on the moon": (
        {**AIR, "switch": {"cron": "0 1 * * *", "duration": "1h", "zone": "Moon/Tycho"}},
        "switch: zone: there is no such time zone",
    ),
    "a path as a time zone": (
        {**AIR, "switch": {"cron": "0 1 * * *", "duration": "1h", "zone": "/etc/passwd"}},
        "switch: zone: there is no such time zone",
    ),
    "a control character": ({**AIR, "where": "a=\x1b"}, "where must be text"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_an_error_points_at_its_key(fault: str) -> None:
    tree, words = FAULTS[fault]
    with pytest.raises(PlanError) as error:
        draft.parse(tree)
    assert words in error.value.message


def test_a_slip_of_the_pen_is_told() -> None:
    with pytest.raises(PlanError) as error:
        draft.parse({**AIR, "limits": {"inflight": 1}})
    assert error.value.hint == "did you mean limits.in_flight?"
    for name in ("failures", "failurs"):  # right, but for its table
        with pytest.raises(PlanError) as error:
            draft.parse({**AIR, name: "3%"})
        assert error.value.hint == "did you mean gate.failures?"
    with pytest.raises(PlanError) as error:
        draft.parse({**AIR, "duration": "3h"})
    assert error.value.hint == "did you mean download.duration or switch.duration?"
    with pytest.raises(PlanError, match=r"x\.toml is not TOML"):
        draft.load("releases = [", "x.toml")


def test_an_option_stands_over_the_file() -> None:
    assert draft.load(FULL, "file", {"where": "site=wedding"}).plan.where == "site=wedding"


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("rest", {"name": "rest"}),
        ("canary=5", {"name": "canary", "count": 5}),
        ("tenth=10%", {"name": "tenth", "share": "10%"}),
        ("few=0.5%", {"name": "few", "share": "0.5%"}),
        ("=5", None),
        ("canary=many", None),
        ("canary=", None),
    ],
)
def test_a_wave_in_a_word(text: str, tree: dict[str, Any] | None) -> None:
    if tree is None:
        with pytest.raises(PlanError, match="is no wave"):
            draft.wave_of(text)
    else:
        assert draft.wave_of(text) == tree


def test_every_field_of_a_plan_can_be_written_and_every_key_says_what_it_means() -> None:
    derived = {"targets", "settings", "waves", "parent", *(table.name for table in keys.TABLES)}
    for section in keys.SECTIONS:
        known = {key.field for key in section.keys}
        assert {field.name for field in fields(section.kind)} - known <= derived | {"gate"}, section.name
        assert all(len(key.text) > 3 for key in section.keys)


def test_the_plan_hash_is_of_the_plan_and_of_every_node() -> None:
    plan = draft.parse(AIR).plan
    members = {name: Member(name, Kind.AIR, 0) for name in ("air-1", "air-2")}
    first = draft.plan_hash(plan, members)
    assert first == draft.plan_hash(draft.parse(AIR).plan, dict(reversed(members.items())))
    others = [
        draft.plan_hash(draft.parse({**AIR, "gate": {"soak": "16min"}}).plan, members),
        draft.plan_hash(plan, {"air-1": members["air-1"]}),
        draft.plan_hash(plan, {**members, "air-2": Member("air-2", Kind.AIR, 1)}),
        draft.plan_hash(plan, {**members, "air-2": Member("air-2", Kind.AIR, 0, before=b"x")}),
    ]
    assert len({first, *others}) == 5
    assert len(first) == 64


def test_a_plan_that_undoes_needs_no_release() -> None:
    assert draft.parse({"goal": "previous", "where": "kind=air"}).plan.goal is Goal.PREVIOUS
