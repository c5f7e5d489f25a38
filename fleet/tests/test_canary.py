"""The canary's verdicts: what is broken halts, in how many windows; what is not, or is not its fault, does not."""

import json
from collections.abc import Mapping
from dataclasses import replace

import pytest

from fleet.model import Kind
from fleet.rollout.canary import Judgement, Samples, judge, rejudge
from fleet.rollout.canary.judge import needed
from fleet.rollout.canary.metrics.base import octaves
from fleet.rollout.canary.windows import WINDOW_S
from fleet.rollout.model import Verdict
from fleet.rollout.plan import Judging
from fleet.tests import canary_rig as rig
from fleet.tests.canary_rig import Fault, Street
from protocol import channels as c

JUDGING = Judging()
WITHIN = 10  # windows that say something: 50 minutes, or records of a lamp: two and a half hours

BROKEN: Mapping[str, tuple[Kind, Fault, str]] = {
    "PM2.5 is a constant": (Kind.AIR, rig.mean(c.PM25, lambda _: 100), "stuck"),
    "PM2.5 is ten times too large": (Kind.AIR, rig.mean(c.PM25, lambda value: 10 * value), "pm25"),
    "PM2.5 is the number of another size": (Kind.AIR, rig.mean(c.PM25, lambda value: 3 * value), "disorder"),
    "all masses are zero": (
        Kind.AIR,
        rig.changed(lambda values: {**values, **dict.fromkeys((c.PM1, c.PM25, c.PM4, c.PM10), (0, 1))}),
        "stuck",
    ),
    "every channel is flagged missing": (Kind.AIR, rig.flagged(9), "lacking"),
    "PM2.5 is flagged suspect": (Kind.AIR, rig.flagged(3, (c.PM25,)), "lacking"),
    "a channel is gone": (Kind.AIR, rig.without(c.CO2), "lacking"),
    "the temperature has the scale of another part": (Kind.AIR, rig.mean(c.T_AMB, lambda value: 2 * value), "t_amb"),
    "nothing comes any more": (Kind.AIR, rig.silent, "missing"),
    "the session breaks in each window": (
        Kind.AIR,
        rig.beating(lambda beat, at: replace(beat, connects=2 + at)),
        "reconnects",
    ),
    "acknowledgements take 9 s": (Kind.AIR, rig.beating(lambda beat, _: replace(beat, ack_p95_ms=9000)), "ack"),
    "a lamp draws half of what its level asks for": (
        Kind.LIGHT,
        rig.mean(c.P_ACTIVE, lambda value: value // 2),
        "power",
    ),
    "a lamp node tells nothing": (Kind.LIGHT, rig.silent, "missing"),
}


def test_each_kind_of_broken_telemetry_halts_within_stated_windows() -> None:
    for sentence, (kind, fault, metric) in BROKEN.items():
        for treated, controls in ((1, 3), (4, 20)):
            windows = WITHIN * (3 if kind is Kind.LIGHT else 1) + 6  # a lamp has a record in every third window
            found = judge(
                Street(3, kind).samples(treated, controls, windows, dict.fromkeys(range(treated), fault)), JUDGING
            )
            assert found.verdict is Verdict.HALT, (sentence, treated, found.why)
            lost = {one["metric"]: rig.halted_after(one) for one in found.packet["results"]}
            assert (lost[metric] or 99) <= WITHIN, (sentence, treated, lost)


def test_a_leak_halts_even_if_it_shows_after_the_promotion() -> None:
    leak = rig.beating(lambda beat, at: replace(beat, heap_free=max(1000, 200_000 - 3500 * at)))
    found = judge(Street(4).samples(1, 3, 50, {0: leak}), JUDGING)
    assert found.verdict is Verdict.HALT
    assert "heap that shrinks" in found.why
    assert judge(Street(4).samples(1, 3, 4, {0: leak}), JUDGING).verdict is Verdict.PROMOTE


def test_what_is_as_good_as_before_is_promoted_within_the_soak() -> None:
    for kind, windows in ((Kind.AIR, 6), (Kind.LIGHT, 16)):
        found = judge(Street(1, kind).samples(1, 3, windows), JUDGING)
        assert found.verdict is Verdict.PROMOTE, found.why


@pytest.mark.parametrize("front", [0.2, 5.0])
def test_weather_that_hits_all_alike_does_not_halt(front: float) -> None:
    for seed in range(6):
        found = judge(Street(seed, front=front).samples(2, 6, 20), JUDGING)
        assert found.verdict is not Verdict.HALT, (seed, found.why)


def test_a_node_that_was_bad_before_is_not_blamed_on_the_release() -> None:
    """Its sensor was flagged and its clock of records had gaps long before."""

    def old(samples: Samples) -> Samples:
        first, *others = samples.subjects
        rows = tuple(
            replace(one, values={**one.values, c.PM25: (777, 3), c.PM10: (777, 3)})
            for at, one in enumerate(first.track.intervals)
            if at % 5 < 3
        )
        return replace(samples, subjects=(replace(first, track=replace(first.track, intervals=rows)), *others))

    for treated in (1, 3):
        found = judge(old(Street(2).samples(treated, 5, 24)), JUDGING)
        assert found.verdict is not Verdict.HALT, found.why


def test_one_odd_node_of_many_does_not_halt_alone_and_two_do() -> None:
    broken = rig.without(c.PM25)
    street = {count: Street(6).samples(8, 12, 30, dict.fromkeys(range(count), broken)) for count in (1, 2)}
    assert judge(street[1], JUDGING).verdict is not Verdict.HALT
    assert judge(street[2], JUDGING).verdict is Verdict.HALT
    assert [needed(nodes) for nodes in (1, 3, 4, 40, 41, 100)] == [1, 1, 2, 2, 3, 5]


def cut_short(samples: Samples, windows: int) -> Samples:
    """The controls are off the air from so many windows after the switch."""
    end_s = rig.BEGIN_S + rig.PAST_S + windows * WINDOW_S
    subjects = []
    for one in samples.subjects:
        kept = tuple(row for row in one.track.intervals if row.end_s <= end_s)
        gone = replace(one.track, intervals=kept, beats=tuple(row for row in one.track.beats if row.t_s < end_s))
        subjects.append(one if one.switch_s else replace(one, track=gone))
    return replace(samples, subjects=tuple(subjects))


def test_controls_that_all_go_offline_hold_whatever_the_treated_node_does() -> None:
    for fault in (None, rig.silent, rig.flagged(9)):
        samples = cut_short(Street(1).samples(1, 5, 30, {0: fault} if fault else {}), 1)
        found = judge(samples, JUDGING)
        assert found.verdict is Verdict.HOLD, found.why
        assert "compare" in found.why, found.why


def test_without_controls_the_own_past_judges_with_wider_bounds() -> None:
    assert judge(Street(1).samples(1, 0, 12), JUDGING).verdict is Verdict.PROMOTE
    assert judge(Street(1).samples(1, 0, 20, {0: rig.flagged(9)}), JUDGING).verdict is Verdict.HALT
    assert judge(Street(1, front=6.0).samples(1, 0, 20), JUDGING).verdict is not Verdict.HALT


def test_a_past_that_is_too_short_holds_with_the_reason() -> None:
    samples = Street(1).samples(1, 3, 12)
    late = rig.BEGIN_S + rig.PAST_S - 2 * WINDOW_S
    first, *others = samples.subjects
    short = replace(first.track, intervals=tuple(one for one in first.track.intervals if one.t_s >= late))
    found = judge(replace(samples, subjects=(replace(first, track=short), *others)), JUDGING)
    assert found.verdict is Verdict.HOLD
    assert "past is too short" in found.why


def test_nobody_with_the_new_program_holds() -> None:
    found = judge(Samples(()), JUDGING)
    assert found.verdict is Verdict.HOLD
    assert found.packet["results"] == []


def test_a_kind_that_is_sound_does_not_hide_one_that_is_not() -> None:
    air = Street(1).samples(1, 3, 12)
    light = Street(1, Kind.LIGHT).samples(1, 3, 60, {0: rig.silent})
    found = judge(Samples((*air.subjects, *light.subjects)), JUDGING)
    assert found.verdict is Verdict.HALT
    assert found.why.startswith("light: time without records")


def test_a_packet_is_json_and_its_verdict_follows_from_its_own_numbers() -> None:
    for fault in ({}, {0: rig.flagged(9)}):
        found = judge(Street(1).samples(2, 4, 12, fault), JUDGING)
        text = json.dumps(found.packet, sort_keys=True)
        again = rejudge(json.loads(text))
        assert again == Judgement(found.verdict, found.why, json.loads(text))
        assert json.dumps(again.packet, sort_keys=True) == text


def test_a_packet_holds_no_floats() -> None:
    def walk(value: object) -> None:
        assert not isinstance(value, float)
        for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            walk(one)

    walk(judge(Street(1).samples(2, 4, 12), JUDGING).packet)


def test_a_packet_of_another_version_is_refused() -> None:
    with pytest.raises(KeyError):
        rejudge({"version": 99})


def test_octaves_are_the_binary_logarithm() -> None:
    assert [octaves(value) for value in (1, 2, 3, 1000, 1 << 40)] == [0, 1000, 1584, 9965, 40000]
