"""The command core of Sensirion parts and the SEN66 driver, against the register-level model and its faults."""

from firmware.tests.stage import bench, run
from node.drivers import errors
from node.drivers.registry import driver
from node.drivers.sen66 import Sen66
from node.drivers.sensirion import crc8, signed, unsigned
from protocol import channels
from protocol.tests.expect import raises
from tools.sim.models import sen66 as model

# word: check byte, from the data sheets
CRC = {
    0xBEEF: 0x92,
    0x0000: 0x81,
    0xFFFF: 0xAC,
    0x7FFF: 0x8F,
    0x8000: 0xA2,
    0x6666: 0x93,
    0xA2EB: 0x8C,
    0x0500: 0xF6,
    0x0300: 0xAC,
    0x01F4: 0x33,
    0x6667: 0xA2,
    0x5EB9: 0x3C,
}


def started(ms=0):
    time, parts = bench("air")
    part = Sen66(parts.i2c["sensors"], time.sleep_ms)
    run(part.start())
    run(time.sleep_ms(ms))
    return time, parts, part


def value(part, channel):
    return part.values[part.CHANNELS.index(channel)]


def test_check_bytes_are_those_of_the_data_sheets():
    for word in CRC:
        assert crc8(word >> 8, word & 0xFF) == CRC[word], hex(word)
        assert model.crc8(bytes([word >> 8, word & 0xFF])) == CRC[word], hex(word)


def test_table_and_bitwise_check_bytes_agree_for_every_word():
    for word in range(0, 0x10000, 7):
        assert crc8(word >> 8, word & 0xFF) == model.crc8(bytes([word >> 8, word & 0xFF]))


def test_sentinels_are_no_value():
    assert unsigned(0xFFFF) is None
    assert unsigned(0xFFFE) == 65534
    assert signed(0x7FFF) is None
    assert signed(0x7FFE) == 32766
    assert signed(0x8000) == -32768
    assert signed(0xFFFF) == -1


def test_the_registry_finds_parts_by_name_and_names_those_it_has():
    assert driver("sensor", "sen66") is Sen66
    error = raises(KeyError, driver, "sensor", "sen55")
    assert "sen66" in str(error)


def test_start_identifies_the_part():
    _, _parts, part = started()
    assert len(part.serial) == 8
    assert run(part.version()) == (4, 0)


def test_nothing_is_ready_before_the_first_second():
    time, _, part = started()
    assert run(part.sample()) is False
    run(time.sleep_ms(1200))
    assert run(part.sample()) is True
    assert run(part.sample()) is False  # one measurement per second


def test_values_that_do_not_exist_yet_are_none():
    _, _, part = started(1500)
    assert run(part.sample())
    assert value(part, channels.NOX_IDX) is None
    assert value(part, channels.CO2) is None
    assert value(part, channels.PM25) is not None
    assert value(part, channels.VOC_IDX) is not None


def test_values_are_those_of_the_world_in_the_scale_of_their_channels():
    time, parts, part = started(180000)
    air = parts.parts["sen66"].world.air(time.now())
    run(part.set_pressure(int(air.pressure)))
    run(time.sleep_ms(6000))
    assert run(part.sample())
    near = (
        (channels.PM1, air.pm1 * 10, 12),
        (channels.PM25, air.pm25 * 10, 12),
        (channels.PM4, air.pm4 * 10, 15),
        (channels.PM10, air.pm10 * 10, 20),
        (channels.T_IN, (air.temperature + 1.8) * 100, 6),
        (channels.VOC_IDX, air.voc * 10, 30),
        (channels.NOX_IDX, air.nox * 10, 5),
        (channels.CO2, air.co2, 6),
    )
    for channel, expected, tolerance in near:
        assert abs(value(part, channel) - expected) <= tolerance, (channel, value(part, channel), expected)


def test_ambient_pressure_compensates_co2_and_survives_a_restart_of_the_part():
    time, parts, part = started(20000)
    chip = parts.parts["sen66"]
    run(part.sample())
    wrong = value(part, channels.CO2)
    run(part.set_pressure(95000))
    assert chip.hpa == 950
    run(time.sleep_ms(6000))
    run(part.sample())
    assert value(part, channels.CO2) > wrong
    run(part.start())
    assert chip.hpa == 950


def test_a_pressure_within_the_same_hpa_is_not_written_again():
    time, _, part = started()
    run(part.set_pressure(98512))
    before = time.slept
    run(part.set_pressure(98540))
    assert time.slept == before


def test_two_damaged_answers_are_asked_for_again_and_a_third_is_an_error():
    _, parts, part = started(2000)
    parts.fault("sen66", "crc", 2)
    assert run(part.sample())
    parts.fault("sen66", "crc")
    raises(errors.CrcError, run, part.sample())


def test_two_missing_acknowledges_are_survived_and_silence_is_an_error():
    _, parts, part = started(2000)
    parts.fault("sen66", "nack", 2)
    assert run(part.sample())
    parts.fault("sen66", "nack")
    raises(errors.BusError, run, part.sample())


def test_faults_of_the_bus_end_in_a_declared_error_and_in_bounded_time():
    for fault in ("unplugged", "stuck"):
        time, parts, part = started(2000)
        parts.fault("sen66", fault)
        before = time.now()
        raises(errors.BusError, run, part.sample())
        raises(errors.BusError, run, part.start())
        assert time.now() - before < 1000
        parts.fault("sen66", fault, 0)
        run(part.start())


def test_a_read_before_the_execution_time_is_not_acknowledged_by_the_model():
    time, parts, _ = started(2000)
    bus = parts.i2c["sensors"]
    bus.writeto(0x6B, b"\x02\x02")
    raises(OSError, bus.readfrom, 0x6B, 3)
    run(time.sleep_ms(20))
    assert bus.readfrom(0x6B, 3) == b"\x00\x01\xb0"


def test_the_model_refuses_a_damaged_argument_and_a_command_of_the_wrong_state():
    _time, parts, _ = started()
    bus = parts.i2c["sensors"]
    raises(OSError, bus.writeto, 0x6B, b"\x67\x20\x03\xb6\x00")
    raises(OSError, bus.writeto, 0x6B, b"\x56\x07")  # fan cleaning needs idle


def test_a_fan_fault_shows_in_the_status_until_it_was_read_after_its_end():
    _, parts, part = started(2000)
    assert run(part.status()) == 0
    parts.fault("sen66", "fan")
    assert run(part.status()) == channels.STATUS_FAN
    parts.fault("sen66", "fan", 0)
    assert run(part.status()) == 0


def test_every_status_bit_has_its_meaning():
    rows = (
        (1 << 4, channels.STATUS_FAN),
        (1 << 6, channels.STATUS_RHT),
        (1 << 7, channels.STATUS_GAS),
        (1 << 9, channels.STATUS_CO2),
        (1 << 11, channels.STATUS_PM),
        (1 << 21, channels.STATUS_FAN_SPEED),
        (1 << 3, 0),
    )
    for register, bits in rows:
        _, parts, part = started()
        parts.fault("sen66", "status", register)
        assert run(part.status()) == bits, hex(register)


def test_stop_leaves_the_part_idle():
    _time, _, part = started(2000)
    run(part.stop())
    assert run(part.sample()) is False
