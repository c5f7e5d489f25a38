"""What a board with a prompt says about itself: chip, interpreter, firmware, identity. Its program is interrupted."""

import re
from dataclasses import dataclass
from typing import Any

from fleet.errors import UnreachableError
from fleet.flashing.remote import Remote

NONE = "none"  # states of an identity
DAMAGED = "damaged"
NODE = "node"
_TEXT = 64  # characters of an answer that are believed
_MAC = re.compile(r"([0-9a-f]{12})?")

_PROGRAM = """\
import os, sys
slot = sys.path[0] if sys.path and sys.path[0] in ('/a', '/b') else ''
answer = {
    'micropython': '.'.join([str(part) for part in sys.implementation.version[:3]]),
    'machine': getattr(sys.implementation, '_machine', ''),
    'slot': slot.strip('/'), 'fw': '', 'boards': [], 'mac': '', 'identity': 'none', 'node': '', 'free': 0,
}
try:
    import binascii, machine
    answer['mac'] = binascii.hexlify(machine.unique_id()).decode()
except (ImportError, AttributeError):
    pass
try:
    info = os.statvfs('/')
    answer['free'] = info[0] * info[3]
except OSError:
    pass
try:
    from node import VERSION
    answer['fw'] = VERSION
    answer['boards'] = [name.split('.')[0] for name in os.listdir(slot + '/boards') if name[0] != '_']
except (ImportError, OSError):
    pass
try:
    with open('/id.cbor', 'rb') as file:
        data = file.read(5000)
    answer['identity'] = 'damaged'
    from protocol.identity import Identity
    answer['node'] = Identity.decode(data).node
    answer['identity'] = 'node'
except OSError:
    pass
except Exception:
    pass
"""


@dataclass(frozen=True)
class Facts:
    """`chip` as esptool names it; `identity` is NONE, DAMAGED or NODE; what is empty is not there or not known."""

    micropython: str = ""
    chip: str = ""
    mac: str = ""
    fw: str = ""
    slot: str = ""
    boards: tuple[str, ...] = ()
    identity: str = NONE
    node: str = ""
    free: int = 0  # bytes of its file system; 0 = none is mounted, or it is full

    def has_micropython(self, least: tuple[int, ...]) -> bool:
        """Whether its MicroPython is that version or newer."""
        return tuple(int(part) for part in self.micropython.split(".") if part.isdecimal())[: len(least)] >= least


def probe(remote: Remote) -> Facts:
    """Ask the board; the errors are those of Remote, and UnreachableError when its answer makes no sense."""
    answer = remote.ask(_PROGRAM)
    try:
        return _facts(answer)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise UnreachableError(f"{remote.url} answers nonsense", hint="reset the board and run it again") from None


def _facts(answer: dict[str, Any]) -> Facts:
    mac = _text(answer["mac"])
    if not _MAC.fullmatch(mac):
        raise ValueError(mac)
    return Facts(
        mac=mac,
        chip=chip_of(_text(answer["machine"])),
        boards=tuple(sorted(_text(name) for name in list(answer["boards"])[:64])),
        free=int(answer["free"]),
        **{name: _text(answer[name]) for name in ("micropython", "fw", "slot", "identity", "node")},
    )


def chip_of(machine: str) -> str:
    """The chip in MicroPython's name of a board, such as `Generic ESP32S3 module with ESP32S3`; else nothing."""
    last = machine.rpartition(" with ")[2].strip().lower().replace("-", "")
    return last if last.startswith("esp32") else ""


def _text(value: Any) -> str:
    text = str(value)[:_TEXT]
    if not text.isprintable():
        raise ValueError(text)
    return text
