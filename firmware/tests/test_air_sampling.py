"""The air product over the models: records, events, flags, and what happens when a sensor breaks."""

from firmware.tests.stage import EPOCH_S, Node, play
from node.tasks import air
from protocol import channels as c
from protocol.events import SENSOR_FAULT, SENSOR_STATUS
from protocol.records import (
    FLAG_FAIL,
    FLAG_MISSING,
    FLAG_PASS,
    FLAG_SUSPECT,
    PHASE_END,
    PHASE_START,
    TQ_NTP_HOUR,
    TQ_UPTIME,
)

MINUTE = 60000
PARTICLES = (c.PM1, c.PM25, c.PM4, c.PM10)


def started(minutes=3, settings=None):
    """A node that knows the time and has run for some minutes."""
    node = Node("air", settings=settings)
    node.know_time()
    product = air.build(node, False, node.time.sleep_ms)
    task = product.tasks[0][1]
    go(node, task, minutes)
    return node, product, task


def go(node, task, minutes):
    play(task, node.time, minutes * MINUTE)


def test_a_record_a_minute_at_whole_minutes_of_utc():
    node, product, _ = started(10)
    records = node.journal.records
    assert [record.t for record in records] == [EPOCH_S + 60 * k for k in range(len(records))]
    assert [(record.tq, record.interval) for record in records] == [(TQ_NTP_HOUR, 60)] * len(records)
    assert len(records) >= 9
    assert product.healthy()


def test_a_record_holds_every_channel_and_the_status():
    node, _, _ = started()
    samples = node.journal.records[-1].samples
    assert sorted(samples) == sorted(
        PARTICLES + (c.T_IN, c.RH_IN, c.VOC_IDX, c.NOX_IDX, c.CO2, c.P, c.T_AMB, c.RH_AMB, c.STATUS)
    )
    assert samples[c.STATUS].mean & ~c.STATUS_HUMID == 0
    assert [channel for channel in samples if samples[channel].flag != FLAG_PASS] == []


def test_means_are_those_of_the_world():
    node, _, _ = started(30)
    world = node.parts.parts["sen66"].world
    record = node.journal.records[-1]
    airs = [world.air((record.t - EPOCH_S + second) * 1000) for second in range(0, 60, 5)]

    def mean(field):
        return sum([getattr(one, field) for one in airs]) / len(airs)

    samples = record.samples
    assert abs(samples[c.PM25].mean - mean("pm25") * 10) < 3
    assert abs(samples[c.P].mean - mean("pressure")) < 5
    assert abs(samples[c.T_AMB].mean - mean("temperature") * 100) < 4
    assert abs(samples[c.CO2].mean - mean("co2")) < 3  # compensated with the other sensor's pressure


def test_the_first_record_says_that_the_sensor_was_warming_up():
    node, _, _ = started(3)
    first = node.journal.records[0]
    assert first.samples[c.STATUS].mean & c.STATUS_WARM_UP
    assert first.samples[c.PM25].flag == FLAG_SUSPECT
    assert first.samples[c.T_AMB].flag == FLAG_PASS
    assert not node.journal.records[1].samples[c.STATUS].mean & c.STATUS_WARM_UP


def test_statistics_are_sent_when_asked_for():
    node, _, _ = started(3, {"stats": True})
    sample = node.journal.records[-1].samples[c.PM25]
    assert 55 <= sample.n <= 60
    assert sample.low <= sample.mean <= sample.high
    assert sample.sd > 0
    assert node.journal.records[-1].samples[c.P].n == 6


def test_short_intervals_have_values_too():
    node, _, _ = started(5, {"interval_s": 1})
    records = node.journal.records[120:]
    missing = [record for record in records if record.samples[c.PM25].flag == FLAG_MISSING]
    assert len(records) > 150
    assert len(missing) * 20 <= len(records)
    assert [record for record in records if record.samples[c.P].flag == FLAG_MISSING] == []


def test_without_time_records_carry_uptime():
    node = Node("air")
    product = air.build(node, False, node.time.sleep_ms)
    go(node, product.tasks[0][1], 4)
    assert [(record.t, record.tq) for record in node.journal.records[:3]] == [
        (0, TQ_UPTIME),
        (60, TQ_UPTIME),
        (120, TQ_UPTIME),
    ]


def test_an_unplugged_sensor_is_missing_and_the_others_go_on():
    for part, channel, other in (("sen66", c.PM25, c.P), ("bme280", c.P, c.PM25)):
        node, product, task = started()
        node.parts.fault(part, "unplugged")
        go(node, task, 5)
        samples = node.journal.records[-1].samples
        assert samples[channel].flag == FLAG_MISSING, part
        assert samples[channel].mean is None
        assert samples[other].flag == FLAG_PASS, part
        assert node.journal.codes() == [(SENSOR_FAULT, PHASE_START)]
        assert node.journal.events[0].attrs[1] == part
        assert product.sensor_errors >= 3
        node.parts.fault(part, "unplugged", 0)
        go(node, task, 10)
        assert node.journal.codes() == [(SENSOR_FAULT, PHASE_START), (SENSOR_FAULT, PHASE_END)]
        assert node.journal.records[-1].samples[channel].flag == FLAG_PASS


def test_a_stuck_bus_takes_both_and_gives_both_back():
    node, _, task = started()
    node.parts.fault("bme280", "stuck")
    go(node, task, 5)
    flags = [sample.flag for channel, sample in node.journal.records[-1].samples.items() if channel != c.STATUS]
    assert flags == [FLAG_MISSING] * 12
    node.parts.fault("bme280", "stuck", 0)
    go(node, task, 12)
    assert sorted(node.journal.codes()) == [(SENSOR_FAULT, PHASE_START)] * 2 + [(SENSOR_FAULT, PHASE_END)] * 2


def test_a_sensor_that_answers_without_data_is_started_again():
    node, _, task = started()
    node.parts.fault("sen66", "silent")
    go(node, task, 3)
    assert node.journal.codes() == [(SENSOR_FAULT, PHASE_START)]
    assert "no new value" in node.journal.events[0].attrs[2]
    node.parts.fault("sen66", "silent", 0)
    go(node, task, 12)
    assert node.journal.codes()[-1] == (SENSOR_FAULT, PHASE_END)


def test_single_errors_are_survived_in_silence():
    node, product, task = started()
    for _ in range(20):
        node.parts.fault("sen66", "crc", 5)
        node.parts.fault("bme280", "nack", 4)
        go(node, task, 1)
    assert node.journal.codes() == []
    assert node.journal.records[-1].samples[c.PM25].flag == FLAG_PASS
    assert product.sensor_errors > 0


def test_a_dead_sensor_costs_few_events_and_few_attempts():
    node, product, task = started()
    node.parts.fault("sen66", "unplugged")
    go(node, task, 24 * 60)
    assert len(node.journal.events) == 1
    assert product.sensor_errors < 24 * 60 / 5 + 20


def test_a_broken_fan_fails_the_particles_only():
    node, _, task = started()
    node.parts.fault("sen66", "fan")
    go(node, task, 3)
    samples = node.journal.records[-1].samples
    assert samples[c.STATUS].mean & c.STATUS_FAN
    assert [samples[channel].flag for channel in PARTICLES] == [FLAG_FAIL] * 4
    assert samples[c.CO2].flag == FLAG_PASS
    node.parts.fault("sen66", "fan", 0)
    go(node, task, 3)
    assert node.journal.codes() == [(SENSOR_STATUS, PHASE_START), (SENSOR_STATUS, PHASE_END)]
    assert node.journal.events[0].attrs == {1: c.STATUS_FAN, 2: 0}
    assert node.journal.events[1].attrs == {1: 0, 2: c.STATUS_FAN}


def test_a_frozen_sensor_is_suspect_after_its_time():
    node, _, task = started()
    node.parts.fault("sen66", "frozen")
    go(node, task, 29)
    assert node.journal.records[-1].samples[c.CO2].flag == FLAG_PASS
    go(node, task, 35)
    assert node.journal.records[-1].samples[c.CO2].flag == FLAG_SUSPECT


def test_the_task_can_be_started_again_at_any_time():
    node, _, task = started()
    for _ in range(5):
        play(task, node.time, 7000)
    go(node, task, 2)
    assert node.journal.records[-1].samples[c.PM25].flag in (FLAG_PASS, FLAG_SUSPECT)


def test_in_safe_mode_nothing_is_sampled():
    node = Node("air")
    product = air.build(node, True, node.time.sleep_ms)
    assert product.tasks == []
    assert product.healthy()
    product.close()


def test_a_missing_value_leaves_a_record_that_fits_the_contract():
    node, _, task = started(3, {"stats": True})
    node.parts.fault("sen66", "unplugged")
    node.parts.fault("bme280", "unplugged")
    go(node, task, 3)
    assert node.journal.records[-1].samples[c.PM25].to_cbor() == [None, FLAG_MISSING, 0, None, None, None]


def test_each_sensor_that_answers_counts_as_working():
    node, product, task = started()
    assert product.working() == 3
    assert product.may_restart()
    node.parts.parts["sen66"].faults["unplugged"] = 1
    go(node, task, 2)
    assert product.working() == 1
