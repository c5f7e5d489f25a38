"""The power of a virtual board: its control socket, one line of JSON each way."""

import json
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fleet.errors import FleetError, UnreachableError
from fleet.hil.power.base import Driver
from fleet.hil.schema import key

TIMEOUT_S = 20.0  # it answers at once; a loaded machine does not
MAX_ANSWER = 1 << 20  # bytes


@dataclass(frozen=True)
class VirtualSettings:
    """Where it listens."""

    control: str = field(
        default="", metadata=key("Its control socket; empty = the file `control` beside its port.", path=True)
    )


class Virtual(Driver[VirtualSettings]):
    """Power, and the other orders that only a virtual board understands."""

    Settings = VirtualSettings
    off_s = 0.0  # it has no capacitors

    @property
    def path(self) -> Path:
        """The control socket."""
        return Path(self.settings.control or Path(self.port).parent / "control")

    def on(self) -> None:
        """Give it power."""
        self.ask("power", on=True)

    def off(self) -> None:
        """Take its power away."""
        self.ask("power", on=False)

    def ask(self, do: str, **values: Any) -> dict[str, Any]:
        """Give the virtual board an order; its answer. FleetError when it refuses, UnreachableError when it is gone."""
        order = json.dumps({"do": do, **values}).encode() + b"\n"
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
                door.settimeout(float(values.get("timeout_s", 0)) + TIMEOUT_S)
                door.connect(str(self.path))
                door.sendall(order)
                with door.makefile("rb") as file:
                    answer = json.loads(file.readline(MAX_ANSWER))
                    if not isinstance(answer, dict):
                        raise ValueError("no object")
        except (OSError, ValueError, RecursionError) as error:
            hint = "is it running? python -m tools.virtual_board --help"
            raise UnreachableError(f"the virtual board {self.board} does not answer", hint, str(error)) from error
        if not answer.get("ok"):
            raise FleetError(f"the virtual board {self.board} refuses {do}", cause=str(answer.get("error", "")))
        return dict(answer)
