"""No switch but the RTS line of the port, which holds EN of the chip low on the usual circuit of two transistors.

The chip stops and forgets its RAM; the board keeps its power, so a flash operation that has begun is completed and
sensors go on. DTR stays off, else GPIO0 would be low as well and the chip would start in its loader.
"""

import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleet.errors import NotAllowedError, UnreachableError
from fleet.hil.power.base import Driver

if TYPE_CHECKING:
    import serial

_NO_LINES = (errno.ENOTTY, errno.EINVAL)  # a pseudo-terminal


@dataclass(frozen=True)
class RtsSettings:
    """Nothing to set: the line belongs to the board's port."""


class Rts(Driver[RtsSettings]):
    """Holds the chip in reset for as long as the port stays open, which is from `off` to `on`."""

    Settings = RtsSettings
    cuts = False
    off_s = 0.1

    _held: "serial.Serial | None" = None

    def on(self) -> None:
        """Let the chip start, and free the port."""
        if self._held is not None:
            self._set(reset=False)
            self.close()

    def off(self) -> None:
        """Hold the chip in reset, and the port with it."""
        from fleet.flashing.console import BAUD, open_port

        if self.port.startswith("socket://"):  # pyserial only logs what it cannot do there
            raise self._refusal("a socket carries bytes and no lines")
        if self._held is None:
            self._held = open_port(self.port, BAUD)
        self._set(reset=True)

    def close(self) -> None:
        """Free the port; the chip starts, since both lines fall."""
        if self._held is not None:
            self._held.close()
            self._held = None

    def _set(self, reset: bool) -> None:
        assert self._held is not None
        try:
            self._held.dtr = False
            self._held.rts = reset
        except OSError as error:
            self.close()
            if error.errno in _NO_LINES:
                raise self._refusal(error.strerror or str(error)) from error
            raise UnreachableError(
                f"{self.port} went away", hint="plug the board in again", cause=str(error)
            ) from error

    def _refusal(self, cause: str) -> NotAllowedError:
        hint = 'use the driver "virtual" for a virtual board, rfc2217:// for a board elsewhere'
        return NotAllowedError(f"{self.port} of {self.board} has no RTS line", hint=hint, cause=cause)
