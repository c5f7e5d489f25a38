"""LittleFS images that lie and whose checksums hold: damage that a checksum finds is found, so it says little.

Metadata blocks are commits of (tag, data); each tag is combined with the one before by exclusive or, and a CRC ends a
commit (LittleFS SPEC.md, "Metadata pairs" and "Metadata tags").
"""

import zlib
from collections.abc import Iterator

BLOCK = 4096
_FIRST = 4  # behind the revision count
_CRC, _FORWARD_CRC = 0x500, 0x5FF  # types of tags
_DELETED = 0x3FF


def payloads(block: bytes) -> list[tuple[int, int, int]]:
    """(type, offset, bytes) of what the commits of a metadata block hold, CRCs left out; nothing for other blocks."""
    found = list(_tags(block))
    if not any(_ends(kind) for kind, _, _ in found) or sealed(block) != block:
        return []
    return [(kind, at, size) for kind, at, size in found if size and kind & 0x700 != _CRC]


def sealed(block: bytes) -> bytes:
    """The same block with a CRC in every commit that holds."""
    data, start = bytearray(block), 0
    for kind, at, size in _tags(block):
        if _ends(kind) and at + 4 <= BLOCK:
            data[at : at + 4] = (zlib.crc32(data[start:at]) ^ 0xFFFFFFFF).to_bytes(4, "little")
            start = at + size
    return bytes(data)


def _tags(block: bytes) -> Iterator[tuple[int, int, int]]:
    at, before = _FIRST, 0xFFFFFFFF
    while at + 4 <= BLOCK:
        tag = int.from_bytes(block[at : at + 4], "big") ^ before
        if tag >> 31:
            return
        kind, size = tag >> 20 & 0x7FF, tag & 0x3FF
        size = 0 if size == _DELETED else size
        yield kind, at + 4, size
        before = tag ^ (kind & 1) << 31 if _ends(kind) else tag
        at += 4 + size


def _ends(kind: int) -> bool:
    return kind & 0x780 == _CRC and kind != _FORWARD_CRC
