"""No switch: the board is always on, and a person has to pull its plug."""

from dataclasses import dataclass

from fleet.errors import NotAllowedError
from fleet.hil.power.base import Driver


@dataclass(frozen=True)
class NothingSettings:
    """Nothing to set."""


class Nothing(Driver[NothingSettings]):
    """`on` is true anyway; `off` is refused."""

    Settings = NothingSettings
    cuts = False

    def on(self) -> None:
        """It is on."""

    def off(self) -> None:
        """Refused."""
        hint = "give it a power driver in bench.toml (docs/howto/run-the-bench.md)"
        raise NotAllowedError(f"nothing can switch off {self.board}", hint=hint)
