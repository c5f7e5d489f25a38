"""What a door to the serial port is, and whom it serves."""

from typing import Protocol

USUAL_BAUD = 115200


class Door(Protocol):
    """One door. `url` is what pyserial takes; `lines`: DTR and RTS arrive; `baud`: the rate that the host has set."""

    url: str
    lines: bool

    @property
    def baud(self) -> int:
        """Bits per second."""

    async def start(self) -> None:
        """Open; OSError when that fails."""

    def write(self, data: bytes) -> None:
        """To the host; lost when nobody has the port open."""

    def pause(self) -> None:
        """Take nothing from the host until `resume`."""

    def resume(self) -> None:
        """Go on."""

    def close(self) -> None:
        """For good."""


class Host(Protocol):
    """What a door tells."""

    def received(self, door: Door, data: bytes) -> None:
        """Bytes from the host."""

    def hung_up(self, door: Door) -> None:
        """The last that had the port open has closed it."""

    def modem_lines(self, dtr: bool, rts: bool) -> None:
        """The host has set a line; True = asserted, as pyserial says it."""
