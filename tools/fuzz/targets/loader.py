"""What a host may send to the loader of a virtual board: frames of any kind, in pieces of any size."""

import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.fuzz import inputs
from tools.fuzz.rng import Random
from tools.virtual_board import slip
from tools.virtual_board.chips import CHIPS
from tools.virtual_board.flash import BLOCK, FlashChip
from tools.virtual_board.loader import Loader, Registers, SpiFlash
from tools.virtual_board.loader.protocol import FRAME_MAX, SYNC_BEGIN, Op, checksum

INTERPRETERS = ("cpython",)
BOUND = (400 << 10, 64)
_SIZE = 8 * BLOCK
_MAC = bytes(6)
_ANSWER_MAX = 2 * (64 * BLOCK + 256)  # bytes on the wire for one command: a window of READ_FLASH, escaped
_OPS = tuple(Op)
_WORDS = (0, 1, 4, 64, 0x400, BLOCK, _SIZE - 1, _SIZE, _SIZE + 1, 0x7FFFFFFF, 0xFFFFFFFF)
_DATA = bytes(range(256)) * 2
_PIECES = (1, 100)


def _frame(op: int, data: bytes = b"", check: int = 0) -> bytes:
    return slip.encode(struct.pack("<BBHI", 0, op, len(data), check) + data)


def _words(op: int, *values: int) -> bytes:
    return _frame(op, struct.pack(f"<{len(values)}I", *values))


def _block(op: int, sequence: int, data: bytes) -> bytes:
    return _frame(op, struct.pack("<4I", len(data), sequence, 0, 0) + data, checksum(data))


_SYNC = _frame(Op.SYNC, b"\x07\x07\x12\x20" + b"\x55" * 32)
_STUB = _words(Op.MEM_END, 0, 0x4010_0000)
_WRITE = _words(Op.FLASH_BEGIN, len(_DATA), 1, 0x400, BLOCK) + _block(Op.FLASH_DATA, 0, _DATA)
_DEFLATE = _words(Op.FLASH_DEFL_BEGIN, 2048, 1, 0x400, 0) + _block(Op.FLASH_DEFL_DATA, 0, zlib.compress(_DATA * 4))
_BOMB = _words(Op.FLASH_DEFL_BEGIN, 64, 1, 0x400, 0) + _block(Op.FLASH_DEFL_DATA, 0, zlib.compress(bytes(1 << 18)))
_READ = _words(Op.READ_FLASH, 0, 3 * BLOCK, BLOCK, 2) + slip.encode(struct.pack("<I", BLOCK))


def seeds() -> list[bytes]:
    """Conversations as esptool has them, and one that unpacks to much more than was said."""
    begin = _SYNC + _words(Op.READ_REG, 0x40001000)
    return [begin + _WRITE, begin + _DEFLATE, begin + _BOMB, _STUB + _READ, _STUB + _words(Op.ERASE_REGION, 0, BLOCK)]


def generate(random: Random, seeds: list[bytes]) -> bytes:
    """Noise in a frame and without, damaged conversations, and commands whose words are often beyond a bound."""
    how = random.below(8)
    if how == 0:
        return inputs.noise(random) if random.below(2) else slip.encode(b"\0" + inputs.noise(random))
    if how < 4:
        return inputs.damaged(random, seeds)
    parts = [_STUB] if random.below(2) else []
    for _ in range(1 + random.below(8)):
        parts.append(_command(random))
    return b"".join(parts)[: 2 * inputs.MAX_SIZE]


def _command(random: Random) -> bytes:
    how = random.below(8)
    if how == 0:
        return (_WRITE, _DEFLATE, _BOMB, _READ, _SYNC, SYNC_BEGIN)[random.below(6)]
    if how == 1:
        data = random.data(random.below(64))
        return _block((Op.FLASH_DATA, Op.FLASH_DEFL_DATA, Op.MEM_DATA)[random.below(3)], random.below(3), data)
    if how == 2:
        return slip.encode(struct.pack("<I", _WORDS[random.below(len(_WORDS))]))
    op = _OPS[random.below(len(_OPS))] if random.below(16) else random.below(256)
    return _words(op, *(_WORDS[random.below(len(_WORDS))] for _ in range(random.below(6))))


@contextmanager
def _chip() -> Iterator[FlashChip]:
    """A small flash in memory."""
    handle = os.memfd_create("flash")
    try:
        os.write(handle, b"\xff" * _SIZE)
        flash = FlashChip(Path(f"/proc/self/fd/{handle}"), _SIZE, Path(os.devnull))
        flash.begin()
        yield flash
        flash.close()
    finally:
        os.close(handle)


def parse(data: bytes) -> None:
    """Feed it in one go; nothing is an error, for the loader answers with one."""
    _told(data, len(data) or 1)


def verdict(data: bytes) -> bytes:
    """What is answered and what is in flash then, however the bytes arrive."""
    said = _told(data, len(data) or 1)
    for piece in _PIECES:
        assert _told(data, piece) == said, f"another answer in pieces of {piece}"
    return said.encode()


def _told(data: bytes, piece: int) -> str:
    sent, left = bytearray(), list[bool]()
    with _chip() as flash:
        registers = Registers(CHIPS["esp32"], _MAC, SpiFlash(_SIZE), lambda: 115200, lambda: left.append(False))
        loader = Loader(CHIPS["esp32"], flash, registers, sent.extend, left.append)
        for at in range(0, len(data), piece):
            loader.feed(data[at : at + piece])
        assert flash.path.stat().st_size == _SIZE, "written behind the end"
        digest = flash.md5(0, _SIZE).hex()
    commands = data.count(b"\xc0") // 2 + 1
    assert len(sent) <= commands * _ANSWER_MAX, "answers without bound"
    answers = slip.Decoder(FRAME_MAX).feed(bytes(sent))
    word = "ok" if any(len(one) > 8 and not any(one[-2:]) for one in answers) else "nothing"
    return f"{word} {len(answers)} {zlib.crc32(sent)} {left} {loader.stub} {flash.operations} {digest}"
