"""The serial protocol of the ROM loader and of the flasher stub: numbers, requests, answers (no state).

Source: Espressif, "esptool, Advanced Topics, Serial Protocol", and what esptool 5.6 sends and expects.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum

from tools.virtual_board import slip

ROM_BLOCK = 0x400  # bytes of flash data in a request to the ROM
STUB_BLOCK = 0x4000
RAM_BLOCK = 0x1800
FRAME_MAX = 8 + 16 + STUB_BLOCK  # bytes of the longest request
CHECKSUM_SEED = 0xEF
SYNC_ANSWERS = 8
SYNC_VALUE = 0x20120707  # the ROM answers a sync with something that is not 0
SYNC_BEGIN = b"\xc0\x00\x08\x24\x00"  # the first bytes of every sync frame on the wire
HELLO = slip.encode(b"OHAI")  # what the stub says first
_HEAD = struct.Struct("<BBHI")
_ROM_STATUS = 4  # bytes; the last two are reserved
_STUB_STATUS = 2


class Op(IntEnum):
    """Commands."""

    FLASH_BEGIN = 0x02
    FLASH_DATA = 0x03
    FLASH_END = 0x04
    MEM_BEGIN = 0x05
    MEM_END = 0x06
    MEM_DATA = 0x07
    SYNC = 0x08
    WRITE_REG = 0x09
    READ_REG = 0x0A
    SPI_SET_PARAMS = 0x0B
    SPI_ATTACH = 0x0D
    READ_FLASH_SLOW = 0x0E
    CHANGE_BAUDRATE = 0x0F
    FLASH_DEFL_BEGIN = 0x10
    FLASH_DEFL_DATA = 0x11
    FLASH_DEFL_END = 0x12
    SPI_FLASH_MD5 = 0x13
    GET_SECURITY_INFO = 0x14
    ERASE_FLASH = 0xD0
    ERASE_REGION = 0xD1
    READ_FLASH = 0xD2
    RUN_USER_CODE = 0xD3


class Fault(IntEnum):
    """Why a command failed, as (code of the ROM, code of the stub << 8)."""

    MESSAGE = 0x05 | 0xC0 << 8  # length or content makes no sense
    UNKNOWN = 0x05 | 0xFF << 8
    FAILED = 0x06 | 0xC4 << 8
    NOT_BEGUN = 0x06 | 0xC6 << 8
    CHECKSUM = 0x07 | 0xC1 << 8
    BLOCK = 0x05 | 0xC2 << 8
    INFLATE = 0x0B | 0xC7 << 8
    TOO_MUCH = 0x0B | 0xC9 << 8


class RefusedError(Exception):
    """The loader answers with an error."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.name)
        self.fault = fault


@dataclass(frozen=True)
class Request:
    """One command: its number (which may be unknown), its data, the checksum that the host computed."""

    op: int
    data: bytes
    checksum: int


@dataclass(frozen=True)
class Answer:
    """What a command that worked gives back: the word `value`, and data before the status bytes."""

    value: int = 0
    data: bytes = b""


DONE = Answer()


def parse(frame: bytes) -> Request | None:
    """The request in a frame; None when it is none: too short, an answer, a wrong length."""
    if len(frame) < _HEAD.size:
        return None
    direction, op, size, checksum = _HEAD.unpack_from(frame)
    data = frame[_HEAD.size :]
    return Request(op, data, checksum) if direction == 0 and size == len(data) else None


def answered(op: int, answer: Answer, stub: bool) -> bytes:
    """The frame that answers a command that worked, on the wire."""
    status = bytes(_STUB_STATUS if stub else _ROM_STATUS)
    return _frame(op, answer.value, answer.data + status)


def refused(op: int, fault: Fault, stub: bool) -> bytes:
    """The frame that answers a command that failed, on the wire. The stub has its code in the first status byte."""
    status = bytes([fault >> 8, 0]) if stub else bytes([1, fault & 0xFF, 0, 0])
    return _frame(op, 0, status)


def _frame(op: int, value: int, data: bytes) -> bytes:
    return slip.encode(_HEAD.pack(1, op & 0xFF, len(data), value & 0xFFFFFFFF) + data)


def checksum(data: bytes) -> int:
    """XOR over `data` as the loaders compute it."""
    both = int.from_bytes(data, "little")
    width = 1 << (max(len(data), 1) - 1).bit_length()  # bytes; a power of two
    while width > 1:
        width //= 2
        both = both >> 8 * width ^ both & ((1 << 8 * width) - 1)
    return CHECKSUM_SEED ^ both


def words(data: bytes, count: int) -> tuple[int, ...]:
    """The first `count` little-endian words; RefusedError when there are fewer."""
    if len(data) < 4 * count:
        raise RefusedError(Fault.MESSAGE)
    return struct.unpack_from(f"<{count}I", data)


def payload(request: Request) -> tuple[int, bytes]:
    """(sequence number, data) of a FLASH_DATA, FLASH_DEFL_DATA or MEM_DATA; RefusedError when it was damaged."""
    size, sequence, _, _ = words(request.data, 4)
    data = request.data[16:]
    if size != len(data):
        raise RefusedError(Fault.MESSAGE)
    if checksum(data) != request.checksum & 0xFF:
        raise RefusedError(Fault.CHECKSUM)
    return sequence, data
