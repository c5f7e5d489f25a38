"""Statistics, intervals and quality flags: pure decisions, as tables."""

from firmware.tests.stage import EPOCH_S
from node.air.quality import Judge, context_flag
from node.core.clock import Clock
from node.core.interval import Interval
from node.core.stats import Stats
from protocol import channels as c
from protocol.records import (
    FLAG_FAIL,
    FLAG_MISSING,
    FLAG_NOT_EVALUATED,
    FLAG_PASS,
    FLAG_SUSPECT,
    TQ_NTP_HOUR,
    TQ_UPTIME,
    Sample,
)
from tools.sim.world import hash32

P, S, F = FLAG_PASS, FLAG_SUSPECT, FLAG_FAIL


def stats_of(values):
    stats = Stats()
    for value in values:
        stats.add(value)
    return stats


def flags(channel, means, seconds=60, spread=1):
    """Flags of a run of interval means; None = missing."""
    judge = Judge(channel)
    found = []
    for mean in means:
        values = [] if mean is None else [mean] if not spread else [mean - spread, mean, mean + spread]
        found.append(judge.flag(stats_of(values), seconds))
    return found


def test_statistics_of_nothing_are_missing():
    assert Stats().sample() == Sample(None, FLAG_MISSING)
    assert Stats().sample(FLAG_PASS, True) == Sample(None, FLAG_MISSING, 0)


def test_statistics_agree_with_floats_everywhere():
    for seed in range(300):
        n = 1 + hash32(seed, 1) % 90
        centre = hash32(seed, 2) % 2000001 - 1000000
        width = 1 + hash32(seed, 3) % 50000
        values = [centre + hash32(seed, 4, index) % width for index in range(n)]
        stats = stats_of(values)
        mean = sum(values) / n
        assert abs(stats.mean - mean) <= 0.5
        assert (stats.n, stats.low, stats.high) == (n, min(values), max(values))
        if n > 1:
            sd = (sum([(value - mean) ** 2 for value in values]) / (n - 1)) ** 0.5
            assert abs(stats.sd - sd) <= 0.51 + sd / 1e9, seed


def test_statistics_hold_an_hour_of_the_largest_values():
    stats = stats_of([(1 << 47) - 1 - (index & 1) for index in range(3600)])
    assert stats.mean in ((1 << 47) - 1, (1 << 47) - 2)
    assert stats.sd == 1


def test_statistics_begin_anew():
    stats = stats_of([5, 9])
    stats.clear()
    stats.add(-3)
    assert stats.sample(FLAG_PASS, True) == Sample(-3, FLAG_PASS, 1, 0, -3, -3)


RUNS = {
    "a plausible value passes": (c.PM25, [120], [P]),
    "beyond the sensor's limit fails": (c.PM25, [10001], [F]),
    "below zero fails": (c.PM25, [-1], [F]),
    "a rare value is suspect": (c.PM25, [2501], [S]),
    "a spike is suspect, once": (c.PM25, [100, 110, 700, 105, 104], [P, P, S, P, P]),
    "a step is suspect, once": (c.PM25, [100, 100, 700, 702, 705], [P, P, S, P, P]),
    "a hill is no spike": (c.PM25, [100, 500, 900, 1300], [P, P, P, P]),
    "a jump that is small beside the level passes": (c.PM25, [1200, 1200, 1900], [P, P, P]),
    "a rate above 100 ug/m3 a minute is suspect": (c.PM25, [1400, 1400, 2401], [P, P, S]),
    "co2 below the air's own fails": (c.CO2, [349, 389, 391], [F, S, P]),
    "co2 indoors is suspect": (c.CO2, [2001], [S]),
    "co2 spike": (c.CO2, [430, 430, 700, 430], [P, P, S, P]),
    "frost beyond the climate is suspect": (c.T_AMB, [-2600, -2500], [S, P]),
    "temperature out of the part's range fails": (c.T_AMB, [8600, -4100], [F, F]),
    "temperature rate above 2 degree a minute": (c.T_AMB, [1000, 1201, 1300], [P, S, P]),
    "humidity below 5 % is suspect": (c.RH_AMB, [499, 501], [S, P]),
    "humidity of 100 % passes": (c.RH_AMB, [10000], [P]),
    "pressure of a mountain is suspect": (c.P, [92999, 93000], [S, P]),
    "pressure rate above 1 hPa a minute": (c.P, [98000, 98101, 98150], [P, S, P]),
    "an index within its range passes": (c.NOX_IDX, [10, 5000, 5001, 9], [P, P, F, F]),
    "after a gap nothing is compared": (c.PM25, [100, 100, None, 1500], [P, P, P, P]),
    "a channel without limits is not evaluated": (c.LUX, [5], [FLAG_NOT_EVALUATED]),
}


def test_runs_of_means():
    for sentence in RUNS:
        channel, means, expected = RUNS[sentence]
        assert flags(channel, means) == expected, sentence


def test_flat_lines():
    rows = (
        ("co2 that stands still for 30 minutes", c.CO2, 500, 30),
        ("particles for an hour", c.PM25, 80, 60),
        ("but clean air only for 10 minutes", c.PM25, 0, 10),
        ("temperature for two hours", c.T_AMB, 1234, 120),
        ("pressure for three hours", c.P, 98000, 180),
    )
    for sentence, channel, value, minutes in rows:
        found = flags(channel, [value] * (minutes + 2), spread=0)
        assert found == [P] * minutes + [S, S], sentence
        if value:
            assert S not in flags(channel, [value] * (minutes + 2), spread=1), sentence


def test_limits_per_minute_hold_for_other_intervals():
    assert flags(c.T_AMB, [1000, 1900], seconds=300) == [P, P]
    assert flags(c.T_AMB, [1000, 2001], seconds=300) == [P, S]
    assert flags(c.T_AMB, [1000, 1199], seconds=1) == [P, P]
    assert flags(c.T_AMB, [1000, 4000], seconds=3600) == [P, P]  # an hour later everything may have changed


def test_status_bits_flag_the_channels_they_touch():
    assert context_flag(c.PM25, 0) == P
    assert context_flag(c.PM25, c.STATUS_FAN) == F
    assert context_flag(c.CO2, c.STATUS_FAN) == P
    assert context_flag(c.PM10, c.STATUS_FAN_SPEED) == S
    assert context_flag(c.CO2, c.STATUS_CO2 | c.STATUS_GAS) == F
    assert context_flag(c.VOC_IDX, c.STATUS_GAS) == F
    assert context_flag(c.RH_IN, c.STATUS_RHT) == F


class Ticks:
    def __init__(self, start=0):
        self.ms = start

    def __call__(self):
        return self.ms & (1 << 30) - 1


def intervals(steps, length=60):
    """What an Interval makes of steps (ms to wait, UTC to set before or None)."""
    ticks = Ticks((1 << 30) - 100000)  # across the wrap
    clock = Clock(ticks)
    interval = Interval(clock)
    found = []
    for wait_ms, utc_ms in steps:
        ticks.ms += wait_ms
        if utc_ms is not None:
            clock.set_utc(utc_ms, TQ_NTP_HOUR)
        ended = interval.tick(length)
        if ended:
            found.append(ended)
    return found


def test_without_utc_intervals_lie_on_minutes_of_uptime():
    found = intervals([(1000, None)] * 200)
    assert found == [(0, TQ_UPTIME, 60), (60, TQ_UPTIME, 60), (120, TQ_UPTIME, 60)]


def test_once_utc_is_known_they_lie_on_minutes_of_utc_and_nothing_is_left_out():
    start = (EPOCH_S + 1234) * 1000 + 345
    found = intervals([(1000, None)] * 90 + [(0, start)] + [(1000, None)] * 200)
    assert found[0] == (0, TQ_UPTIME, 60)
    assert found[1] == (EPOCH_S + 1204, TQ_NTP_HOUR, 56)  # dated back, cut at the minute
    assert found[2:] == [(EPOCH_S + 1260 + 60 * k, TQ_NTP_HOUR, 60) for k in range(2)]


def test_a_slewed_clock_does_not_shift_the_minutes():
    utc = EPOCH_S * 1000
    steps = [(1000, utc + 1000)]
    for second in range(2, 400):
        steps.append((1000, utc + second * 1000 + (hash32(second) % 400 - 200)))
    found = intervals(steps)
    assert [row[0] for row in found[1:]] == [EPOCH_S + 60 * k for k in range(1, len(found))]
    assert [row[2] for row in found[1:]] == [60] * (len(found) - 1)


def test_steps_of_the_clock_give_shorter_and_longer_intervals_without_a_hole():
    utc = EPOCH_S * 1000
    back = intervals([(1000, utc + 1000)] + [(1000, None)] * 70 + [(1000, utc + 50000)] + [(1000, None)] * 80)
    for index in range(1, len(back)):
        assert back[index][0] <= back[index - 1][0] + back[index - 1][2]
    forward = intervals([(1000, utc + 1000)] + [(1000, None)] * 70 + [(1000, utc + 500000)] + [(1000, None)] * 80)
    assert min([row[2] for row in back + forward]) >= 1


def test_a_length_of_one_second_gives_a_record_per_second():
    found = intervals([(500, EPOCH_S * 1000)] + [(1000, None)] * 50, length=1)
    assert [row[2] for row in found] == [1] * 50


def test_an_interval_that_was_slept_through_is_one_long_record():
    found = intervals([(1000, EPOCH_S * 1000), (500000, None), (1000, None)])
    assert found[-1][2] > 60 or found[-1][0] + found[-1][2] == EPOCH_S + 480
