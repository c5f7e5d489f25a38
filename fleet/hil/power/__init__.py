"""The power of a board: one file per kind of switch, each with the keys of its table in bench.toml.

`power = {driver = "tasmota", host = "plug-1", ...}` becomes that file's settings; `driver(board)` is what acts on them.
A driver with `cuts` takes the power away; the others only reset, and a power cut cannot be tested with them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from fleet.errors import ConfigError
from fleet.hil import schema
from fleet.hil.power.base import Driver
from fleet.hil.power.command import Command
from fleet.hil.power.none import Nothing
from fleet.hil.power.rts import Rts
from fleet.hil.power.shelly import Shelly
from fleet.hil.power.tasmota import Tasmota
from fleet.hil.power.uhubctl import Uhubctl
from fleet.hil.power.virtual import Virtual

DRIVERS: Mapping[str, type[Driver[Any]]] = {
    "none": Nothing,
    "rts": Rts,
    "command": Command,
    "uhubctl": Uhubctl,
    "tasmota": Tasmota,
    "shelly": Shelly,
    "virtual": Virtual,
}


class Powered(Protocol):
    """What a driver needs to know of a board."""

    @property
    def id(self) -> str:
        """Its name, for error texts."""

    @property
    def port(self) -> str:
        """Its serial port."""

    @property
    def power(self) -> Any:
        """The settings of its power switch, as `read` made them."""


def read(where: str, tree: Any, base: Path) -> Any:
    """The settings in a `power` table of a file in `base`; ConfigError names `where`, the driver and the key."""
    if not isinstance(tree, Mapping) or not isinstance(tree.get("driver"), str):
        raise ConfigError(f"{where} must name its driver", hint=f"driver is one of {', '.join(DRIVERS)}")
    name = tree["driver"]
    schema.refuse_unknown(f"{where}: driver", [name], DRIVERS)
    rest = {key: value for key, value in tree.items() if key != "driver"}
    return schema.read(f"{where} ({name})", DRIVERS[name].Settings, rest, base)


def name(settings: Any) -> str:
    """What bench.toml calls the driver of these settings."""
    return next(name for name, kind in DRIVERS.items() if isinstance(settings, kind.Settings))


def driver(board: Powered) -> Driver[Any]:
    """What switches this board; nothing is touched yet."""
    return DRIVERS[name(board.power)](board.power, board.id, board.port)
