"""The boot number, and how many runs in a row ended badly: decided once, at the start of a run.

Boot numbers never repeat: they are on flash before anything is numbered with them, and a wiped flash starts above the
time of its provisioning (SPEC 5.3, 7.3).
"""

from node.core import document
from protocol.message import Message
from protocol.messages import RESET_HARD, RESET_SOFT, RESET_UNKNOWN, RESET_WATCHDOG

TYPE_CHECKING = False
if TYPE_CHECKING:
    from node.core.files import FilesDoor

PATH = "/data/boot.cbor"
SAFE_AFTER = 5  # bad ends in a row
STEADY_S = 600  # a run that lasted this long was no bad one
_BAD = (RESET_UNKNOWN, RESET_HARD, RESET_WATCHDOG, RESET_SOFT)  # power-on and deep sleep are nobody's fault
_U32 = 0xFFFFFFFF


class Boots(Message):
    """The document. `crashes` counts runs that ended badly since the last one that did not."""

    FIELDS = ((1, "boot", int, 0, _U32), (2, "crashes", int, 0, 0xFFFF))
    boot: int = 0
    crashes: int = 0

    @property
    def safe_mode(self) -> bool:
        """True when this run must do only what the node exists for."""
        return self.crashes >= SAFE_AFTER


def begin(files: "FilesDoor", boot0: int, cause: int, intended: bool) -> Boots:
    """The document of the run that starts now, on flash already. Raises OSError when the flash refuses it."""
    last = document.load(files, PATH, Boots)
    crashes = last.crashes
    if last.boot and not intended and cause in _BAD:
        crashes = min(crashes + 1, 0xFFFF)
    boots = Boots(boot=max(last.boot, boot0) + 1, crashes=crashes)
    files.write_atomic(PATH, boots.encode())
    return boots


def steady(files: "FilesDoor", boots: Boots) -> None:
    """The run has lasted STEADY_S: forget the crashes before it. What this run is (safe mode or not) stays."""
    if boots.crashes:
        document.save(files, PATH, Boots(boot=boots.boot))
