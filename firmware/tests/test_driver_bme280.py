"""The BME280 driver: the worked example of the data sheet, the float formulas as referee, the model and its faults."""

from firmware.tests.stage import bench, run
from node.drivers import errors
from node.drivers.bme280 import Bme280, Calibration
from protocol.tests.expect import raises
from tools.sim.models.bme280 import Coefficients
from tools.sim.world import hash32


def started():
    time, parts = bench("air")
    part = Bme280(parts.i2c["sensors"], time.sleep_ms)
    run(part.start())
    return time, parts, part


def drawn(seed):
    """Coefficients as parts have them: the example, each up to 8 % away."""
    found = Coefficients()

    def spread(values, base):
        return tuple(
            value + value * ((hash32(seed, base, index) & 0xFF) - 128) // 1600 for index, value in enumerate(values)
        )

    found.T = spread(Coefficients.T, 1)
    found.P = spread(Coefficients.P, 2)
    found.H = spread(Coefficients.H, 3)
    return found


def test_the_worked_example_of_the_data_sheet():
    low, high = Coefficients().registers()
    calibration = Calibration(low, high)
    fine = calibration.t_fine(519888)
    assert fine == 128422
    assert fine * 5 + 128 >> 8 == 2508  # 25.08 degree
    pressure = calibration.pressure(415148, fine)
    assert abs(pressure * 100 - 10065327 * 256) < 256 * 3  # 100653.27 Pa


def test_calibration_words_come_back_from_the_registers():
    for seed in range(200):
        wanted = drawn(seed)
        found = Calibration(*wanted.registers())
        assert (found.t1, found.t2, found.t3) == wanted.T
        assert (found.p1,) + tuple(found.p) == wanted.P
        assert (found.h1, found.h2, found.h3, found.h4, found.h5, found.h6) == wanted.H


def test_the_two_humidity_words_that_share_a_byte_keep_their_signs():
    rows = ((313, 50), (-1, 1), (1, -1), (-2048, 2047), (2047, -2048), (0, -16), (-16, 0))
    for h4, h5 in rows:
        wanted = Coefficients()
        wanted.H = (75, 370, 0, h4, h5, -30)
        found = Calibration(*wanted.registers())
        assert (found.h4, found.h5, found.h6) == (h4, h5, -30)


def test_integers_follow_the_float_formulas_over_the_whole_range():
    for seed in range(150):
        wanted = drawn(seed)
        integer = Calibration(*wanted.registers())
        raw_t = 400000 + hash32(seed, 10) % 240000
        raw_p = 250000 + hash32(seed, 11) % 300000
        raw_h = 20000 + hash32(seed, 12) % 25000
        fine = integer.t_fine(raw_t)
        assert abs(fine - wanted.fine(raw_t)) < 40, seed  # 0.008 degree
        assert abs(integer.pressure(raw_p, fine) / 256 - wanted.pressure(raw_p, fine)) < 3, seed
        assert abs(integer.humidity(raw_h, fine) / 1024 - wanted.humidity(raw_h, fine)) < 0.06, seed


def test_void_coefficients_give_no_pressure_instead_of_a_crash():
    wanted = Coefficients()
    wanted.P = (0,) + Coefficients.P[1:]
    assert Calibration(*wanted.registers()).pressure(415148, 128422) is None


def test_the_driver_reads_the_truth_of_the_world():
    time, parts, part = started()
    world = parts.parts["bme280"].world
    for _ in range(300):
        run(time.sleep_ms(293000))
        assert run(part.sample())
        air = world.air(time.now())
        pressure, temperature, humidity = part.values
        assert abs(pressure - air.pressure) < 6
        assert abs(temperature - air.temperature * 100) < 3
        assert abs(humidity - air.humidity * 100) < 30


def test_quantities_that_were_skipped_are_missing():
    _, parts, part = started()
    chip = parts.parts["bme280"]
    chip.raw = (0x80000, 519888, 30000)
    run(part.sample())
    assert part.values[:2] == [None, 2508]
    assert part.values[2] is not None
    chip.raw = (415148, 0x80000, 30000)
    run(part.sample())
    assert part.values == [None, None, None]


def test_another_chip_at_the_address_is_named():
    _, parts, part = started()
    parts.fault("bme280", "identity", 0x58)
    error = raises(errors.IdentityError, run, part.start())
    assert "0x58" in str(error)


def test_faults_end_in_declared_errors():
    rows = (("unplugged", errors.BusError), ("stuck", errors.BusError), ("busy", errors.NotReadyError))
    for fault, kind in rows:
        _, parts, part = started()
        parts.fault("bme280", fault)
        raises(kind, run, part.sample())
        parts.fault("bme280", fault, 0)
        assert run(part.sample())


def test_two_missing_acknowledges_are_survived():
    _, parts, part = started()
    parts.fault("bme280", "nack", 2)
    assert run(part.sample())


def test_a_sample_before_the_start_is_refused():
    time, parts = bench("air")
    raises(errors.NotReadyError, run, Bme280(parts.i2c["sensors"], time.sleep_ms).sample())


def test_a_frozen_part_repeats_itself():
    time, parts, part = started()
    run(part.sample())
    first = list(part.values)
    parts.fault("bme280", "frozen")
    run(time.sleep_ms(3600000))
    run(part.sample())
    assert part.values == first
