"""The manifest of a slot: every file of the program with its size and SHA-256 (SPEC 11).

Whoever builds an image writes it, as PATH within the slot. What a node reports as its manifest is `digest` of the
bytes of that file, so two nodes with the same digest run the same program.
"""

from hashlib import sha256

from protocol.errors import DecodeError
from protocol.message import Message

PATH = "manifest.cbor"
MAX_FILES = 255
_PATH_BYTES = 64
_ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./"


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
        if not is_inside(file.path):
            raise DecodeError("File.path leaves the slot")
        if file.path <= before:
            raise DecodeError("Manifest.files out of order or twice")
        before = file.path
    return found


def is_inside(path: str) -> bool:
    """True for a path that names a file within the slot, other than the manifest."""
    if path == PATH or not all(char in _ALPHABET for char in path):
        return False
    return all(part.strip(".") for part in path.split("/"))
