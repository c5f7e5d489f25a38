"""The partition table of ESP-IDF: rows of 32 bytes at 0x8000 (ESP-IDF Programming Guide, "Partition Tables")."""

import hashlib
import struct
from collections.abc import Iterable
from dataclasses import dataclass

TABLE_AT = 0x8000
TABLE_SIZE = 0xC00
APP = 0
DATA = 1
FACTORY = 0x00
OTA_0 = 0x10  # to 0x1F
OTADATA = 0x00
NVS = 0x02
FAT = 0x81  # what MicroPython gives its own partition
_ROW = struct.Struct("<HBBII16sI")
_MAGIC = 0x50AA
_MD5_ROW = b"\xeb\xeb" + b"\xff" * 14
_END = b"\xff" * 32


class TableError(Exception):
    """The table cannot be used; the text is what the second stage bootloader prints."""


@dataclass(frozen=True)
class Partition:
    """One row; offset and size in bytes."""

    name: str
    type: int
    subtype: int
    offset: int
    size: int

    @property
    def end(self) -> int:
        """The first byte behind it."""
        return self.offset + self.size


def parse(data: bytes, flash_size: int) -> list[Partition]:
    """The rows of a table, in its order; TableError as the bootloader of ESP-IDF finds it."""
    rows: list[Partition] = []
    for start in range(0, min(len(data), TABLE_SIZE) - 31, 32):
        raw = data[start : start + 32]
        if raw == _END:
            break
        if raw[:16] == _MD5_ROW:
            if raw[16:] != _md5(data[:start]):
                raise TableError("Incorrect MD5 checksum")
            continue
        magic, kind, subtype, offset, size, name, _ = _ROW.unpack(raw)
        if magic != _MAGIC:
            raise TableError(f"partition {len(rows)} invalid magic number {magic:#x}")
        if offset + size > flash_size:
            raise TableError(
                f"partition {len(rows)} invalid - offset {offset:#x} size {size:#x} "
                f"exceeds flash chip size {flash_size:#x}"
            )
        rows.append(Partition(name.rstrip(b"\0").decode("utf-8", "replace"), kind, subtype, offset, size))
    if not rows:
        raise TableError("partition 0 invalid magic number 0xffff")
    return rows


def build(rows: Iterable[Partition]) -> bytes:
    """A table with its MD5 row, TABLE_SIZE bytes."""
    data = b"".join(
        _ROW.pack(_MAGIC, row.type, row.subtype, row.offset, row.size, row.name.encode(), 0) for row in rows
    )
    return (data + _MD5_ROW + _md5(data)).ljust(TABLE_SIZE, b"\xff")


def with_vfs(rows: list[Partition], flash_size: int) -> list[Partition]:
    """The rows as MicroPython sees them: without `vfs` or `ffat` the rest of the flash becomes `vfs` (its main.c)."""
    end = max(row.end for row in rows)
    if any(row.name in ("vfs", "ffat") for row in rows) or end >= flash_size:
        return rows
    return [*rows, Partition("vfs", DATA, FAT, end, flash_size - end)]


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()
