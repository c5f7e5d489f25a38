"""The decisions of a light node as tables: programme, overrides, fades, fault rules, counters."""

from firmware.tests.stage import Files
from node.light.arbiter import Arbiter
from node.light.control import FULL, SOFT_MS, SOFT_START, Control
from node.light.counters import PATH, Counters
from node.light.faults import Debounce, Faults, Reading, expected_dw, level_of
from node.light.programme import is_within, programme
from protocol import events
from protocol.channels import REASON_FAIL_BRIGHT, REASON_OVERRIDE, REASON_PROGRAM
from protocol.records import PHASE_END, PHASE_START
from protocol.settings import SETTINGS
from tools.sim.world import hash32

DEFAULTS = {row[1]: row[5] for row in SETTINGS}
NOON = 12 * 60
DUSK = DEFAULTS["lamp_on_min"]
DAWN = DEFAULTS["lamp_off_min"]


def settings(**changed):
    values = dict(DEFAULTS)
    values.update(changed)
    return lambda name: values[name]


# sentence: (settings, minute, level, reason)
PROGRAMMES = {
    "by day the lamp is off": ({}, NOON, 0, REASON_PROGRAM),
    "a minute before dusk it is off": ({}, DUSK - 1, 0, REASON_PROGRAM),
    "at dusk it goes on": ({}, DUSK, 200, REASON_PROGRAM),
    "a minute before the dimmed part it is full": ({}, 1379, 200, REASON_PROGRAM),
    "late at night it is dimmed": ({}, 1380, 100, REASON_PROGRAM),
    "midnight is night": ({}, 0, 100, REASON_PROGRAM),
    "in the early morning it is full again": ({}, 240, 200, REASON_PROGRAM),
    "the minute before dawn is lit": ({}, DAWN - 1, 200, REASON_PROGRAM),
    "at dawn it goes off": ({}, DAWN, 0, REASON_PROGRAM),
    "unknown time means light": ({}, None, 200, REASON_FAIL_BRIGHT),
    "unknown time means the full level that was set": ({"level_full": 160}, None, 160, REASON_FAIL_BRIGHT),
    "equal times mean never off": ({"lamp_on_min": 600, "lamp_off_min": 600}, NOON, 200, REASON_PROGRAM),
    "a night that ends before midnight": ({"lamp_on_min": 60, "lamp_off_min": 300}, 301, 0, REASON_PROGRAM),
    "and its lit part": ({"lamp_on_min": 60, "lamp_off_min": 300, "dim_to_min": 100}, 299, 200, REASON_PROGRAM),
    "equal dim times mean no dimming": ({"dim_from_min": 0, "dim_to_min": 0}, 0, 200, REASON_PROGRAM),
    "dimming does not light the day": ({"dim_from_min": 700, "dim_to_min": 800}, 750, 0, REASON_PROGRAM),
}


def test_programme():
    for sentence in PROGRAMMES:
        changed, minute, level, reason = PROGRAMMES[sentence]
        assert programme(settings(**changed), minute) == (level, reason), sentence


def test_intervals_of_the_day_count_every_minute_once():
    for start, end in ((0, 1439), (930, 450), (1439, 0), (1, 0), (500, 501), (0, 720)):
        inside = sum([1 for minute in range(1440) if is_within(minute, start, end)])
        assert inside == (end - start) % 1440
        outside = sum([1 for minute in range(1440) if is_within(minute, end, start)])
        assert inside + outside == 1440


def test_the_newest_override_beats_the_older_ones_and_the_programme():
    arbiter = Arbiter(Files(), 0)
    by_program = (200, REASON_PROGRAM)
    assert arbiter.decide(by_program, 0) == by_program
    arbiter.override(50, 100, 0)
    arbiter.override(80, 20, 10)
    assert arbiter.decide(by_program, 11) == (80, REASON_OVERRIDE)
    assert arbiter.decide(by_program, 29) == (80, REASON_OVERRIDE)
    assert arbiter.decide(by_program, 30) == (50, REASON_OVERRIDE)
    assert arbiter.decide(by_program, 100) == by_program


def test_overrides_can_be_cleared_and_are_bounded():
    arbiter = Arbiter(Files(), 0)
    for index in range(100):
        arbiter.override(index, 1000 - index, index)
    assert arbiter.decide((0, REASON_PROGRAM), 100) == (99, REASON_OVERRIDE)
    assert arbiter.clear(100) == 8
    assert arbiter.decide((0, REASON_PROGRAM), 100) == (0, REASON_PROGRAM)


def test_overrides_outlive_restarts_but_never_last_longer_than_ordered():
    files = Files()
    by_program = (200, REASON_PROGRAM)
    arbiter = Arbiter(files, 0)
    arbiter.decide(by_program, 1000)
    assert files.writes == 0
    arbiter.override(50, 600, 1000)
    arbiter.override(80, 30, 1000)
    for seconds in range(1000, 1300):
        arbiter.decide(by_program, seconds)
    assert files.writes <= 6
    arbiter = Arbiter(files, 5)
    assert arbiter.decide(by_program, 5) == (50, REASON_OVERRIDE)
    assert arbiter.decide(by_program, 5 + 300) == by_program
    arbiter.override(50, 600, 400)
    restarts = 0
    while Arbiter(files, 1).decide(by_program, 1) != by_program:
        restarts += 1
    assert restarts == 9, "each costs a minute, however short it ran"
    arbiter.override(0, 600, 500)
    arbiter.clear(501)
    assert Arbiter(files, 0).decide(by_program, 0) == by_program


def levels(control, minute, from_ms, to_ms, step=100):
    return [control.step(minute, ms) for ms in range(from_ms, to_ms, step)]


def test_a_change_of_level_is_a_fade():
    control = Control(Arbiter(Files(), 0), settings(), lambda below: 0, False, 0)
    assert control.step(NOON, 0) == FULL
    found = levels(control, NOON, 0, 3000)
    assert (found[0], found[20]) == (FULL, 0)
    assert [found[index] - found[index + 1] for index in range(20)] == [10] * 20
    assert not control.is_fading
    assert not control.is_settled(11900)
    assert control.is_settled(12000)


def test_a_change_in_the_middle_of_a_fade_starts_where_it_is():
    control = Control(Arbiter(Files(), 0), settings(), lambda below: 0, False, 0)
    control.step(NOON, 0)
    assert control.step(NOON, 1000) == 100
    assert control.step(DUSK, 1000) == 100
    assert control.step(DUSK, 1500) == 150
    assert control.step(DUSK, 2000) == 200


def test_after_a_power_cut_the_lamp_comes_up_softly_but_is_never_dark():
    for seed in range(200):
        control = Control(Arbiter(Files(), 0), settings(), lambda below, seed=seed: hash32(seed) % below, True, 0)
        assert control.level == SOFT_START
        found = levels(control, None, 0, SOFT_MS + 200)
        assert min(found) >= SOFT_START
        assert found == sorted(found)
        assert found[-1] == FULL


def test_the_street_comes_up_spread_over_a_minute():
    ready = []
    for seed in range(300):
        control = Control(Arbiter(Files(), 0), settings(), lambda below, seed=seed: hash32(seed) % below, True, 0)
        found = levels(control, None, 0, SOFT_MS + 1000, 1000)
        ready.append(found.index(FULL))
    for second in range(0, 50, 10):
        share = len([value for value in ready if second < value <= second + 10])
        assert 30 <= share <= 70, (second, share)


def test_a_lamp_that_lost_its_task_starts_again_from_full():
    control = Control(Arbiter(Files(), 0), settings(), lambda below: 0, False, 0)
    levels(control, NOON, 0, 5000)
    assert control.fail_bright(5000) == FULL
    assert control.reason == REASON_FAIL_BRIGHT
    assert control.step(NOON, 5000) == FULL
    assert control.step(NOON, 8000) == 0


def test_expected_power_and_its_inverse():
    assert [expected_dw(level, 400) for level in (0, 1, 100, 200)] == [0, 39, 219, 400]
    for level in range(1, 201):
        assert abs(level_of(expected_dw(level, 400), 400) - level) <= 1
    assert level_of(4, 400) == 0
    assert level_of(900, 400) == 200


def conditions(level=200, settled=True, power=400, mv=230000, meter=None):
    found = Reading(level, settled, 400, power, mv, meter).conditions()
    return "".join(["-" if one is None else "x" if one else "." for one in found])


# sentence: (reading, failure low high unexpected supply meter), x = holds, . = does not, - = cannot be told
READINGS = {
    "a sound lamp at full": ({}, "......"),
    "a sound lamp that is dimmed": ({"level": 100, "power": 220}, "......"),
    "a sound lamp that is off": ({"level": 0, "power": 4}, "......"),
    "no power at full is a failure, and not also low power": ({"power": 4}, "x....."),
    "15 % of the power is no failure": ({"power": 61}, ".x...."),
    "80 % of the power is enough": ({"power": 320}, "......"),
    "less is low": ({"power": 319}, ".x...."),
    "120 % is high enough": ({"power": 480}, "......"),
    "more is high": ({"power": 481}, "..x..."),
    "a lamp that burns by day": ({"level": 0, "power": 400}, "...x.."),
    "standby power of a lamp that is off": ({"level": 0, "power": 40}, "......"),
    "while the level changes nothing is said about the lamp": ({"settled": False, "power": 4}, "----.."),
    "low mains": ({"mv": 206999}, "....x."),
    "high mains": ({"mv": 253001}, "....x."),
    "mains at its limits": ({"mv": 207000}, "......"),
    "a silent meter leaves everything open": ({"power": None, "mv": None, "meter": "no frame"}, "-----x"),
    "a level below what the meter can see": ({"level": 20, "power": 0, "mv": 230000}, "---..."),
}


def test_conditions():
    for sentence in READINGS:
        reading, expected = READINGS[sentence]
        assert conditions(**reading) == expected, sentence


def test_a_condition_must_hold_and_an_unknown_one_starts_it_anew():
    state = Debounce(60)
    assert [state.update(True, second) for second in (0, 59)] == [None, None]
    assert state.update(None, 60) is None
    assert [state.update(True, second) for second in (61, 120)] == [None, None]
    assert state.update(True, 121) == PHASE_START
    assert [state.update(True, second) for second in (122, 500)] == [None, None]
    assert [state.update(False, second) for second in (501, 560)] == [None, None]
    assert state.update(False, 561) == PHASE_END


def test_every_rule_begins_after_its_time_and_ends():
    rows = (
        (events.LAMP_FAILURE, {"power": 4}, 60, {1: 200, 2: 4, 3: 400}),
        (events.LAMP_POWER_LOW, {"power": 200}, 300, {1: 200, 2: 200, 3: 400}),
        (events.LAMP_POWER_HIGH, {"power": 600}, 300, {1: 200, 2: 600, 3: 400}),
        (events.LAMP_UNEXPECTED_ON, {"level": 0, "power": 400}, 120, {1: 0, 2: 400, 3: 0}),
        (events.SUPPLY_VOLTAGE, {"mv": 200000}, 60, {1: 200000}),
        (events.METER_FAULT, {"power": None, "mv": None, "meter": "no frame"}, 10, {1: "no frame"}),
    )
    sound = {"level": 200, "settled": True, "power": 400, "mv": 230000, "meter": None}
    for code, broken, seconds, attrs in rows:
        faults = Faults()
        found = []
        for second in range(2 * seconds + 20):
            state = dict(sound)
            if second <= seconds:
                state.update(broken)
            reading = Reading(state["level"], True, 400, state["power"], state["mv"], state["meter"])
            found.extend([(second,) + row for row in faults.update(reading, second)])
        assert [row[:3] for row in found] == [(seconds, code, PHASE_START), (2 * seconds + 1, code, PHASE_END)], code
        assert found[0][3] == attrs


class Cut(Exception):
    """The power goes."""


class FallibleFiles(Files):
    """Flash whose power goes before, or just after, the n-th replacement of a file."""

    def __init__(self):
        super().__init__()
        self.cut_after = -1
        self.before = False

    def write_atomic(self, path, data):
        if self.writes == self.cut_after and self.before:
            raise Cut
        super().write_atomic(path, data)
        if self.writes - 1 == self.cut_after:
            raise Cut


def reported(counters):
    saved = counters.saved
    return saved.energy_wh, saved.rest_uj, saved.lamp_s, saved.starts, saved.supply_loss


def test_counters_never_go_back_over_a_thousand_cuts_and_lose_a_quarter_of_an_hour_at_most():
    files = FallibleFiles()
    told = (0, 0, 0, 0, 0)
    for seed in range(1000):
        files.cut_after = files.writes + 1 + hash32(seed, 2) % 3 if seed % 2 else -1
        files.before = seed % 4 == 1
        end_ms = hash32(seed, 1) % 4000000
        now = unsaved_ms = 0
        counters = None
        try:
            counters = Counters(files, True, 0)
            while now < end_ms:
                counters.lamp(True, now)
                counters.energy(40 * 1000000 * 5)
                if counters.is_due(now):
                    unsaved_ms = now
                    counters.save(now)
                assert reported(counters) >= told
                told = reported(counters)
                now += 5000
        except Cut:
            pass
        assert now - unsaved_ms <= 900000
        if counters:
            again = Counters(files, False, 0)
            lost_s = counters.now.lamp_s - again.saved.lamp_s
            assert lost_s <= 905
            lost_wh = counters.now.energy_wh - again.saved.energy_wh
            assert lost_wh <= 11  # 40 W for a quarter of an hour
            assert reported(again) >= told
    assert told[2] > 1000 * 900
    assert told[4] >= 900


def test_energy_is_exact_over_a_year():
    counters = Counters(Files(), False, 0)
    for _ in range(365 * 24):
        counters.energy(40 * 1000000 * 3600 + 7)
    assert counters.now.energy_wh * 3600000000 + counters.now.rest_uj == 365 * 24 * (40 * 1000000 * 3600 + 7)


def test_burning_time_keeps_its_parts_of_seconds():
    counters = Counters(Files(), False, 0)
    for ms in range(0, 100000, 99):
        counters.lamp(True, ms)
    assert counters.now.lamp_s == 99
    assert counters.now.starts == 1


def test_starts_are_counted_when_the_lamp_goes_on():
    counters = Counters(Files(), False, 0)
    for ms, lit in ((0, True), (1000, True), (2000, False), (3000, False), (4000, True), (5000, False)):
        counters.lamp(lit, ms)
    assert counters.now.starts == 2
    assert counters.now.lamp_s == 3


def test_a_damaged_document_starts_from_nothing_instead_of_failing():
    files = Files()
    files.content[PATH] = b"\xff\x00garbage"
    assert reported(Counters(files, False, 0)) == (0, 0, 0, 0, 0)


def test_flash_that_refuses_leaves_what_is_reported_alone():
    class Full(Files):
        def write_atomic(self, path, data):
            raise OSError(28)

    counters = Counters(Full(), False, 0)
    counters.energy(10**12)
    assert not counters.save(1000)
    assert counters.saved.energy_wh == 0
    assert not counters.is_due(2000)  # no hammering
