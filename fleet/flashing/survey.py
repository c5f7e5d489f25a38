"""What is in the flash of a board whose program does not answer, as far as it says why."""

import struct
from dataclasses import dataclass

from fleet.errors import VerificationError
from fleet.flashing import base, image, partitions
from fleet.flashing.chips import BY_IMAGE_ID
from fleet.flashing.esptool import Esptool, Found

OURS = "littlefs"  # states of the file system
BLANK = "blank"
OTHER = "other"
_MAGIC = 0xE9
_HEADER = struct.Struct("<BBBB8xH")  # App Image Format: magic, segments, mode, size and speed, .., chip id
_HEAD = 0x1000  # bytes of each thing that are read
_MEGABYTE = 1 << 20


@dataclass(frozen=True)
class Survey:
    """`bootloader` and `program` name the chip that each is for, "?" for an unknown one; nothing where none is."""

    bootloader: str
    header_size: int  # bytes of flash that the bootloader was made for; 0 = it does not say
    table_fault: str  # what is wrong with the partition table, or nothing
    needs: int  # bytes of flash up to the end of the last partition
    program: str
    is_micropython: bool
    micropython: str  # version, where the program says it
    files: str


def survey(loader: Esptool, found: Found) -> Survey:
    """Read what matters; the chip stays in its loader. The errors are those of the loader."""
    start = found.chip.bootloader
    head = loader.read(start, _HEAD)
    try:
        rows = partitions.parse(found.table)
    except VerificationError as error:
        return Survey(_chip(head), _size(head), error.cause, 0, "", False, "", OTHER)
    apps = sorted((row for row in rows if row.type == partitions.APP), key=lambda row: row.offset)
    program = loader.read(apps[0].offset, _HEAD) if apps else b""
    needs = max(row.end for row in rows)
    return Survey(
        bootloader=_chip(head),
        header_size=_size(head),
        table_fault="" if apps else "it names no program",
        needs=needs,
        program=_chip(program),
        is_micropython=b"micropython" in program.lower(),
        micropython=base.version_of(program),
        files=_files(loader, found, rows) if needs <= found.flash_size else OTHER,
    )


def _files(loader: Esptool, found: Found, rows: list[partitions.Partition]) -> str:
    try:
        place = partitions.files(rows, found.flash_size)
    except VerificationError:
        return OTHER
    data = loader.read(place.offset, 2 * image.BLOCK)
    if not data.strip(b"\xff"):
        return BLANK
    return OURS if any(data[at + 8 : at + 16] == b"littlefs" for at in (0, image.BLOCK)) else OTHER


def _chip(data: bytes) -> str:
    """The chip that an image is for."""
    if len(data) < _HEADER.size or data[0] != _MAGIC:
        return ""
    chip = BY_IMAGE_ID.get(_HEADER.unpack_from(data)[4])
    return chip.name if chip else "?"


def _size(data: bytes) -> int:
    """The flash size in the header of an image: 1 MB shifted by its upper four bits."""
    if len(data) < _HEADER.size or data[0] != _MAGIC:
        return 0
    shift = data[3] >> 4
    return _MEGABYTE << shift if shift <= 7 else 0
