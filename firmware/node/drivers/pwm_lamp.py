"""A lamp behind a PWM input of its driver: level 0..200 (0.5 %) to a duty of 16 bits, by straight lines between points.

The lamp is lit the moment this object exists: whoever wants it dark must say so.
"""

from node.core.integers import clamp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Pwm(Protocol):
        """The part of machine.PWM that is used."""

        def duty_u16(self, __value: int) -> None:
            """Share of the time that the output is on, in 1/65535."""


FULL = 200  # level of 100 %
DUTY_FULL = 65535
LINEAR = ((0, 0), (FULL, DUTY_FULL))


def duty_of(level: int, curve: "tuple[tuple[int, int], ...]" = LINEAR) -> int:
    """Duty for a level, on the lines between the points (level, duty) of `curve`, which ascend."""
    low_level, low_duty = curve[0]
    for point in curve[1:]:
        high_level, high_duty = point
        if level <= high_level:
            return low_duty + (high_duty - low_duty) * (level - low_level) // (high_level - low_level)
        low_level, low_duty = point
    return low_duty


class PwmLamp:
    """The output; `level` is what it holds."""

    def __init__(self, pwm: "Pwm", level: int = FULL, curve: "tuple[tuple[int, int], ...]" = LINEAR) -> None:
        self.level = -1
        self._pwm = pwm
        self._curve = curve
        self.set(level)

    def set(self, level: int) -> None:
        """Hold `level` (clamped to 0..FULL) until the next call; writes changes only."""
        level = clamp(level, 0, FULL)
        if level != self.level:
            self._pwm.duty_u16(duty_of(level, self._curve))
            self.level = level
