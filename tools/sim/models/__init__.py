"""Register-level models of the parts, and which of them make up each kind of node: the one place to add a part to.

A model takes (now_ms, world): `now_ms()` is the simulation's own millisecond count, which never wraps; it has nothing
to do with what the node believes. Faults are switched on by name while the model runs (`Part.fault`).
"""

from tools.sim.models.bme280 import Bme280
from tools.sim.models.cse7766 import Cse7766
from tools.sim.models.lamp import Lamp
from tools.sim.models.part import I2cBus, I2cPart, Part
from tools.sim.models.sen66 import Sen66

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tools.sim.world import World

I2C_PARTS: "dict[str, type[I2cPart]]" = {"sen66": Sen66, "bme280": Bme280}
FITTED = {"air": ("sen66", "bme280"), "light": (), "none": ()}  # I2C parts of a kind of node


class Bench:
    """The parts around one node, under the bus names of the pin maps (firmware/boards)."""

    def __init__(self, kind: str, now_ms: "Callable[[], int]", world: "World") -> None:
        sensors = [I2C_PARTS[name](now_ms, world) for name in FITTED[kind]]
        self.parts: "dict[str, Part]" = {part.NAME: part for part in sensors}
        self.i2c = {"sensors": I2cBus(sensors)}
        self.uart: "dict[str, Cse7766]" = {}
        self.pwm: "dict[str, Lamp]" = {}
        if kind == "light":
            lamp = Lamp(now_ms, world)
            meter = Cse7766(now_ms, world, lamp)
            self.parts[lamp.NAME] = lamp
            self.parts[meter.NAME] = meter
            self.uart["meter"] = meter
            self.pwm["lamp"] = lamp

    def fault(self, part: str, name: str, value: int = -1) -> None:
        """Switch a fault of a part on (0: off); KeyError for an unknown part or fault."""
        self.parts[part].fault(name, value)
