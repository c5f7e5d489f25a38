"""The reset circuit of development boards: DTR and RTS of the host drive EN and the boot strap (GPIO0 or GPIO9)."""

from enum import Enum


class Event(Enum):
    """What a change of the lines does to the chip."""

    NOTHING = "nothing"
    HOLD = "hold"  # EN is low: the chip is in reset
    RUN = "run"  # out of reset, to the program
    DOWNLOAD = "download"  # out of reset with the strap held: to the loader


class Circuit:
    """Two transistors: RTS without DTR pulls EN low, DTR without RTS the strap; both or none pull nothing.

    Hosts set one line after the other. While both are asserted on the way from reset to the strap, EN stays low, as
    its capacitor keeps it low on a board; so slow links work, too.
    """

    def __init__(self) -> None:
        self._held = False

    def set(self, dtr: bool, rts: bool) -> Event:
        """The lines are now so (True = asserted)."""
        if rts and not dtr:
            event = Event.NOTHING if self._held else Event.HOLD
            self._held = True
            return event
        if not self._held or rts:
            return Event.NOTHING
        self._held = False
        return Event.DOWNLOAD if dtr else Event.RUN
