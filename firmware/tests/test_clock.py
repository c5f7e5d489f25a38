"""Time of a boot, and what of it outlives one."""

from firmware.tests.fakes import EIO, Files, Time
from node.core.clock import Clock, ticks_diff
from node.core.timekeeper import PATH, Timekeeper
from protocol.records import TQ_BOUND, TQ_NTP_DAY, TQ_NTP_HOUR, TQ_RTC, TQ_UPTIME

PERIOD = 1 << 30
NOW_S = 1_800_000_000
HOUR = 3600
DAY = 86400


def test_ticks_differ_across_the_wrap():
    rows = {
        "no time": (5, 5, 0),
        "forwards": (10, 3, 7),
        "across the wrap": (2, PERIOD - 3, 5),
        "backwards across the wrap": (PERIOD - 3, 2, -5),
        "as far as it goes": ((1 << 29) - 1, 0, (1 << 29) - 1),
        "ticks of a 64-bit port": ((1 << 40) + 9, 1 << 40, 9),
    }
    for sentence, row in rows.items():
        assert ticks_diff(row[0], row[1]) == row[2], sentence


def test_uptime_does_not_wrap():
    time = Time(PERIOD - 1000)
    time.sleep(40 * DAY * 1000)
    assert time.clock.uptime_ms() == 40 * DAY * 1000
    assert time.clock.uptime_s() == 40 * DAY


def test_uptime_never_goes_back():
    ticks = [500]
    clock = Clock(lambda: ticks[0])
    ticks[0] = 900
    assert clock.uptime_ms() == 400
    ticks[0] = 700
    assert clock.uptime_ms() == 400
    ticks[0] = 1000
    assert clock.uptime_ms() == 500


def test_since_is_right_across_the_wrap():
    time = Time(PERIOD - 10)
    start = time.clock.ticks()
    time.ms += 25
    assert time.clock.since(start) == 25


def test_before_the_first_sync_a_stamp_is_uptime():
    time = Time(77)
    time.sleep(4200)
    assert time.clock.utc_ms() is None
    assert time.clock.utc_s() is None
    assert time.clock.age_s() is None
    assert time.clock.stamp() == (4, TQ_UPTIME)


def test_utc_runs_with_the_ticks():
    time = Time()
    time.sleep(1500)
    time.clock.set_utc(NOW_S * 1000 + 250)
    time.sleep(2000)
    assert time.clock.utc_ms() == NOW_S * 1000 + 2250
    assert time.clock.stamp() == (NOW_S + 2, TQ_NTP_HOUR)


def test_quality_ages():
    rows = {
        "just set": (TQ_NTP_HOUR, 0, TQ_NTP_HOUR),
        "the last second of an hour": (TQ_NTP_HOUR, HOUR - 1, TQ_NTP_HOUR),
        "an hour": (TQ_NTP_HOUR, HOUR, TQ_NTP_DAY),
        "the last second of a day": (TQ_NTP_HOUR, DAY - 1, TQ_NTP_DAY),
        "a day": (TQ_NTP_HOUR, DAY, TQ_RTC),
        "a week": (TQ_NTP_HOUR, 7 * DAY, TQ_BOUND),
        "a battery-backed clock is never better than it is": (TQ_RTC, 0, TQ_RTC),
        "a bound stays a bound": (TQ_BOUND, 10, TQ_BOUND),
    }
    for sentence, row in rows.items():
        time = Time()
        time.clock.set_utc(NOW_S * 1000, row[0])
        time.sleep(row[1] * 1000)
        assert time.clock.quality() == row[2], sentence


def test_the_anchor_is_that_of_the_first_sync():
    time = Time()
    time.sleep(10_000)
    time.clock.set_utc((NOW_S - 5000) * 1000, TQ_BOUND)
    assert time.clock.anchor_s is None
    time.clock.set_utc(NOW_S * 1000)
    time.sleep(60_000)
    time.clock.set_utc((NOW_S + 63) * 1000)
    assert time.clock.anchor_s == NOW_S - 10
    assert time.clock.utc_s() == NOW_S + 63


def keeper(files, boot=1, made=0):
    time = Time()
    return time, Timekeeper(files, time.clock, boot, made)


def test_the_floor_starts_at_provisioning():
    time, keep = keeper(Files(), made=1_700_000_000)
    assert time.clock.floor_s == 1_700_000_000
    keep.tick(False)
    assert time.clock.floor_s == 1_700_000_000


def test_an_anchor_outlives_its_boot_and_the_oldest_are_forgotten():
    files = Files()
    for boot in range(1, 12):
        time, keep = keeper(files, boot)
        time.sleep(3000)
        time.clock.set_utc((NOW_S + boot * 100) * 1000)
        keep.tick(False)
    _, keep = keeper(files, 20)
    assert keep.zero_s(20) is None
    assert [keep.zero_s(boot) for boot in (3, 4, 11)] == [None, NOW_S + 397, NOW_S + 1097]


def test_the_floor_rises_only_while_a_broker_proves_the_time():
    files = Files()
    time, keep = keeper(files)
    time.clock.set_utc(NOW_S * 1000)
    keep.tick(False)
    assert keeper(files, 2)[0].clock.floor_s == 0
    keep.tick(True)
    assert time.clock.floor_s == NOW_S
    assert keeper(files, 2)[0].clock.floor_s == NOW_S


def test_a_lie_of_an_hour_about_the_time_is_over_after_a_day():
    files = Files()
    time, keep = keeper(files, made=NOW_S)
    time.clock.set_utc((NOW_S + 3000 * 24 * HOUR) * 1000)
    for _ in range(HOUR):
        keep.tick(True)
        time.sleep(1000)
    assert time.clock.floor_s == NOW_S + 24 * HOUR
    assert (keeper(files, 2)[0].clock.floor_s, files.writes) == (NOW_S + 24 * HOUR, 1)


def test_flash_is_written_at_the_first_sync_and_then_hourly():
    files = Files()
    time, keep = keeper(files)
    keep.tick(True)
    assert files.writes == 0
    time.clock.set_utc(NOW_S * 1000)
    for _ in range(3 * HOUR):
        keep.tick(True)
        time.sleep(1000)
    assert files.writes == 3


def test_a_damaged_or_refused_document_does_no_harm():
    files = Files()
    files.data[PATH] = b"\xff\x00garbage"
    time, keep = keeper(files, made=5)
    assert time.clock.floor_s == 5
    files.fail = EIO
    time.clock.set_utc(NOW_S * 1000)
    keep.tick(True)
    assert keep.zero_s(1) == NOW_S
