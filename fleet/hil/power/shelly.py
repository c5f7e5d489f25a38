"""A Shelly plug or relay: generation 1 `/relay/0?turn=on`, later ones `/rpc/Switch.Set?id=0&on=true`.

The first answers `{"ison": true}` and knows Basic, the others `{"was_on": false}` and Digest with SHA-256
(shelly-api-docs.shelly.cloud, Gen1 "relay" and Gen2 "Switch", "Authentication").
"""

from dataclasses import dataclass, field
from pathlib import Path

from fleet.errors import FleetError
from fleet.hil.power import http
from fleet.hil.power.base import Driver, secret
from fleet.hil.schema import key


@dataclass(frozen=True)
class ShellySettings:
    """Which channel of which device."""

    host: str = field(
        metadata=key("Its name or address, with :port when that is not 80.", form=r"[A-Za-z0-9._:\[\]-]+")
    )
    channel: int = field(default=0, metadata=key("Its channel, counted from 0 as Shelly does.", low=0, high=15))
    generation: int = field(
        default=2, metadata=key("1, or 2 for everything newer (Plus, Pro, Gen3, Gen4).", low=1, high=4)
    )
    user: str = field(default="admin", metadata=key("Of its password.", form=r"\S+"))
    password_file: str = field(
        default="", metadata=key("A file (mode 600) whose first line is the password; empty = it has none.", path=True)
    )


class Shelly(Driver[ShellySettings]):
    """Power of one channel."""

    Settings = ShellySettings

    def on(self) -> None:
        """Switch the channel on."""
        self._switch(True)

    def off(self) -> None:
        """Switch the channel off."""
        self._switch(False)

    def _switch(self, on: bool) -> None:
        own = self.settings
        login = (own.user, secret(Path(own.password_file))) if own.password_file else None
        if own.generation == 1:
            answer = http.get(own.host, f"relay/{own.channel}", {"turn": "on" if on else "off"}, login, self.board)
            done = isinstance(answer, dict) and answer.get("ison") is on
        else:
            query = {"id": str(own.channel), "on": "true" if on else "false"}
            answer = http.get(own.host, "rpc/Switch.Set", query, login, self.board)
            done = isinstance(answer, dict) and "was_on" in answer
        if not done:
            what = f"cannot switch the power of {self.board} by {own.host}"
            raise FleetError(what, cause=f"it answered {str(answer)[:200]}", hint="are channel and generation right?")
