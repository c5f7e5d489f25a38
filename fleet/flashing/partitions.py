"""The partition table of a chip (ESP-IDF Programming Guide, "Partition Tables"; gen_esp32part.py) and MicroPython's use
of it: its files are in the partition `vfs`, and when there is none, in the rest of the flash (ports/esp32/main.c).
"""

import hashlib
import itertools
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fleet.errors import VerificationError

OFFSET = 0x8000  # of the table in flash
SIZE = 0x1000  # the sector that holds it
FLASH_MAX = 64 << 20  # bytes; boards have up to 32 MB, and it is read and built in memory
APP = 0
DATA = 1
OTADATA = 0  # subtypes of DATA
NVS = 2
FAT = 0x81  # what MicroPython calls the type of its file system, whatever it is
VFS = "vfs"
_ROW = struct.Struct("<2sBBLL16sL")
_MAGIC = b"\xaa\x50"
_MD5 = b"\xeb\xeb" + b"\xff" * 14
_END = b"\xff" * _ROW.size
_MAX = 0xC00  # bytes: 95 rows and their digest
_ALIGN = {APP: 0x10000}
_SECTOR = 0x1000


@dataclass(frozen=True)
class Partition:
    """One row; offset and size are bytes."""

    label: str
    type: int
    subtype: int
    offset: int
    size: int
    flags: int = 0

    @property
    def end(self) -> int:
        """The first byte behind it."""
        return self.offset + self.size


def parse(data: bytes) -> list[Partition]:
    """The rows of a table, in order; VerificationError says what is wrong with it, and for flash that holds none."""
    rows: list[Partition] = []
    for at in range(0, min(len(data), _MAX) - _ROW.size + 1, _ROW.size):
        row = data[at : at + _ROW.size]
        if row == _END:
            break
        if row[:16] == _MD5:
            if hashlib.md5(data[:at], usedforsecurity=False).digest() != row[16:]:
                raise _damaged("its MD5 does not hold")
            break
        rows.append(_row(row))
    if not rows:
        raise _damaged("it is empty")
    _check(rows)
    return rows


def build(rows: Iterable[Partition]) -> bytes:
    """A table with its digest; ValueError when it cannot hold the rows."""
    packed = [
        _ROW.pack(_MAGIC, row.type, row.subtype, row.offset, row.size, row.label.encode("ascii"), row.flags)
        for row in rows
    ]
    if not 0 < len(packed) <= _MAX // _ROW.size - 1:
        raise ValueError(f"{len(packed)} rows")
    data = b"".join(packed)
    return (data + _MD5 + hashlib.md5(data, usedforsecurity=False).digest()).ljust(_MAX, b"\xff")


def files(rows: Sequence[Partition], flash_size: int) -> Partition:
    """Where MicroPython keeps its files on a chip of `flash_size` bytes; VerificationError when there is no room."""
    if flash_size > FLASH_MAX:
        raise VerificationError(f"the chip says that it has {flash_size >> 20} MB of flash", hint="take another board")
    last = max(row.end for row in rows)
    if last > flash_size:
        raise VerificationError(
            f"the partition table needs {last >> 20} MB of flash, and the chip has {flash_size >> 20} MB",
            hint="take a base image for this size of flash",
        )
    found = next((row for row in rows if row.label == VFS and row.type == DATA), None)
    if found is None:
        found = Partition(VFS, DATA, FAT, last, flash_size - last)
    if found.size < _SECTOR * 4 or found.offset % _SECTOR or found.offset < OFFSET + SIZE:
        raise VerificationError("the partition table leaves no room for files", hint="take another base image")
    return found


def _row(data: bytes) -> Partition:
    magic, kind, subtype, offset, size, label, flags = _ROW.unpack(data)
    if magic != _MAGIC:
        raise _damaged(f"a row begins with {data[:2].hex()}")
    try:
        name = label.rstrip(b"\0").decode("ascii")
    except UnicodeDecodeError:
        name = "\0"
    if not name.isprintable():
        raise _damaged("a label is no text")
    return Partition(name, kind, subtype, offset, size, flags)


def _check(rows: Sequence[Partition]) -> None:
    for row in rows:
        if row.type in (APP, DATA) and row.offset < OFFSET + SIZE:
            raise _damaged(f"{row.label} is at {row.offset:#x}, where bootloader and table are")
        if row.offset % _ALIGN.get(row.type, _SECTOR) or not row.size:
            raise _damaged(f"{row.label} is at {row.offset:#x} with {row.size} bytes")
    for one, two in itertools.pairwise(sorted(rows, key=lambda row: row.offset)):
        if one.end > two.offset:
            raise _damaged(f"{one.label} and {two.label} overlap")


def _damaged(cause: str) -> VerificationError:
    return VerificationError("there is no good partition table", cause=cause)
