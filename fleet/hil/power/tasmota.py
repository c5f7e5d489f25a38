"""A plug or relay with Tasmota: `GET /cm?cmnd=Power1 ON` answers `{"POWER1":"ON"}` (tasmota.github.io, Commands)."""

from dataclasses import dataclass, field
from pathlib import Path

from fleet.errors import FleetError, NotAllowedError
from fleet.hil.power import http
from fleet.hil.power.base import Driver, secret
from fleet.hil.schema import key


@dataclass(frozen=True)
class TasmotaSettings:
    """Which relay of which device."""

    host: str = field(
        metadata=key("Its name or address, with :port when that is not 80.", form=r"[A-Za-z0-9._:\[\]-]+")
    )
    relay: int = field(default=1, metadata=key("Its relay, counted from 1.", low=1, high=32))
    user: str = field(default="admin", metadata=key("Of its web password.", form=r"\S+"))
    password_file: str = field(
        default="",
        metadata=key("A file (mode 600) whose first line is the web password; empty = it has none.", path=True),
    )


class Tasmota(Driver[TasmotaSettings]):
    """Power of one relay."""

    Settings = TasmotaSettings

    def on(self) -> None:
        """Switch the relay on."""
        self._switch("ON")

    def off(self) -> None:
        """Switch the relay off."""
        self._switch("OFF")

    def _switch(self, wanted: str) -> None:
        query = {"cmnd": f"Power{self.settings.relay} {wanted}"}
        if self.settings.password_file:  # Tasmota takes it in the query and no other way
            query["user"] = self.settings.user
            query["password"] = secret(Path(self.settings.password_file))
        answer = http.get(self.settings.host, "cm", query, None, self.board)
        what = f"cannot switch the power of {self.board} by {self.settings.host}"
        found = answer if isinstance(answer, dict) else {}
        if "WARNING" in found:
            raise NotAllowedError(what, cause="it wants another password", hint="set user and password_file")
        # A device with one relay calls it POWER, one with several POWER1, POWER2.
        if wanted not in (found.get(f"POWER{self.settings.relay}"), found.get("POWER")):
            raise FleetError(what, cause=f"it answered {str(answer)[:200]}", hint="does it have that relay?")
