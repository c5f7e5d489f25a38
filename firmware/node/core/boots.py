"""The boot number, and how many runs in a row ended badly: decided once, at the start of a run.

Boot numbers never repeat: they are on flash before anything is numbered with them, and a wiped flash starts above the
time of its provisioning (SPEC 5.3, 7.3). A run whose number the flash refuses does everything but that.
"""

from node.core import document
from node.core.segment import BLOCK
from protocol.message import Message
from protocol.messages import RESET_HARD, RESET_SOFT, RESET_UNKNOWN, RESET_WATCHDOG

TYPE_CHECKING = False
if TYPE_CHECKING:
    from node.core.files import FilesDoor
    from node.core.outbox import Outbox

PATH = "/data/boot.cbor"
SAFE_AFTER = 5  # bad ends in a row
STEADY_S = 600  # a run that lasted this long was no bad one
_BAD = (RESET_UNKNOWN, RESET_HARD, RESET_WATCHDOG, RESET_SOFT)  # power-on and deep sleep are nobody's fault
_ROOM = 4 * BLOCK  # bytes that must be free before a refusal of the flash is no lack of room
_U32 = 0xFFFFFFFF


class Boots(Message):
    """The document. `crashes` counts runs that ended badly since the last one that did not."""

    FIELDS = ((1, "boot", int, 0, _U32), (2, "crashes", int, 0, 0xFFFF))
    boot: int = 0
    crashes: int = 0
    stored = True  # False until the flash has taken the number

    @property
    def safe_mode(self) -> bool:
        """True when this run must do only what the node exists for."""
        return self.crashes >= SAFE_AFTER


def begin(files: "FilesDoor", boot0: int, cause: int, intended: bool) -> Boots:
    """The document of the run that starts now; see `stored` before numbering anything with it."""
    last = document.load(files, PATH, Boots)
    crashes = last.crashes
    if last.boot and not intended and cause in _BAD:
        crashes = min(crashes + 1, 0xFFFF)
    boots = Boots(boot=max(last.boot, boot0) + 1, crashes=crashes)
    boots.stored = document.save(files, PATH, boots)
    return boots


def number(files: "FilesDoor", boots: Boots, outbox: "Outbox") -> bool:
    """True when the outbox may take entries of this run: the number is on flash. On a full one old entries make room
    for it. While the flash refuses, entries are refused and counted, and all else runs: call it again later."""
    while not boots.stored:
        boots.stored = document.save(files, PATH, boots)
        if not boots.stored and (files.free() >= _ROOM or not outbox.make_room()):
            break
    outbox.numbered = boots.stored
    return boots.stored


def steady(files: "FilesDoor", boots: Boots) -> None:
    """The run has lasted STEADY_S: forget the crashes before it. What this run is (safe mode or not) stays."""
    if boots.crashes:
        document.save(files, PATH, Boots(boot=boots.boot))


def beyond_help(files: "FilesDoor", boots: Boots) -> None:
    """The run ends on purpose because a task keeps failing: as bad an end as a crash."""
    document.save(files, PATH, Boots(boot=boots.boot, crashes=min(boots.crashes + 1, 0xFFFF)))
