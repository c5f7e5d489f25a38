"""Each sensor against what can happen to it: told on the wire, never a wrong value, and well again afterwards.

The faults are those of tools/sim/models; on a real board they need something wired to the sensor (fixture `faults`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from hil_tests.conftest import SETTINGS, Measure
from hil_tests.harness.node import Node
from hil_tests.harness.stimulus import FAULTS, TIME, Stimulus
from protocol.records import FLAG_FAIL, FLAG_MISSING, FLAG_SUSPECT

INTERVAL_S = SETTINGS["interval_s"]
NOTICE_S = 30  # three failed readings; of the BME280, which is read every 5 s here
RECOVER_S = 120  # a first new try after 5 s, then after 10 s, 20 s ...; and three good readings
SEN66 = ("pm25", "co2", "t_in")
BME280 = ("p", "t_amb")

pytestmark = [pytest.mark.kind("air"), pytest.mark.fixtures(FAULTS)]


@dataclass(frozen=True)
class Case:
    """A fault, whom the node names for it, and channels that have no value while it lasts."""

    part: str
    fault: str
    missing: tuple[str, ...]
    spared: tuple[str, ...] = ()  # channels of the other sensor, which goes on


CASES = {
    "a SEN66 that is unplugged": Case("sen66", "unplugged", SEN66, BME280),
    "a SEN66 that does not acknowledge": Case("sen66", "nack", SEN66, BME280),
    "a SEN66 whose every answer has a wrong CRC": Case("sen66", "crc", SEN66, BME280),
    "a SEN66 that has no new values": Case("sen66", "silent", SEN66, BME280),
    "a BME280 that is unplugged": Case("bme280", "unplugged", BME280, SEN66),
    "a BME280 that does not acknowledge": Case("bme280", "nack", BME280, SEN66),
    "a SEN66 that holds the bus down": Case("sen66", "stuck", SEN66 + BME280),
}
QUICK = {"a SEN66 that is unplugged", "a SEN66 whose every answer has a wrong CRC", "a SEN66 that holds the bus down"}


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=name, marks=() if name in QUICK else pytest.mark.slow) for name, case in CASES.items()],
)
def test_a_fault_is_told_and_ends(case: Case, node: Node, stimulus: Stimulus, measure: Measure) -> None:
    node.record(INTERVAL_S * 8, fits=lambda values, flags: _none_of(FLAG_MISSING, flags, case.missing + case.spared))
    began = node.now()
    stimulus.fault(case.part, case.fault)
    told = node.event("sensor_fault", NOTICE_S, began, "start", sensor=case.part)
    measure("noticed", (told.at_s - began) * node.rate, "s")
    node.record(
        NOTICE_S + 3 * INTERVAL_S,
        told.at_s,
        lambda values, flags: (
            all(values[name] == "missing" for name in case.missing) and _none_of(FLAG_MISSING, flags, case.spared)
        ),
    )
    healed = node.now()
    stimulus.well()
    well = node.event("sensor_fault", RECOVER_S, healed, "end", sensor=case.part)
    measure("recovered", (well.at_s - healed) * node.rate, "s")
    node.record(6 * INTERVAL_S, well.at_s, lambda values, flags: _none_of(FLAG_MISSING, flags, case.missing))


def test_a_single_wrong_crc_costs_nothing(node: Node, stimulus: Stimulus) -> None:
    node.record(INTERVAL_S * 8, fits=lambda values, flags: not _none_of(FLAG_MISSING, flags, SEN66) or "co2" in values)
    began = node.now()
    stimulus.fault("sen66", "crc", 1)
    for _ in range(2):
        found = node.record(3 * INTERVAL_S, began)
        assert _none_of(FLAG_MISSING, found.fields["flags"], SEN66)
    assert not node.events("sensor_fault", began)


def test_a_fan_that_stands_still_makes_its_particles_worthless(node: Node, stimulus: Stimulus) -> None:
    began = node.now()
    stimulus.fault("sen66", "fan")
    node.event("sensor_status", 60, began, "start")
    found = node.record(6 * INTERVAL_S, began, lambda values, flags: flags.get("pm25") == FLAG_FAIL)
    assert "t_in" not in found.fields["flags"] or found.fields["flags"]["t_in"] != FLAG_FAIL
    stimulus.well()
    node.event("sensor_status", 60, began, "end")


@pytest.mark.slow
@pytest.mark.fixtures(TIME)
def test_a_value_that_never_moves_is_suspect(node: Node, stimulus: Stimulus) -> None:
    """Thirty minutes at one value: CO2 does not do that (QARTOD flat line)."""
    node.configure(interval_s=60)
    began = node.now()
    stimulus.fault("sen66", "frozen")
    node.record(45 * 60, began, lambda values, flags: flags.get("co2") == FLAG_SUSPECT)
    assert not node.events("sensor_fault", began)


def _none_of(flag: int, flags: Mapping[str, int], names: tuple[str, ...]) -> bool:
    return all(flags.get(name) != flag for name in names)
