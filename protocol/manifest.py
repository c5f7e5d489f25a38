"""The manifest of a slot: every file of the program with its size and SHA-256 (SPEC 11).

Whoever builds an image writes it, as PATH within the slot. What a node reports as its manifest is `digest` of the
bytes of that file, so two nodes with the same digest run the same program.
"""

from hashlib import sha256

from protocol import cbor
from protocol.errors import DecodeError
from protocol.message import Message

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Read = Callable[[int, memoryview], int]  # fills the view from an offset; the number of bytes

PATH = "manifest.cbor"
MAX_FILES = 255
_PATH_BYTES = 64
_UINT = 0  # major types of CBOR
_ARRAY = 4
_MAP = 5
_WINDOW = 192  # bytes; a File takes at most 111


class PathError(DecodeError):
    """A path leaves the slot."""


class File(Message):
    """One file of a slot."""

    FIELDS = (
        (1, "path", str, 1, _PATH_BYTES),
        (2, "size", int, 0, 0xFFFFFFFF),
        (3, "sha256", bytes, 32, 32),
    )
    path: str  # within the slot, with "/" between folders
    size: int  # bytes
    sha256: bytes  # of the contents


class Manifest(Message):
    """The files of one slot, in bytewise order of their paths. The manifest itself is not among them."""

    MAX_SIZE = 32768
    MAX_ITEMS = 2048
    FIELDS = (
        (1, "version", str, 1, 32),
        (2, "files", [File], 1, MAX_FILES),
    )
    version: str  # of the program
    files: "list[File]"  # in order of their paths


def digest(data: bytes) -> bytes:
    """What a node reports as its manifest: the SHA-256 of the document's bytes."""
    return sha256(data).digest()


def build(version: str, contents: "dict[str, bytes]") -> Manifest:
    """The manifest of a program of {path within the slot: contents}; raises EncodeError when it is encoded."""
    files = [File(path=path, size=len(contents[path]), sha256=digest(contents[path])) for path in sorted(contents)]
    return Manifest(version=version, files=files)


def load(data: bytes) -> Manifest:
    """The manifest in `data`; raises DecodeError also for paths that leave the slot, are out of order or twice."""
    found = Manifest.decode(data)
    before = ""
    for file in found.files:
        _check(file, before)
        before = file.path
    return found


def walk(read: "Read") -> "Iterator[File]":
    """The files of the manifest that `read` reads, one by one, with 192 bytes of it in memory at a time.

    Raises DecodeError where `load` does, as soon as it comes to it, and for what else is longer than those bytes.
    """
    items = _Items(read)
    keys = items.head(_MAP)
    if keys < 2 or items.head(_UINT) != 1 or type(items.value()) is not str or items.head(_UINT) != 2:
        raise DecodeError("Manifest of another form")
    count = items.head(_ARRAY)
    if not 1 <= count <= MAX_FILES:
        raise DecodeError("Manifest.files out of range")
    before = ""
    for _ in range(count):
        file = File.from_map(items.value())
        _check(file, before)
        before = file.path
        yield file
    for _ in range(2 * (keys - 2)):
        items.value()  # fields that we do not know
    if not items.at_end():
        raise DecodeError("trailing bytes")


class _Items:
    """A cursor over a document of which a window is in memory."""

    def __init__(self, read: "Read") -> None:
        self._read = read
        self._view = memoryview(bytearray(_WINDOW))
        self._at = 0

    def head(self, major: int) -> int:
        """The argument of the next head, which has to be of that major type."""
        reader = self._reader()
        found, argument = reader.head()
        if found != major:
            raise DecodeError("Manifest of another form")
        self._at += reader.at
        return argument

    def value(self) -> "cbor.Value":
        """The next item."""
        reader = self._reader()
        value = reader.value(cbor.MAX_DEPTH - 2)
        self._at += reader.at
        return value

    def at_end(self) -> bool:
        """True when nothing follows."""
        return self._read(self._at, self._view[:1]) == 0

    def _reader(self) -> "cbor.Reader":
        return cbor.Reader(self._view[: self._read(self._at, self._view)])


def _check(file: File, before: str) -> None:
    if not is_inside(file.path):
        raise PathError("File.path leaves the slot")
    if file.path <= before:
        raise DecodeError("Manifest.files out of order or twice")


def is_inside(path: str) -> bool:
    """True for a path that names a file within the slot, other than the manifest."""
    for byte in path.encode():
        if not (97 <= byte <= 122 or 45 <= byte <= 57 or 65 <= byte <= 90 or byte == 95):  # a-z -./0-9 A-Z _
            return False
    return path != PATH and all(part.strip(".") for part in path.split("/"))
