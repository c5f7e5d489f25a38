"""A dimmable LED luminaire: PWM duty in, power and light out; it ages and it fails."""

from tools.sim.models.part import Part

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tools.sim.world import World

_STANDBY_W = 0.4  # of the driver while the lamp is off
_BASE = 0.09  # share of the rated power that does not dim
_LIFE_H = 50000.0
_POWER_GAIN = 0.04  # more power at the end of life
_FLUX_LOSS = 0.2  # less light at the end of life


class Lamp(Part):
    """Faults: failed (open), stuck_on (full whatever it is told), power_pct (of the normal power), mains_v (volts)."""

    NAME = "lamp"
    FAULTS = ("failed", "stuck_on", "power_pct", "mains_v")

    def __init__(self, now_ms: "Callable[[], int]", world: "World", rated_w: float = 40.0) -> None:
        super().__init__(now_ms, world)
        self.rated_w = rated_w
        self.age_h = 0.0
        self.energy_j = 0.0  # what flowed since the model began
        self._duty = 65535  # nobody drives the input: full brightness
        self._last_ms = now_ms()

    def duty_u16(self, value: int) -> None:
        """The calls of machine.PWM: a new duty from now on."""
        self.advance()
        self._duty = min(max(value, 0), 65535)

    def dimming(self) -> float:
        """Share of full light that the driver is asked for, 0 .. 1."""
        return 1.0 if "stuck_on" in self.faults else self._duty / 65535

    def light(self) -> float:
        """Light now, as a share of the new lamp's full light."""
        if "failed" in self.faults:
            return 0.0
        return self.dimming() * (1 - _FLUX_LOSS * min(self.age_h / _LIFE_H, 1.0))

    def power_w(self) -> float:
        """Active power now."""
        level = self.dimming()
        if level == 0 or "failed" in self.faults:
            return _STANDBY_W
        aged = 1 + _POWER_GAIN * min(self.age_h / _LIFE_H, 1.0)
        return self.rated_w * (_BASE + (1 - _BASE) * level) * aged * self.faults.get("power_pct", 100) / 100

    def volts(self) -> float:
        """Supply voltage now."""
        return float(self.faults.get("mains_v") or self.world.mains_v(self.now_ms()))

    def power_factor(self) -> float:
        """It falls when the lamp is dimmed."""
        return 0.95 - 0.25 * (1 - self.dimming()) if self.power_w() > _STANDBY_W else 0.3

    def advance(self) -> None:
        """Account for the time since the last call."""
        now = self.now_ms()
        seconds = (now - self._last_ms) / 1000
        self._last_ms = now
        self.energy_j += seconds * self.power_w()
        if self.light() > 0:
            self.age_h += seconds / 3600
