"""Images that an ESP32 starts: header, segments, checksum, SHA-256 (ESP-IDF Programming Guide, "App Image Format")."""

import hashlib
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tools.virtual_board.chips import MEGABYTE
from tools.virtual_board.loader.protocol import checksum

MAGIC = 0xE9
_HEADER = struct.Struct("<BBBBIB3sHBHH4sB")  # 24 bytes, the extended header included
_SEGMENT = struct.Struct("<II")
_SEGMENTS_MAX = 16
_DIO = 2
_REVISION_MAX = 0xFFFF
_SHA = 32

Read = Callable[[int, int], bytes]  # (address in flash, bytes)


class ImageError(Exception):
    """The image cannot be started; the text is what the bootloader prints."""


@dataclass(frozen=True)
class Image:
    """What a header says; `size` = bytes in flash, checksum and digest included; `starts`: its first instruction is in
    it."""

    chip_id: int
    flash_size: int
    size: int
    starts: bool


def check(read: Read, at: int, room: int) -> Image:
    """The image at `at`, which has `room` bytes; ImageError when it is none or damaged."""
    header = read(at, _HEADER.size)
    magic, count, _, size_and_speed, entry, _, _, chip_id, _, _, _, _, hashed = _HEADER.unpack(header)
    if magic != MAGIC:
        raise ImageError(f"image at {at:#x} has invalid magic byte (nothing flashed here?)")
    if not 0 < count <= _SEGMENTS_MAX:
        raise ImageError(f"image at {at:#x} segment count {count} exceeds max {_SEGMENTS_MAX}")
    total = _HEADER.size
    both = 0
    starts = False
    for number in range(count):
        address, size = _segment(read, at, total, room)
        starts = starts or address <= entry < address + size
        both ^= checksum(read(at + total + _SEGMENT.size, size))
        total += _SEGMENT.size + size
        both ^= 0 if number == 0 else _seed()
    total = _padded(total)
    if total + (_SHA if hashed else 0) > room:
        raise ImageError(f"Image length {total} doesn't fit in partition length {room}")
    stored = read(at + total - 1, 1)[0]
    if stored != both:
        raise ImageError(f"Checksum failed. Calculated {both:#x} read {stored:#x}")
    if hashed and read(at + total, _SHA) != hashlib.sha256(read(at, total)).digest():
        raise ImageError("Image hash failed - image is corrupt")
    return Image(chip_id, MEGABYTE << (size_and_speed >> 4), total + (_SHA if hashed else 0), starts)


def _segment(read: Read, at: int, offset: int, room: int) -> tuple[int, int]:
    """(load address, size) of the segment whose header is at `offset` of the image."""
    if offset + _SEGMENT.size > room:
        raise ImageError("Image requires more room than there is")
    address, size = _SEGMENT.unpack(read(at + offset, _SEGMENT.size))
    if size % 4 or size > room - offset - _SEGMENT.size:
        raise ImageError(f"invalid segment length {size:#x}")
    return int(address), int(size)


def build(chip_id: int, flash_size: int, entry: int, segments: Sequence[tuple[int, bytes]]) -> bytes:
    """An image of (load address, data) segments, whose sizes are multiples of 4; with checksum and SHA-256."""
    size_code = (flash_size // MEGABYTE).bit_length() - 1
    header = _HEADER.pack(
        MAGIC, len(segments), _DIO, size_code << 4, entry, 0xEE, bytes(3), chip_id, 0, 0, _REVISION_MAX, bytes(4), 1
    )
    body = header + b"".join(_SEGMENT.pack(address, len(data)) + data for address, data in segments)
    image = bytearray(body.ljust(_padded(len(body)), b"\0"))
    image[-1] = checksum(b"".join(data for _, data in segments))
    return bytes(image) + hashlib.sha256(image).digest()


def _padded(size: int) -> int:
    """With the checksum byte at the end a multiple of 16."""
    return size // 16 * 16 + 16


def _seed() -> int:
    return checksum(b"")
