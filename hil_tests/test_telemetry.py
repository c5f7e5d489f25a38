"""What a node reports about the world and about itself, as the broker gets it."""

import pytest

from hil_tests.conftest import SETTINGS, Measure
from hil_tests.harness.console import Console
from hil_tests.harness.node import Node, number, unit
from protocol.records import FLAG_FAIL, FLAG_MISSING

INTERVAL_S = SETTINGS["interval_s"]
TICK_S = 1e-6  # after the record itself
WARM_S = 60  # the slowest sensor is to be believed after 45 s

# What the air around a bench can be; a value outside is a fault of the node or of its sensor.
AIR = {
    "pm1": (0, 500),
    "pm25": (0, 500),
    "pm10": (0, 1000),
    "t_in": (-20, 60),
    "rh_in": (1, 100),
    "voc_idx": (1, 500),
    "co2": (350, 5000),
    "p": (85_000, 108_500),
    "t_amb": (-20, 60),
    "rh_amb": (1, 100),
}
LIGHT = {"v": (207, 253), "i": (0, 1), "p_active": (0, 80), "pf": (0, 1), "level_actual": (0, 100)}


@pytest.mark.kind("air")
def test_every_sensor_of_an_air_node_is_in_its_records(node: Node, measure: Measure) -> None:
    found = node.record(WARM_S + 2 * INTERVAL_S, fits=lambda values, flags: AIR.keys() <= values.keys() and not flags)
    for channel, (low, high) in AIR.items():
        value = found.fields["values"][channel]
        measure(channel, number(value), unit(value), low, high)


@pytest.mark.kind("light")
def test_meter_and_level_of_a_light_node_are_in_its_records(node: Node, measure: Measure) -> None:
    node.command("set_level", level=200, seconds=600)  # a lamp that is off has no power factor
    found = node.record(120, fits=lambda values, flags: LIGHT.keys() <= values.keys() and not flags)
    for channel, (low, high) in LIGHT.items():
        value = found.fields["values"][channel]
        measure(channel, number(value), unit(value), low, high)


def test_records_follow_each_other_without_a_gap(node: Node) -> None:
    since = node.now()
    first = node.record(3 * INTERVAL_S, since)
    found = first
    for _ in range(4):
        found = node.record(3 * INTERVAL_S, found.at_s + TICK_S)
        flags = found.fields["flags"]
        wrong = [name for name, flag in flags.items() if flag in (FLAG_FAIL, FLAG_MISSING) and name != "pf"]
        assert not wrong, f"{wrong} of record {found.fields['seq']} failed or are missing"
    assert node.settled().missing == 0


def test_a_node_says_how_it_is(node: Node, console: Console, measure: Measure) -> None:
    since = node.now()
    node.command("heartbeat")
    state = node.state(20, since, online=True, kind=node.kind)
    report = console.report()
    assert (report.fw, report.slot, report.manifest) == (
        state.fields["firmware"],
        state.fields["slot"],
        state.fields["manifest"].hex(),
    )
    health = node.shown()["health"]
    measure("heap_free", health["heap_free"], "By", low=20_000)
    measure("loop_lag_p95", health["loop_lag_p95_ms"] or 0, "ms", high=500)
    measure("task_restarts", health["task_restarts"], "1", high=0)
    measure("watchdog_margin", health["wdt_margin_ms"], "ms", low=20_000)


def test_a_node_obeys_and_says_so(node: Node) -> None:
    since = node.now()
    assert node.command("ping")["up_s"] > 0
    node.event("command", 20, since, name="ping")
    assert node.command("read_config")["interval_s"] == INTERVAL_S


def test_a_new_interval_holds_from_the_next_record_on(node: Node) -> None:
    node.configure(interval_s=5, report_s=15)
    wanted = 5 if node.kind == "air" else 15
    since = node.now()
    node.hear("record", lambda heard: heard.fields["interval_s"] == wanted, 60, since)
