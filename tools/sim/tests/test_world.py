"""The simulated world: the same for everybody, different for every seed and place, plausible all year."""

from protocol.tests.expect import raises
from tools.sim.models import Bench
from tools.sim.world import World, hash32

DAY_MS = 86400000
MONDAY_S = 1767571200  # 2026-01-05 00:00 UTC
GOLDEN = ["0.077", "58.586", "98592.302", "7.328", "10.178", "16.142", "20.118", "446.906", "102.687", "12.810"]


def fields(air):
    return (
        air.temperature,
        air.humidity,
        air.pressure,
        air.pm1,
        air.pm25,
        air.pm4,
        air.pm10,
        air.co2,
        air.voc,
        air.nox,
    )


def test_numbers_are_the_same_on_every_interpreter():
    assert hash32() == 0x9E3779B9
    assert hash32(1, 2, 3) == 0xDC581450
    assert hash32(-1) == hash32(0xFFFFFFFF)
    air = World(7, "air-1", MONDAY_S).air(8 * 3600000)
    found = ["{:.3f}".format(value) for value in fields(air)]
    assert found == GOLDEN, found


def test_the_world_is_a_function_of_time_whatever_was_asked_before():
    one = World(1, "a", MONDAY_S)
    two = World(1, "a", MONDAY_S)
    for step in range(200):
        one.air(step * 77777)
    assert fields(one.air(DAY_MS)) == fields(two.air(DAY_MS))
    later = World(1, "a", MONDAY_S + 86400)
    assert fields(later.air(0)) == fields(one.air(DAY_MS))


def test_seeds_and_places_differ_but_share_the_weather_of_their_seed():
    here, there, other = World(1, "a").air(DAY_MS), World(1, "b").air(DAY_MS), World(2, "a").air(DAY_MS)
    assert here.pm25 != there.pm25
    assert here.pressure == there.pressure
    assert here.pressure != other.pressure


def test_air_is_plausible_all_year():
    world = World(5, "x", MONDAY_S)
    limits = (
        (-20, 40),
        (10, 100),
        (96000, 101000),
        (0.3, 80),
        (0.5, 80),
        (0.8, 120),
        (1, 150),
        (400, 600),
        (1, 500),
        (1, 500),
    )
    for hour in range(0, 365 * 24, 5):
        values = fields(world.air(hour * 3600000 + hash32(hour) % 3600000))
        for index, value in enumerate(values):
            assert limits[index][0] <= value <= limits[index][1], (hour, index, value)
        assert values[3] < values[4] < values[5] < values[6]
        assert 220 < world.mains_v(hour * 3600000) < 240


def test_particles_follow_the_rush_hours_of_working_days():
    world = World(5, "x", MONDAY_S)

    def mean(day, hour):
        return sum([world.air(day * DAY_MS + hour * 3600000 + k * 60000).pm25 for k in range(60)]) / 60

    for day in range(5):
        assert mean(day, 6) > mean(day, 2) + 2
        assert mean(day, 17) > mean(day, 2) + 2
    assert mean(5, 6) < mean(4, 6)


def test_air_changes_smoothly():
    world = World(5, "x", MONDAY_S)
    before = world.air(0)
    for minute in range(1, 3 * 1440):
        now = world.air(minute * 60000)
        assert abs(now.temperature - before.temperature) < 0.5
        assert abs(now.pressure - before.pressure) < 20
        assert abs(now.pm25 - before.pm25) < 2
        before = now


def test_a_fault_that_a_part_cannot_have_is_refused_with_those_that_it_can():
    bench = Bench("light", lambda: 0, World())
    error = raises(KeyError, bench.fault, "lamp", "flat_tyre")
    assert "stuck_on" in str(error)
    raises(KeyError, bench.fault, "sen66", "fan")


def test_an_old_lamp_gives_less_light_for_more_power():
    now = [0]
    lamp = Bench("light", lambda: now[0], World()).pwm["lamp"]
    lamp.duty_u16(65535)
    light, power = lamp.light(), lamp.power_w()
    for _ in range(10):
        now[0] += 5000 * 3600000
        lamp.advance()
    assert lamp.light() < light * 0.85
    assert power * 1.03 < lamp.power_w() < power * 1.05
    assert lamp.age_h == 50000
