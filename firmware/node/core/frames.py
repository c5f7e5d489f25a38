"""Frames: how several byte strings lie in one append-only file, so that damage anywhere is noticed.

`kind` u8 | length of the payload u16 | CRC-32 over kind, length and payload u32 | payload; big-endian.
"""

import struct
from binascii import crc32

HEAD = 7  # bytes before the payload

# Kinds of frames in a segment of the outbox
BOOT = 0xB0  # boot number u32: the entries after it belong to that boot
ENTRY = 0xE0  # plus the class

_CHECKED = 3  # bytes of the head that the CRC covers


def pack(kind: int, payload: "bytes | bytearray") -> bytes:
    """The frame of one payload (kind 0..255, at most 65535 bytes)."""
    head = struct.pack(">BH", kind, len(payload))
    return head + struct.pack(">I", crc32(payload, crc32(head))) + payload


def length(view: memoryview, at: int, end: int) -> int:
    """Bytes of the whole, undamaged frame at `at` in view[:end]; 0 when there is none."""
    if end - at < HEAD:
        return 0
    size: int
    _, size, crc = struct.unpack_from(">BHI", view, at)
    stop = at + HEAD + size
    if stop > end or crc32(view[at + HEAD : stop], crc32(view[at : at + _CHECKED])) != crc:
        return 0
    return HEAD + size
