"""A lamp does what it is told, its meter tells what it does, and in doubt it burns."""

import pytest

from hil_tests.conftest import Measure
from hil_tests.harness.board import BenchBoard
from hil_tests.harness.city import City
from hil_tests.harness.console import Console
from hil_tests.harness.node import Node, number
from hil_tests.harness.stimulus import FAULTS, Stimulus
from protocol.channels import REASON_FAIL_BRIGHT, REASON_OVERRIDE

FULL = 200  # steps of 0.5 %
RATED_W = 40.0
TOLERANCE_W = RATED_W * 0.2  # as the node's own rules have it
DARK_S = 60  # without a time: some records of it
SETTLE_S = 90  # a fade, the soft start after a power cut, and the record that tells the level

pytestmark = pytest.mark.kind("light")


@pytest.mark.parametrize("percent", [100, pytest.param(60, marks=pytest.mark.slow), 30, 0])
def test_the_meter_sees_the_level_that_was_ordered(percent: int, node: Node, measure: Measure) -> None:
    since = node.now()
    node.command("set_level", level=percent * FULL // 100, seconds=600)
    node.record(SETTLE_S, since, lambda values, flags: number(values["level_actual"]) == percent)
    told = node.now()
    record = node.record(60, told, lambda values, flags: number(values["level_actual"]) == percent)
    record = node.record(60, record.at_s, lambda values, flags: number(values["level_actual"]) == percent)
    values = record.fields["values"]
    assert number(values["level_reason"]) == REASON_OVERRIDE
    expected = RATED_W * (1 - (100 - percent) / 110) if percent else 0.0
    measure("power", number(values["p_active"]), "W", max(0.0, expected - TOLERANCE_W), expected + TOLERANCE_W)
    measure("voltage", number(values["v"]), "V", 207, 253)
    if percent:
        measure("power_factor", number(values["pf"]), "1", 0.5, 1)


@pytest.mark.fixtures(FAULTS)
def test_a_lamp_that_does_not_burn_is_a_failure(node: Node, stimulus: Stimulus, measure: Measure) -> None:
    since = node.now()
    node.command("set_level", level=FULL, seconds=3600)
    node.record(SETTLE_S, since, lambda values, flags: number(values["level_actual"]) == 100)
    began = node.now()
    stimulus.fault("lamp", "failed")
    told = node.event("lamp_failure", 120, began, "start")
    measure("noticed", (told.at_s - began) * node.rate, "s", high=120 + node.rate)
    assert told.fields["attributes"]["level"] == FULL
    stimulus.well()
    node.event("lamp_failure", 120, told.at_s, "end")


@pytest.mark.fixtures(FAULTS)
@pytest.mark.parametrize(
    ("fault", "text"), [("unplugged", "no frame"), ("garbage", "no frame"), ("storage", "coefficients lost")]
)
def test_a_meter_that_fails_leaves_the_lamp_alone(fault: str, text: str, node: Node, stimulus: Stimulus) -> None:
    since = node.now()
    node.command("set_level", level=FULL, seconds=3600)
    node.record(SETTLE_S, since, lambda values, flags: number(values["level_actual"]) == 100)
    began = node.now()
    stimulus.fault("cse7766", fault)
    told = node.event("meter_fault", 60, began, "start", text=text)
    dark = node.record(60, told.at_s, lambda values, flags: values["p_active"] == "missing")
    assert number(dark.fields["values"]["level_actual"]) == 100
    stimulus.well()
    well = node.event("meter_fault", 60, told.at_s, "end")
    node.record(60, well.at_s, lambda values, flags: number(values["p_active"]) > 0)


@pytest.mark.fixtures(FAULTS)
@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "value", "event"),
    [
        ("power_pct", 50, "lamp_power_low"),
        ("power_pct", 150, "lamp_power_high"),
        ("mains_v", 270, "supply_voltage"),
        ("mains_v", 190, "supply_voltage"),
    ],
)
def test_what_is_out_of_bounds_is_told(fault: str, value: int, event: str, node: Node, stimulus: Stimulus) -> None:
    since = node.now()
    node.command("set_level", level=FULL, seconds=7200)
    node.record(SETTLE_S, since, lambda values, flags: number(values["level_actual"]) == 100)
    began = node.now()
    stimulus.fault("lamp", fault, value)
    told = node.event(event, 420, began, "start")
    stimulus.well()
    node.event(event, 420, told.at_s, "end")


@pytest.mark.switch
def test_a_lamp_burns_while_its_node_does_not_know_the_time(
    node: Node, board: BenchBoard, city: City, console: Console
) -> None:
    """After a power cut without network the programme cannot be followed: the lamp is on, and says why afterwards."""
    node.command("clear_override")
    city.cut(board.id)
    board.power_off()
    board.power_on()
    console.report(30, asking=False)
    node.sleep(DARK_S)
    since = node.now()
    city.heal(board.id)
    node.record(
        240,
        since,
        lambda values, flags: (
            number(values["level_reason"]) == REASON_FAIL_BRIGHT and number(values["level_target"]) == 100
        ),
    )
