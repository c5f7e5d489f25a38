"""Small documents that outlive a reset: one Message per file, replaced as a whole.

A document that is missing or damaged reads as its defaults: a node must start whatever its flash holds.
"""

from protocol.errors import DecodeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from node.core.files import FilesDoor
    from protocol.message import M


def load(files: "FilesDoor", path: str, kind: "type[M]") -> "M":
    """The document at `path`, or one of defaults."""
    data = files.read(path)
    if data is not None:
        try:
            return kind.decode(data)
        except DecodeError:
            pass
    return kind()


def save(files: "FilesDoor", path: str, document: "M") -> bool:
    """Replace the document at `path`; False when the flash refused it and the former document stands."""
    try:
        files.write_atomic(path, document.encode())
    except OSError:
        return False
    return True
