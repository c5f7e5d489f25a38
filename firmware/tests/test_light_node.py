"""The light product over the models: nights, faults, cuts, commands; the lamp is never dark when it should be lit."""

from firmware.tests.stage import EPOCH_S, Files, Node, play
from node.core.commands import CommandError
from node.drivers.pwm_lamp import DUTY_FULL, duty_of
from node.light.control import SOFT_START
from node.tasks import light
from protocol import channels as c
from protocol import events as e
from protocol.channels import REASON_FAIL_BRIGHT, REASON_OVERRIDE, REASON_PROGRAM
from protocol.messages import E_ARGUMENT, RESET_POWER_ON, RESET_SOFT, RESET_WATCHDOG
from protocol.records import FLAG_MISSING, PHASE_END, PHASE_START
from protocol.tests.expect import raises

MINUTE = 60000
HOUR = 60 * MINUTE


class Scene:
    """A light node whose two tasks take turns, second by second."""

    def __init__(self, known=True, safe=False, **boot):
        self.node = Node("light", **boot)
        if known:
            self.node.know_time()
        self.product = light.build(self.node, safe, self.node.time.sleep_ms)
        self.lamp = self.node.parts.pwm["lamp"]
        self.darkest = 1

    def run(self, ms):
        """Both tasks for that long: the meter's is played, the lamp's steps at each of its beats."""
        task = self.product.lamp_task

        def each():
            task.step()
            self.darkest = min(self.darkest, self.lamp.dimming())

        if self.product.metering:
            play(self.product.metering.run, self.node.time, ms, each)
        else:
            play(task.run, self.node.time, ms, each)

    def skip(self, ms):
        """Time passes and nobody runs."""
        self.node.time.now_ms += ms

    def codes(self):
        return self.node.journal.codes()

    def last(self, channel):
        return self.node.journal.records[-1].samples[channel]


def test_a_day_has_its_night_and_its_records():
    scene = Scene()  # midnight
    rows = ((3, 100), (5, 200), (6, 200), (8, 0), (12, 0), (16, 200), (22, 200), (23, 100))
    for hour, level in rows:
        scene.skip(EPOCH_S * 1000 + hour * HOUR - scene.node.clock.utc_ms())
        scene.run(31 * MINUTE)
        record = scene.node.journal.records[-1]
        assert (record.t, record.interval) == (EPOCH_S + hour * 3600 + 900, 900)
        samples = record.samples
        assert samples[c.LEVEL_TARGET].mean == level, hour
        assert samples[c.LEVEL_ACTUAL].mean == level, hour
        assert abs(samples[c.LEVEL_FEEDBACK].mean - level) <= 4, hour
        assert samples[c.LEVEL_REASON].mean == REASON_PROGRAM
    assert scene.codes() == []


def test_each_change_of_level_is_told_at_once_and_no_second_is_left_out():
    scene = Scene(settings={"report_s": 3600})
    for minute in (240, 450, 930, 1380):
        scene.skip(EPOCH_S * 1000 + (minute - 5) * MINUTE - scene.node.clock.utc_ms())
        scene.run(7 * MINUTE)
        ends = [record.t + record.interval - EPOCH_S - minute * 60 for record in scene.node.journal.records]
        assert [end for end in ends if 0 < end <= 15], minute
    records = scene.node.journal.records
    for index in range(1, len(records)):
        assert records[index].t == records[index - 1].t + records[index - 1].interval


def test_metered_values_and_energy():
    scene = Scene()
    scene.run(HOUR)
    lamp = scene.lamp
    assert abs(scene.last(c.P_ACTIVE).mean - lamp.power_w() * 10) <= 3
    assert abs(scene.last(c.V).mean - 230000) < 8000
    assert abs(scene.last(c.PF).mean - lamp.power_factor() * 1000) <= 10
    assert abs(scene.last(c.S).mean - lamp.power_w() / lamp.power_factor() * 10) <= 5
    assert scene.last(c.Q).mean > 0
    energy = scene.product.counters.now.energy_wh
    assert abs(energy - lamp.energy_j / 3600) <= 2
    assert scene.last(c.E_ACTIVE).mean <= energy
    assert scene.product.counters.now.lamp_s >= 3600 - 2
    assert scene.last(c.STARTS).mean == 1


def test_statistics_are_sent_when_asked_for():
    scene = Scene(settings={"stats": True})
    scene.run(HOUR)
    assert scene.last(c.V).n > 600
    assert scene.last(c.V).low < scene.last(c.V).high


def test_the_power_factor_of_no_load_is_missing():
    scene = Scene()
    scene.skip(12 * HOUR)
    scene.run(31 * MINUTE)
    assert scene.last(c.PF).flag == FLAG_MISSING
    assert scene.last(c.P_ACTIVE).mean == 0
    assert scene.last(c.LEVEL_FEEDBACK).mean == 0


# What may happen to a node in a night on which nobody knows the time
NIGHTS = {
    "power comes back": (RESET_POWER_ON, ()),
    "the watchdog bites": (RESET_WATCHDOG, ()),
    "a restart on purpose": (RESET_SOFT, ()),
    "the meter is silent": (RESET_POWER_ON, (("cse7766", "unplugged"),)),
    "the meter sends noise": (RESET_POWER_ON, (("cse7766", "garbage"),)),
    "the meter lost its coefficients": (RESET_SOFT, (("cse7766", "storage"),)),
    "the mains are weak": (RESET_SOFT, (("lamp", "mains_v"),)),
}


def test_the_lamp_is_never_dark_in_a_night_of_unknown_time():
    for sentence in NIGHTS:
        cause, faults = NIGHTS[sentence]
        for safe in (False, True):
            scene = Scene(known=False, safe=safe, cause=cause)
            for part, fault in faults:
                scene.node.parts.fault(part, fault, 180)
            for _ in range(4):
                scene.run(10 * MINUTE)
                scene.skip(4 * HOUR)
            scene.run(2 * MINUTE)
            assert scene.darkest >= duty_of(SOFT_START) / DUTY_FULL, sentence
            assert scene.lamp.dimming() == 1, sentence
            assert (e.LAMP_FAIL_BRIGHT, PHASE_START) in scene.codes(), sentence


def test_after_a_restart_without_a_power_cut_the_lamp_does_not_even_dim():
    scene = Scene(known=False, cause=RESET_WATCHDOG)
    scene.run(5 * MINUTE)
    assert scene.darkest == 1


def test_a_time_that_is_only_a_lower_bound_is_unknown():
    scene = Scene(known=False)
    scene.node.clock.set_utc((EPOCH_S + 12 * 3600) * 1000, 1)
    scene.run(5 * MINUTE)
    assert scene.lamp.dimming() == 1
    scene.node.clock.set_utc((EPOCH_S + 12 * 3600) * 1000)
    scene.run(5 * MINUTE)
    assert scene.lamp.dimming() == 0
    assert scene.codes() == [(e.LAMP_FAIL_BRIGHT, PHASE_START), (e.LAMP_FAIL_BRIGHT, PHASE_END)]


def test_a_cached_programme_goes_on_for_ever_without_a_network():
    scene = Scene()
    for _ in range(3):
        scene.skip(12 * HOUR)
        scene.run(MINUTE)
        assert scene.lamp.dimming() == 0  # noon
        for _ in range(9):
            scene.skip(24 * HOUR)
            scene.node.clock.uptime_ms()  # the clock is read at least every few days
        scene.skip(12 * HOUR)
        scene.run(MINUTE)
        assert scene.lamp.dimming() > 0.4  # midnight


def test_a_lamp_task_that_fails_leaves_the_lamp_at_full_and_says_so():
    scene = Scene()
    scene.skip(12 * HOUR)
    scene.run(MINUTE)
    assert scene.lamp.dimming() == 0
    task = scene.product.lamp_task
    good = scene.node.settings
    scene.node.settings = {}
    raises(KeyError, play, task.run, scene.node.time, MINUTE)
    assert scene.lamp.dimming() == 1
    raises(KeyError, play, task.run, scene.node.time, MINUTE)
    scene.node.settings = good
    play(task.run, scene.node.time, MINUTE)
    assert scene.codes() == [(e.LAMP_FAIL_BRIGHT, PHASE_START), (e.LAMP_FAIL_BRIGHT, PHASE_END)]
    assert scene.node.journal.events[0].attrs == {1: "KeyError"}


def test_a_lamp_task_that_is_cancelled_leaves_the_lamp_at_full():
    scene = Scene()
    scene.skip(12 * HOUR)
    play(scene.product.lamp_task.run, scene.node.time, MINUTE)
    assert scene.lamp.dimming() == 1


def test_faults_of_the_lamp_begin_and_end_an_event():
    rows = (
        ("lamp", "failed", -1, 6, e.LAMP_FAILURE),
        ("lamp", "stuck_on", -1, 12, e.LAMP_UNEXPECTED_ON),
        ("lamp", "power_pct", 60, 6, e.LAMP_POWER_LOW),
        ("lamp", "power_pct", 150, 6, e.LAMP_POWER_HIGH),
        ("lamp", "mains_v", 200, 6, e.SUPPLY_VOLTAGE),
        ("cse7766", "unplugged", -1, 6, e.METER_FAULT),
        ("cse7766", "garbage", -1, 6, e.METER_FAULT),
        ("cse7766", "storage", -1, 6, e.METER_FAULT),
    )
    for part, fault, value, hour, code in rows:
        scene = Scene()
        scene.skip(hour * HOUR)
        scene.run(5 * MINUTE)
        scene.node.parts.fault(part, fault, value)
        scene.run(7 * MINUTE)
        assert scene.codes() == [(code, PHASE_START)], fault
        scene.node.parts.fault(part, fault, 0)
        scene.run(7 * MINUTE)
        assert scene.codes() == [(code, PHASE_START), (code, PHASE_END)], fault


def test_a_silent_meter_leaves_the_lamp_alone_and_its_values_missing():
    scene = Scene()
    scene.node.parts.fault("cse7766", "unplugged")
    scene.run(HOUR)
    for channel in (c.V, c.I, c.P_ACTIVE, c.LEVEL_FEEDBACK):
        assert scene.last(channel).flag == FLAG_MISSING
    assert scene.last(c.LEVEL_ACTUAL).mean == 100
    assert scene.product.healthy()


def test_damaged_frames_are_counted_and_survived():
    scene = Scene()
    scene.node.parts.fault("cse7766", "crc", 8)
    scene.run(10 * MINUTE)
    assert scene.codes() == []
    assert scene.product.sensor_errors >= 8


def test_an_override_holds_for_its_time_whatever_the_wall_clock_does():
    scene = Scene()
    scene.run(5 * MINUTE)
    assert scene.product.commands["set_level"]({"level": 30, "seconds": 600}) == {"level": 30, "seconds": 600}
    scene.run(MINUTE)
    assert scene.last(c.LEVEL_REASON).mean == REASON_OVERRIDE
    assert scene.last(c.LEVEL_ACTUAL).mean == 30
    scene.node.clock.set_utc((EPOCH_S + 12 * 3600) * 1000)
    scene.run(8 * MINUTE)
    assert scene.lamp.dimming() == 30 * 65535 // 200 / 65535
    scene.run(2 * MINUTE)
    assert scene.lamp.dimming() == 0  # it is noon now


def test_an_override_can_be_cleared():
    scene = Scene()
    scene.product.commands["set_level"]({"level": 0, "seconds": 3600})
    scene.run(2 * MINUTE)
    assert scene.lamp.dimming() == 0
    assert scene.product.commands["clear_override"]({}) == {"cleared": 1}
    scene.run(2 * MINUTE)
    assert scene.lamp.dimming() > 0.4


def test_arguments_out_of_range_are_refused_and_named():
    command = Scene().product.commands["set_level"]
    rows = (
        ({}, "level"),
        ({"level": 201, "seconds": 1}, "level"),
        ({"level": -1, "seconds": 1}, "level"),
        ({"level": True, "seconds": 1}, "level"),
        ({"level": "9", "seconds": 1}, "level"),
        ({"level": 9}, "seconds"),
        ({"level": 9, "seconds": 0}, "seconds"),
        ({"level": 9, "seconds": 604801}, "seconds"),
    )
    for args, name in rows:
        error = raises(CommandError, command, args)
        assert error.code == E_ARGUMENT
        assert error.text.startswith(name), args


def test_reported_counters_survive_cuts_and_never_go_back():
    files = Files()
    told = (-1, -1, -1)
    time = parts = None
    for boot in range(30):
        scene = Scene(time=time, parts=parts, files=files, known=boot % 3 > 0)
        time, parts = scene.node.time, scene.node.parts
        scene.run((boot * 7919 % 37 + 1) * MINUTE)
        for record in scene.node.journal.records:
            now = tuple([record.samples[channel].mean for channel in (c.E_ACTIVE, c.LAMP_S, c.STARTS)])
            assert [index for index in range(3) if now[index] < told[index]] == [], boot
            told = now
    assert told[0] > 100


def test_an_orderly_restart_loses_nothing():
    files = Files()
    scene = Scene(files=files)
    scene.run(22 * MINUTE)
    scene.product.close()
    before = scene.product.counters.now
    after = Scene(files=files, cause=RESET_SOFT).product.counters.now
    assert after.to_map() == before.to_map()
    assert after.energy_wh > 5


def test_flash_is_written_four_times_an_hour_and_not_more():
    scene = Scene()
    scene.run(HOUR)
    assert scene.node.files.writes <= 8


def test_safe_mode_keeps_the_lamp_and_only_the_lamp():
    scene = Scene(safe=True)
    assert [row[0] for row in scene.product.tasks] == ["lamp"]
    scene.run(MINUTE)
    assert scene.product.healthy()


def test_unknown_time_is_the_reason_that_is_reported():
    scene = Scene(known=False)
    scene.run(20 * MINUTE)
    assert scene.last(c.LEVEL_REASON).mean == REASON_FAIL_BRIGHT


def test_it_may_restart_only_while_its_programme_wants_no_light():
    night, day = 0, 12
    rows = {
        "at night": (night, {}, (), False),
        "by day": (day, {}, (), True),
        "at an unknown time": (None, {}, (), False),
        "by day, with an order for light": (day, {}, (("set_level", {"level": 40, "seconds": 900}),), False),
        "by day, with an order for darkness": (day, {}, (("set_level", {"level": 0, "seconds": 900}),), False),
        "a lamp that is never off": (day, {"lamp_on_min": 5, "lamp_off_min": 5}, (), False),
    }
    for sentence, (hour, settings, orders, may) in rows.items():
        scene = Scene(known=False, settings=settings)
        assert not scene.product.may_restart(), "before anything is decided"
        if hour is not None:
            scene.node.clock.set_utc((EPOCH_S + hour * 3600) * 1000)
        for name, args in orders:
            scene.product.commands[name](args)
        scene.run(MINUTE)
        assert scene.product.may_restart() is may, sentence


def test_what_works_is_told_rule_by_rule():
    scene = Scene()
    scene.run(2 * MINUTE)
    assert not scene.product.healthy(), "the meter had no time to find a lamp that does not obey"
    scene.run(MINUTE)
    assert scene.product.healthy()
    sound = scene.product.working()
    scene.lamp.faults["failed"] = 1
    scene.run(3 * MINUTE)
    assert sound & ~scene.product.working()
    assert Scene(safe=True).product.working() == 0
