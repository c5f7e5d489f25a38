"""Energy, burning time and starts of a lamp, kept over power cuts. What is reported is what is on flash.

So a reported counter never goes back: at most the last quarter of an hour before a power cut is lost.
"""

from node.core import document
from protocol.message import Message

TYPE_CHECKING = False
if TYPE_CHECKING:
    from node.core.files import FilesDoor

PATH = "/data/lamp.cbor"
SAVE_S = 900
_WH_UJ = 3600000000
_U32 = 0xFFFFFFFF


class Counts(Message):
    """The document."""

    FIELDS = (
        (1, "energy_wh", int, 0, (1 << 47) - 1),
        (2, "rest_uj", int, 0, _WH_UJ - 1),
        (3, "lamp_s", int, 0, _U32),
        (4, "starts", int, 0, _U32),
        (5, "supply_loss", int, 0, _U32),
    )
    energy_wh: int = 0
    rest_uj: int = 0
    lamp_s: int = 0
    starts: int = 0
    supply_loss: int = 0


class Counters:
    """`saved` is on flash, `now` runs ahead of it. Times are ms of uptime."""

    def __init__(self, files: "FilesDoor", power_cut: bool, now_ms: int) -> None:
        self.saved = document.load(files, PATH, Counts)
        self.now = document.load(files, PATH, Counts)
        self._files = files
        self._lit = False
        self._lit_ms = 0  # burning time that is not a whole second yet
        self._last_ms = now_ms
        self.due_ms = now_ms + SAVE_S * 1000
        if power_cut:
            self.now.supply_loss += 1
            self.save(now_ms)

    def lamp(self, lit: bool, now_ms: int) -> None:
        """The lamp is lit or not from now on; call it at least every few seconds."""
        if self._lit:
            self._lit_ms += now_ms - self._last_ms
            self.now.lamp_s += self._lit_ms // 1000
            self._lit_ms %= 1000
        elif lit:
            self.now.starts += 1
        self._last_ms = now_ms
        self._lit = lit

    def energy(self, microjoule: int) -> None:
        """That much more was used."""
        rest = self.now.rest_uj + microjoule
        self.now.energy_wh += rest // _WH_UJ
        self.now.rest_uj = rest % _WH_UJ

    def is_due(self, now_ms: int) -> bool:
        """True when it is time to save."""
        return now_ms >= self.due_ms

    def save(self, now_ms: int) -> bool:
        """Write to flash as a whole; False when the flash refuses, and the next attempt is as far away as ever."""
        self.due_ms = now_ms + SAVE_S * 1000
        if not document.save(self._files, PATH, self.now):
            return False
        for row in Counts.FIELDS:
            setattr(self.saved, row[1], getattr(self.now, row[1]))
        return True
