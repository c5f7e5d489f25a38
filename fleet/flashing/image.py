"""LittleFS images as MicroPython reads them: the file system of a node, built and read on the host.

Every file of the program has a place of its own, found by its name, with gaps between them: whatever changes in one
file, the blocks of most others stay as they are, and need not be written again.
"""

import zlib
from collections.abc import Iterator, Mapping
from typing import Any

from littlefs import LFSConfig, LittleFS, UserContext
from littlefs.errors import LittleFSError

from fleet.errors import FleetError, VerificationError
from fleet.flashing.firmware import STAGE_0, Firmware
from protocol.identity import PATH, Identity

BLOCK = 4096  # bytes that one erase sets
SIZE = 512 * BLOCK  # the vfs partition of a 4 MB board
SLOT = "/a/"  # where a program is flashed; updates over the air alternate with /b/

# extmod/vfs_lfsx.c of MicroPython. On disk only the size and number of blocks matter, and name_max <= 255.
_AS_MICROPYTHON: dict[str, Any] = {
    "block_size": BLOCK,
    "read_size": 32,
    "prog_size": 32,
    "cache_size": 128,
    "lookahead_size": 32,
    "block_cycles": 100,
    "name_max": 255,
}
_FIRST = 32  # blocks for folders, in front of the files of the program
_PLACES = 192  # blocks over which these are spread: about twice as many as they fill
_FILLER = "/.filler"
_ENTRIES_MAX = 4096  # files and folders, of which a node has some hundreds
_PATH_MAX = 255  # characters
_READS_MAX = 8 << 20  # of 32 to 128 bytes; a full node takes 60 000
_FOLDER = 2  # LFS_TYPE_DIR


def files_of(firmware: Firmware, identity: Identity | None = None) -> dict[str, bytes]:
    """{absolute path: contents} of a node; without an identity, one that waits for it."""
    files = {"/" + name: data for name, data in firmware.stage.items()}
    files.update({SLOT + name: data for name, data in {**firmware.slot, **firmware.claim}.items()})
    return files if identity is None else {**files, PATH: identity.encode()}


def is_program(path: str) -> bool:
    """Whether a file belongs to the program of a node, and not to the node."""
    return path.startswith(SLOT) or path.removeprefix("/") in STAGE_0


def build(files: Mapping[str, bytes], size: int = SIZE) -> bytes:
    """A LittleFS image of `size` bytes that holds `files`; the same files give the same image.

    FleetError when they do not fit.
    """
    flash = _Flash(b"\xff" * size)
    try:
        fs = LittleFS(context=flash, block_count=size // BLOCK, **_AS_MICROPYTHON)
        _place(fs, flash, {path: data for path, data in files.items() if is_program(path)})
        for path, data in files.items():
            if not is_program(path):
                _write(fs, path, data)
    except LittleFSError as error:
        total = sum(map(len, files.values()))
        raise FleetError(f"{total} bytes of files do not fit into {size} bytes", cause=str(error)) from error
    return bytes(flash.buffer)


def read(image: bytes) -> dict[str, bytes]:
    """{absolute path: contents} of every file; VerificationError when it is no LittleFS, or a damaged one."""
    return _read(image)[0]


def used(image: bytes) -> list[int]:
    """The blocks that a reader of the image looks at, in order. What is in any other block has no meaning."""
    return sorted(_read(image)[1].looked_at)


def _place(fs: LittleFS, flash: "_Flash", files: Mapping[str, bytes]) -> None:
    """Write the program, each file at its place or behind it when that is taken."""
    for folder in sorted({path.rpartition("/")[0] for path in files} - {""}):
        fs.makedirs(folder, exist_ok=True)
    with fs.open(_FILLER, "wb") as filler:
        filled = 0
        for place, path in sorted((_FIRST + zlib.crc32(path.encode()) % _PLACES, path) for path in files):
            while flash.reach < place:
                filler.write(b"\xff" * _room(filled))
                filler.flush()
                filled += 1
            _write(fs, path, files[path])
    fs.remove(_FILLER)


def _room(index: int) -> int:
    """Bytes that block `index` of a file holds, beside the pointers to others before it (LittleFS SPEC.md, CTZ)."""
    return BLOCK - 4 * (index & -index).bit_length()


def _write(fs: LittleFS, path: str, data: bytes) -> None:
    fs.makedirs(path.rpartition("/")[0] or "/", exist_ok=True)
    with fs.open(path, "wb") as file:
        file.write(data)


def _read(image: bytes) -> "tuple[dict[str, bytes], _Flash]":
    flash = _Flash(image)
    found = {}
    try:
        fs = LittleFS(context=flash, block_count=len(image) // BLOCK, mount=False, **_AS_MICROPYTHON)
        fs.mount()
        room = len(image)
        for path, size in _listed(fs):
            room -= size
            if room < 0:
                raise _unreadable("its files are larger than itself")
            with fs.open(path, "rb") as file:
                found[path] = file.read()
    except (LittleFSError, OSError, UnicodeError) as error:
        raise _unreadable(str(error)) from error
    return found, flash


def _listed(fs: LittleFS) -> Iterator[tuple[str, int]]:
    """(path, bytes) of every file, without trust in the image: its folders may hold each other, its names anything."""
    folders, entries = ["/"], 0
    while folders:
        folder = folders.pop()
        for entry in fs.scandir(folder):
            entries += 1
            path = f"{folder.rstrip('/')}/{entry.name}"
            if entries > _ENTRIES_MAX or len(path) > _PATH_MAX:
                raise _unreadable("its folders have no end")
            if not entry.name.isprintable() or "/" in entry.name or not entry.name:
                raise _unreadable(f"a name is {entry.name!r}")
            if entry.type == _FOLDER:
                folders.append(path)
            else:
                yield path, entry.size


def _unreadable(cause: str) -> VerificationError:
    return VerificationError("the file system cannot be read", cause=cause)


class _Flash(UserContext):
    """The memory of an image, which knows what was looked at and how far allocation has come.

    LittleFS allocates in a ring that begins anywhere; `reach` is the number of blocks from the first to the last.
    (Its own methods do the same, and describe each call to the log, which takes most of the time.)
    """

    def __init__(self, data: bytes) -> None:
        super().__init__(buffer=bytearray(data))
        self.looked_at: set[int] = set()
        self.reach = 0
        self._reads = 0
        self._first: int | None = None

    def read(self, cfg: LFSConfig, block: int, off: int, size: int) -> bytearray:
        """LittleFS reads."""
        self._reads += 1
        if self._reads > _READS_MAX:  # pointers in a ring: an erased block ends it
            return bytearray(b"\xff" * size)
        self.looked_at.add(block)
        return self.buffer[block * BLOCK + off : block * BLOCK + off + size]

    def prog(self, cfg: LFSConfig, block: int, off: int, data: bytes) -> int:
        """LittleFS programs."""
        if block > 1:  # not the pair of the superblock and the root
            self._first = block if self._first is None else self._first
            self.reach = max(self.reach, (block - self._first) % cfg.block_count + 1)
        self.buffer[block * BLOCK + off : block * BLOCK + off + len(data)] = data
        return 0
