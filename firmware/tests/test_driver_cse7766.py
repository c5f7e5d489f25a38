"""The CSE7766 parser: frames of real parts, garbage, wrapping pulses, and the model on a UART."""

from firmware.tests.stage import bench, run
from node.core.integers import clamp, div_round, isqrt, median3
from node.drivers.cse7766 import (
    FAULT_CALIBRATION,
    FAULT_POWER,
    FAULT_STORAGE,
    FAULT_VOLTAGE,
    FRAME,
    Cse7766,
)
from node.drivers.pwm_lamp import PwmLamp, duty_of
from tools.sim.world import hash32

# Frames that owners of real plugs published with their bug reports
LOADED = bytes.fromhex("555A02EC7000035A0040B5006BB3520FD000A31BF26FF311")
IDLE = bytes.fromhex("555A02B7500002FB003D360456914C72506F187861007A4C")


def sealed(frame):
    frame = bytearray(frame)
    frame[23] = sum(frame[2:23]) & 0xFF
    return bytes(frame)


def pulses(count, head=0x55):
    frame = bytearray(LOADED)
    frame[0] = head
    frame[21] = count >> 8 & 0xFF
    frame[22] = count & 0xFF
    return sealed(frame)


def test_a_frame_of_a_real_part_under_load():
    meter = Cse7766()
    assert meter.feed(LOADED, FRAME) == 1
    assert meter.voltage_mv == 191600 * 1000 // 858  # 223.3 V
    assert meter.current_dma == 16565 * 10000 // 27571  # 0.6008 A
    assert meter.power_dw == 5378000 * 10 // 41755  # 128.7 W
    assert meter.apparent_dva == 1341
    assert meter.reactive_dvar == isqrt(1341 * 1341 - 1287 * 1287)
    assert meter.factor_pm == 1287 * 1000 // 1341
    assert meter.fault == 0


def test_a_frame_of_a_real_part_without_load():
    meter = Cse7766()
    assert meter.feed(IDLE, FRAME) == 1
    assert meter.voltage_mv == 178000 * 1000 // 763
    assert meter.power_dw == 0
    assert meter.current_dma == 15670 * 10000 // 284305  # 0.055 A: a power supply that idles
    assert meter.factor_pm == 0


def test_header_bits():
    power = 5378000 * 10 // 41755
    rows = (
        (0x55, 0, True, power),
        (0xF2, FAULT_POWER, True, 0),
        (0xF8, FAULT_VOLTAGE, False, power),
        (0xF1, FAULT_STORAGE, False, None),
        (0xAA, FAULT_CALIBRATION, False, None),
    )
    for head, fault, has_voltage, expected in rows:
        meter = Cse7766()
        meter.feed(pulses(0, head), FRAME)
        assert meter.fault == fault, hex(head)
        assert (meter.voltage_mv is not None) == has_voltage
        assert meter.power_dw == expected


def test_other_headers_start_no_frame():
    meter = Cse7766()
    for first in range(256):
        meter.feed(bytes([first, 0x5B]) + bytes(30), 32)
    assert meter.frames == 0


def test_currents_below_the_blind_limit_are_none_at_all():
    frame = bytearray(LOADED)
    frame[11:14] = (16565 * 10000 // 499).to_bytes(3, "big")
    meter = Cse7766()
    meter.feed(sealed(frame), FRAME)
    assert meter.current_dma == 0
    assert meter.factor_pm is None


def test_a_period_of_zero_is_no_value():
    frame = bytearray(LOADED)
    frame[5:8] = frame[11:14] = b"\0\0\0"
    meter = Cse7766()
    meter.feed(sealed(frame), FRAME)
    assert meter.voltage_mv is None
    assert meter.current_dma is None
    assert meter.apparent_dva is None
    assert meter.reactive_dvar is None


def test_energy_counts_pulses_over_the_wrap_of_sixteen_bits():
    meter = Cse7766()
    count = 65000
    meter.feed(pulses(count), FRAME)
    assert meter.energy_uj == 0  # the first frame only sets the mark
    for _ in range(300):
        count += 7
        meter.feed(pulses(count), FRAME)
    assert meter.energy_uj == 300 * 7 * 5378000


def test_a_meter_that_restarts_adds_no_energy():
    meter = Cse7766()
    meter.feed(pulses(5000), FRAME)
    meter.feed(pulses(5010), FRAME)
    meter.feed(pulses(3), FRAME)
    meter.feed(pulses(5), FRAME)
    assert meter.energy_uj == 12 * 5378000


def test_bytes_may_come_in_any_pieces():
    stream = b"".join(pulses(count) for count in range(100))
    for size in (1, 2, 3, 7, 23, 24, 25, 100, 2400):
        meter = Cse7766()
        for at in range(0, len(stream), size):
            piece = stream[at : at + size]
            meter.feed(piece, len(piece))
        assert meter.frames == 100
        assert meter.errors == 0


def test_the_frame_after_any_garbage_is_found():
    for seed in range(400):
        garbage = bytes([hash32(seed, index) >> 8 & 0xFF for index in range(seed % 61)])
        if seed % 3 == 0:
            garbage += LOADED[: seed % 24]  # a frame that was cut
        meter = Cse7766()
        meter.feed(garbage, len(garbage))
        found = 0
        for _ in range(2):  # at most the frame that the garbage swallowed is lost
            found += meter.feed(LOADED, FRAME)
        assert found >= 1, seed


def test_a_frame_inside_a_false_start_is_not_lost():
    meter = Cse7766()
    assert meter.feed(b"\x55\x5a" + LOADED + LOADED, 2 + 2 * FRAME) == 2
    assert meter.errors == 1


def test_no_single_damaged_byte_passes_as_a_value():
    for at in range(2, 24):
        frame = bytearray(LOADED)
        frame[at] ^= 0x10
        meter = Cse7766()
        assert meter.feed(frame, FRAME) == 0
        assert meter.errors == 1


def test_the_model_and_the_driver_agree_on_power_and_energy():
    time, parts = bench("light")
    lamp = parts.pwm["lamp"]
    uart = parts.uart["meter"]
    meter = Cse7766()
    buffer = bytearray(256)
    lamp.duty_u16(40000)
    for _ in range(1200):
        run(time.sleep_ms(250))
        count = uart.readinto(buffer)
        meter.feed(buffer, count or 0)
    assert meter.errors == 0
    assert abs(meter.power_dw - lamp.power_w() * 10) < 4
    assert abs(meter.voltage_mv - lamp.volts() * 1000) < 600
    assert abs(meter.energy_uj / 1e6 - lamp.energy_j) < lamp.energy_j / 100 + 12
    assert abs(meter.factor_pm / 1000 - lamp.power_factor()) < 0.01


def test_a_reader_that_comes_late_loses_frames_but_no_energy():
    time, parts = bench("light")
    uart = parts.uart["meter"]
    meter = Cse7766()
    buffer = bytearray(256)
    for _ in range(400):
        run(time.sleep_ms(3000))
        meter.feed(buffer, uart.readinto(buffer) or 0)
    lamp = parts.pwm["lamp"]
    assert abs(meter.energy_uj / 1e6 - lamp.energy_j) < lamp.energy_j / 50 + 200


def test_garbage_and_silence_of_the_model():
    time, parts = bench("light")
    uart = parts.uart["meter"]
    meter = Cse7766()
    buffer = bytearray(256)
    for fault in ("garbage", "unplugged"):
        parts.fault("cse7766", fault)
        run(time.sleep_ms(5000))
        uart.readinto(buffer)
        run(time.sleep_ms(500))
        before = meter.frames
        meter.feed(buffer, uart.readinto(buffer) or 0)
        assert meter.frames == before
        parts.fault("cse7766", fault, 0)
    run(time.sleep_ms(500))
    assert meter.feed(buffer, uart.readinto(buffer) or 0) > 0


def test_duty_follows_the_level_in_straight_lines():
    assert [duty_of(level) for level in (0, 1, 100, 199, 200)] == [0, 327, 32767, 65207, 65535]
    curve = ((0, 0), (2, 6553), (100, 20000), (200, 65535))
    assert [duty_of(level, curve) for level in (0, 1, 2, 51, 100, 150, 200)] == [
        0,
        3276,
        6553,
        13276,
        20000,
        42767,
        65535,
    ]
    last = -1
    for level in range(201):
        assert duty_of(level, curve) > last
        last = duty_of(level, curve)


class Output:
    def __init__(self):
        self.written = []

    def duty_u16(self, value):
        self.written.append(value)


def test_a_lamp_is_lit_from_the_first_instant_and_holds_its_level():
    pwm = Output()
    lamp = PwmLamp(pwm)
    assert pwm.written == [65535]
    for level in (100, 100, 0, -5, 999):
        lamp.set(level)
    assert pwm.written == [65535, 32767, 0, 65535]
    assert lamp.level == 200


def test_integer_helpers():
    for value in list(range(2000)) + [10**k + d for k in range(4, 20) for d in (-1, 0, 1)]:
        root = isqrt(value)
        assert root * root <= value < (root + 1) * (root + 1)
    assert [div_round(v, 10) for v in (-16, -15, -14, -5, 0, 4, 5, 14, 15)] == [-2, -1, -1, 0, 0, 0, 1, 1, 2]
    assert median3(3, 1, 2) == median3(1, 2, 3) == median3(2, 3, 1) == 2
    assert [clamp(v, 0, 9) for v in (-1, 0, 5, 9, 10)] == [0, 0, 5, 9, 9]
