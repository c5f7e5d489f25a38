"""What can be wrong with a lamp, seen from its meter: rules with the time for which each must hold."""

from protocol import events
from protocol.records import PHASE_END, PHASE_START

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FULL = 200
FAILURE_PC = 15  # % of the expected power: less is a lamp that does not burn
TOLERANCE_PC = 20  # % of the rated power
UNEXPECTED_DW = 30  # 0.1 W that an off lamp may draw, or 10 % of the rated power
MAINS_MV = (207000, 253000)  # 230 V +- 10 %, EN 50160
BLIND_DMA = 600  # expected current in 0.1 mA below which the meter's word is worth nothing

# event, seconds for which the condition must hold (and must be gone)
RULES = (
    (events.LAMP_FAILURE, 60),
    (events.LAMP_POWER_LOW, 300),
    (events.LAMP_POWER_HIGH, 300),
    (events.LAMP_UNEXPECTED_ON, 120),
    (events.SUPPLY_VOLTAGE, 60),
    (events.METER_FAULT, 10),
)


def expected_dw(level: int, rated_dw: int) -> int:
    """Power of a sound lamp at a level, in 0.1 W: light falls 1.1 times as fast as power (TALQ powerLightGradient)."""
    return rated_dw - rated_dw * (FULL - level) * 10 // (FULL * 11) if level else 0


def level_of(power_dw: int, rated_dw: int) -> int:
    """The level that a power stands for, 0..FULL: the inverse of `expected_dw`."""
    if power_dw * 100 < expected_dw(1, rated_dw) * 50:
        return 0
    return min(max(FULL - (rated_dw - power_dw) * FULL * 11 // (rated_dw * 10), 1), FULL)


class Reading:
    """What is known at one moment; None = unknown. `settled`: the level has stood still for long enough."""

    def __init__(
        self,
        level: int,
        settled: bool,
        rated_dw: int,
        power_dw: "int | None",
        voltage_mv: "int | None",
        meter: "str | None",
    ) -> None:
        self.level = level
        self.settled = settled
        self.rated_dw = rated_dw
        self.power_dw = power_dw
        self.voltage_mv = voltage_mv
        self.meter = meter  # what is wrong with the meter
        self.expected_dw = expected_dw(level, rated_dw)

    def conditions(self) -> "tuple[bool | None, ...]":
        """Whether each rule's condition holds now, in the order of RULES; None = cannot be told."""
        failure = low = high = unexpected = supply = None
        power = self.power_dw
        if power is not None and self.settled:
            if self.level:
                unexpected = False
                if self._is_visible():
                    failure = power * 100 < self.expected_dw * FAILURE_PC
                    tolerance = self.rated_dw * TOLERANCE_PC // 100
                    low = not failure and self.expected_dw - power > tolerance
                    high = power - self.expected_dw > tolerance
            else:
                failure = low = high = False
                unexpected = power > max(UNEXPECTED_DW, self.rated_dw // 10)
        if self.voltage_mv is not None:
            supply = not MAINS_MV[0] <= self.voltage_mv <= MAINS_MV[1]
        return failure, low, high, unexpected, supply, self.meter is not None

    def attributes(self, event: int) -> "dict[int, Any]":
        """What the event tells, by the registry's order of names."""
        if event == events.SUPPLY_VOLTAGE:
            return {1: self.voltage_mv}
        if event == events.METER_FAULT:
            return {1: self.meter or ""}
        return {1: self.level, 2: self.power_dw, 3: self.expected_dw}

    def _is_visible(self) -> bool:
        """True when a sound lamp would draw a current that the meter can see."""
        return bool(self.voltage_mv) and self.expected_dw * 1000000 // (self.voltage_mv or 1) > BLIND_DMA


class Debounce:
    """A condition that must hold for `hold_s` seconds to begin, and be gone for as long to end."""

    def __init__(self, hold_s: int) -> None:
        self.active = False
        self._hold_s = hold_s
        self._since_s: "int | None" = None

    def update(self, condition: "bool | None", now_s: int) -> "int | None":
        """PHASE_START or PHASE_END when that is reached, else None. An unknown condition changes nothing."""
        if condition is None or condition == self.active:
            self._since_s = None
            return None
        if self._since_s is None:
            self._since_s = now_s
        if now_s - self._since_s < self._hold_s:
            return None
        self._since_s = None
        self.active = condition
        return PHASE_START if condition else PHASE_END


class Faults:
    """All rules of one lamp."""

    def __init__(self) -> None:
        self._states = [Debounce(hold_s) for _, hold_s in RULES]

    @property
    def sound(self) -> int:
        """A bit for each of RULES whose condition does not last."""
        return sum([1 << index for index, state in enumerate(self._states) if not state.active])

    def update(self, reading: Reading, now_s: int) -> "list[tuple[int, int, dict[int, Any]]]":
        """(event, phase, attributes) of what begins or ends now."""
        found = []
        for index, condition in enumerate(reading.conditions()):
            phase = self._states[index].update(condition, now_s)
            if phase is not None:
                event = RULES[index][0]
                found.append((event, phase, reading.attributes(event)))
        return found
