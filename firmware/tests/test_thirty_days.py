"""Thirty simulated days of the products' logic, across two wraps of the ticks, with a clock that comes and goes."""

from firmware.tests.stage import EPOCH_S, Files
from node.air.station import Station
from node.core.clock import Clock
from node.core.interval import Interval
from node.light.arbiter import Arbiter
from node.light.control import Control
from node.light.programme import is_within
from protocol import channels as c
from protocol.channels import REASON_FAIL_BRIGHT, REASON_OVERRIDE
from protocol.records import FLAG_PASS
from protocol.settings import SETTINGS
from tools.sim.world import World, hash32

DEFAULTS = {row[1]: row[5] for row in SETTINGS}
DAYS = 30
MINUTES = DAYS * 1440


class Ticks:
    def __init__(self):
        self.ms = (1 << 30) - 5000

    def __call__(self):
        return self.ms & (1 << 30) - 1


def test_the_lamp_is_lit_in_every_minute_that_needs_it():
    ticks = Ticks()
    clock = Clock(ticks)
    control = Control(Arbiter(Files(), 0), lambda name: DEFAULTS[name], lambda below: below - 1, True, 0)
    dark = lit = unknown = 0
    for minute in range(MINUTES):
        ticks.ms += 60000
        known = minute // 1440 % 7 != 3 or minute % 1440 < 720  # half of every seventh day nobody knows the time
        if hash32(minute) % 2000 == 0:
            control.arbiter.override(hash32(minute, 1) % 201, 1 + hash32(minute, 2) % 7200, clock.uptime_s())
        level = control.step(minute % 1440 if known else None, clock.uptime_ms())
        if control.reason == REASON_OVERRIDE or control.is_fading:
            continue
        night = is_within(minute % 1440, DEFAULTS["lamp_on_min"], DEFAULTS["lamp_off_min"])
        if not known:
            assert (level, control.reason) == (200, REASON_FAIL_BRIGHT)
            unknown += 1
        elif night:
            assert level in (100, 200)
            lit += 1
        else:
            assert level == 0
            dark += 1
    assert lit > MINUTES // 3
    assert dark > MINUTES // 5
    assert unknown > MINUTES // 20


def test_a_record_for_every_minute_and_no_false_alarm_in_plausible_air():
    ticks = Ticks()
    clock = Clock(ticks)
    world = World(3, "y", EPOCH_S)
    station = Station((c.PM25, c.T_AMB))
    interval = Interval(clock)
    start = ticks.ms
    flagged = count = 0
    after_s = None
    expected = {c.PM25: 2, c.T_AMB: 2}
    for step in range(2 * MINUTES):
        ticks.ms += 30000
        if step == 100 or (step > 100 and step % 120 == 0):
            clock.set_utc(EPOCH_S * 1000 + ticks.ms - start + hash32(step) % 100 - 50)
        ended = interval.tick(60)
        if ended:
            count += 1
            if after_s is not None and clock.utc_s() is not None and after_s > EPOCH_S:
                assert ended[0] == after_s
            after_s = ended[0] + ended[2]
            samples = station.close(ended[2], expected, False)
            if count > 2 and samples[c.PM25].flag + samples[c.T_AMB].flag != 2 * FLAG_PASS:
                flagged += 1
        if step % 2 == 0:
            air = world.air(ticks.ms - start)
        for jitter in (0, 1):
            station.add(c.PM25, int(air.pm25 * 10) + (hash32(step, jitter) & 1), True)
            station.add(c.T_AMB, int(air.temperature * 100) + (hash32(step, jitter) & 1), True)
    assert DAYS * 1440 - 2 <= count <= DAYS * 1440 + 2
    assert flagged * 1000 < count, flagged
