"""The slot pointer: which copy of the application runs, and when a new one counts as good.

`/slot.cbor` is a map of fixed size, so that stage 0 (`boot.py`) reads it without a decoder:
{1: good slot, 2: slot on trial or "-", 3: tries left}. Stage 0 counts a try down before it runs it.
"""

from hashlib import sha256

TYPE_CHECKING = False
if TYPE_CHECKING:
    from node.core.files import FilesDoor

PATH = "/slot.cbor"
SLOTS = ("a", "b")
NONE = "-"
TRIES = 3
CRASH = "/crash.txt"  # the exception that ended a run, from main.py and start.py for the program that runs next
MANIFEST = "manifest.cbor"  # protocol.manifest.PATH: a node hashes it, and has no need to read it
_SIZE = 9
_STEP = 512  # bytes that are hashed at a time


class Pointer:
    """The document."""

    def __init__(self, good: str = "a", trial: str = NONE, tries: int = 0) -> None:
        self.good = good
        self.trial = trial
        self.tries = tries

    def encode(self) -> bytes:
        """The nine bytes of the document."""
        return b"\xa3\x01\x61" + self.good.encode() + b"\x02\x61" + self.trial.encode() + b"\x03" + bytes((self.tries,))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pointer) and self.encode() == other.encode()


def decode(data: "bytes | None") -> Pointer:
    """The pointer in `data`; slot a without trial when it is missing or damaged."""
    if data is None or len(data) != _SIZE or data[8] >= 24:
        return Pointer()
    found = Pointer(chr(data[3]), chr(data[6]), data[8])
    if found.good not in SLOTS or found.trial not in SLOTS + (NONE,) or found.encode() != bytes(data):
        return Pointer()
    return found


def digest(files: "FilesDoor", slot: str) -> bytes:
    """The SHA-256 of the manifest of a slot, b"" when it has none (SPEC 11.1)."""
    path = "/{}/{}".format(slot, MANIFEST)
    view = memoryview(bytearray(_STEP))
    hashed = sha256()
    at = 0
    try:
        stream = files.reader(path)
    except OSError:
        return b""
    try:
        count = stream.readinto(view)
        while count:
            hashed.update(view[:count])
            at += count
            count = stream.readinto(view)
    except OSError:
        return b""
    finally:
        stream.close()
    return hashed.digest() if at else b""


class Slots:
    """What the running application knows and decides about the slots. `running` is the slot it was started from."""

    def __init__(self, files: "FilesDoor", running: str) -> None:
        self._files = files
        self._pointer = decode(files.read(PATH))
        self.running = running
        self.manifest = digest(files, running)

    @property
    def on_trial(self) -> bool:
        """True while the running application is not confirmed: the next restart may fall back."""
        return self._pointer.trial == self.running and self._pointer.good != self.running

    @property
    def is_kept(self) -> bool:
        """True while the next restart that nothing else is decided for runs this application again."""
        return self._pointer.good == self.running

    @property
    def reverted(self) -> "str | None":
        """The slot that was tried and given up, or None; `settle` forgets it."""
        gone = self._pointer.trial not in (NONE, self.running) and self._pointer.tries == 0
        return self._pointer.trial if gone else None

    @property
    def spare(self) -> str:
        """The slot that an update may write."""
        return SLOTS[1] if self.running == SLOTS[0] else SLOTS[0]

    def confirm(self) -> None:
        """The running application works: it is what the next restart runs. Raises OSError when the flash refuses."""
        self._replace(Pointer(self.running))

    def settle(self) -> None:
        """The revert was reported: forget the trial. Raises OSError when the flash refuses."""
        self._replace(Pointer(self._pointer.good))

    def try_next(self) -> None:
        """The spare slot is written and checked: the next restarts run it, at most TRIES times. Raises OSError."""
        self._replace(Pointer(self._pointer.good, self.spare, TRIES))

    def _replace(self, pointer: Pointer) -> None:
        if pointer != self._pointer:
            self._files.write_atomic(PATH, pointer.encode())
            self._pointer = pointer
