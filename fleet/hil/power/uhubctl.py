"""A USB hub that switches its ports, by the program uhubctl. The board loses power and serial line together."""

from dataclasses import dataclass, field

from fleet.errors import FleetError
from fleet.hil.power.base import Driver
from fleet.hil.power.command import call
from fleet.hil.schema import key

TIMEOUT_S = 20  # uhubctl retries and waits for the device to go away by itself
HINTS = (
    ("permission", "let your group write to the hub with a udev rule (docs/howto/run-the-bench.md)"),
    ("No compatible", "`uhubctl` without arguments lists the hubs that can switch; most cannot"),
)


@dataclass(frozen=True)
class UhubctlSettings:
    """Which port of which hub."""

    location: str = field(
        metadata=key('The hub as `uhubctl` lists it, for example "1-1.4".', form=r"[0-9]+(-[0-9.]+)?")
    )
    hub_port: int = field(metadata=key("The port of the hub, counted from 1.", low=1, high=32))
    program: str = field(default="uhubctl", metadata=key("Where uhubctl is.", form=r".+"))


class Uhubctl(Driver[UhubctlSettings]):
    """Power of one USB port."""

    Settings = UhubctlSettings

    def on(self) -> None:
        """Switch the port on."""
        self._switch("on")

    def off(self) -> None:
        """Switch the port off."""
        self._switch("off")

    def _switch(self, action: str) -> None:
        hub = ["-l", self.settings.location, "-p", str(self.settings.hub_port)]
        try:
            call([self.settings.program, *hub, "-a", action], TIMEOUT_S, self.board)
        except FleetError as error:
            error.hint = next((hint for sign, hint in HINTS if sign in error.cause), error.hint)
            raise
