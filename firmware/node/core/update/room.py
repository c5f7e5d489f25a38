"""How much room an update needs and finds, in blocks of the file system: what is refused here is not begun there."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator

    from node.core.files import FilesDoor
    from protocol.manifest import File

_BLOCK = 4096  # what LittleFS gives to a file,
_USABLE = 4088  # of which the file has so much at least, the rest is pointers;
_INLINE = 128  # a file up to here lies in its folder,
_ENTRY = 32  # where a file costs so much beside its name,
_FOLDER = 1500  # and for so much two blocks more are needed at most;
_FOLDER_BLOCKS = 4  # a folder has two, and statvfs counts them twice
_RESERVE = 4  # blocks without which the file system cannot work


def lack(files: "FilesDoor", need: int) -> str:
    """What is missing to write so many blocks, as text, or ""."""
    blocks = need + _RESERVE - files.free() // _BLOCK
    return "{} KiB more are needed".format(blocks * _BLOCK >> 10) if blocks > 0 else ""


def held(files: "FilesDoor", folder: str) -> "Generator[None, None, int]":
    """Blocks that become free, at least, when a folder and all in it are deleted.

    Yields after each entry: the next one may cost LittleFS a hundred reads.
    """
    count = 0
    for name, size in files.scan(folder):
        if name.endswith("/"):
            count += _FOLDER_BLOCKS + (yield from held(files, folder + "/" + name[:-1]))
        else:
            count += least(size)
        yield
    return count


def least(size: int) -> int:
    """Blocks that a file of that size occupies at least."""
    return 0 if size <= _INLINE else (size + _BLOCK - 1) // _BLOCK


def _most(size: int) -> int:
    """Blocks that it occupies at most."""
    return 0 if size <= _INLINE else (size + _USABLE - 1) // _USABLE


class Room:
    """Blocks that a program may occupy at most, its folders included."""

    def __init__(self, manifest_size: int) -> None:
        self._count = _most(manifest_size)
        self._folders = {"": 0}  # bytes of what is kept in each

    def add(self, file: "File") -> None:
        """One more file of it."""
        self._count += _most(file.size)
        kept = _ENTRY + len(file.path) + (file.size if file.size <= _INLINE else 0)
        folder = file.path
        while folder:
            folder = folder[: max(folder.rfind("/"), 0)]
            self._folders[folder] = self._folders.get(folder, 0) + kept
            kept = 0  # it is in one of them only

    def blocks(self) -> int:
        """All of them together."""
        return self._count + sum([_FOLDER_BLOCKS + kept // _FOLDER * 2 for kept in self._folders.values()])
