"""What is read out of a flash or a download: partition tables, base images, file systems. The first byte says which."""

import functools
import hashlib
import itertools
import struct

from fleet.errors import VerificationError
from fleet.flashing import base, image, layout, partitions
from tools.fuzz import inputs, littlefs
from tools.fuzz.rng import Random
from tools.virtual_board.base import base_image

INTERPRETERS = ("cpython",)
BOUND = (512 << 10, 64)
_FLASH = 4 << 20
_BLOCKS = 20
_PATCH = struct.Struct("<HH8s")  # which block or payload, which byte of it, what it becomes
_PATCHES = 6
_NUMBERS = (0, 1, 2, 3, _BLOCKS - 1, _BLOCKS, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_NAMES = (b"..", b".", b"a/b", b"\0", b"\xff\xfe", b"\x1b[2J", b"data")
_EDGES = (0, 1, 0x1000, 0x8000, 0x9000, 0x10000, 0x200000, 0x3FF000, 0x400000, 0xFFFFF000, 0xFFFFFFFF)


@functools.cache
def _image() -> bytes:
    """The smallest download that holds together."""
    return base_image("esp32", size=8192)


@functools.cache
def _files() -> bytes:
    """A file system with files within and beside their metadata, and folders in each other."""
    files = {"/id.cbor": b"i" * 900, "/x.py": b"b" * 20, "/data/o/1": b"o" * 5000, "/data/o/2": b"p" * 300}
    return image.build({**files, "/data/c": b"c" * 9000}, _BLOCKS * image.BLOCK)


@functools.cache
def _payloads() -> tuple[tuple[int, int, int, int], ...]:
    """(block, type, offset, bytes) of everything that the metadata says."""
    blocks = range(_BLOCKS)
    rows = [(block, *row) for block in blocks for row in littlefs.payloads(_block(_files(), block))]
    return tuple(rows)


def _block(data: bytes | bytearray, block: int) -> bytes:
    return bytes(data[block * image.BLOCK : (block + 1) * image.BLOCK])


def seeds() -> list[bytes]:
    """Each of the three as it should be."""
    return [b"T" + _image()[0x7000:0x7080], b"B", b"F"]


def generate(random: Random, seeds: list[bytes]) -> bytes:
    """Damaged and invented tables, images with patches, file systems whose metadata lies and whose checksums hold."""
    how = random.below(8)
    if how == 0:
        return inputs.damaged(random, seeds[:1])
    if how < 3:
        return b"T" + _table(random)
    kind = b"B" if how < 5 else b"F"
    return kind + b"".join(_patch(random, kind) for _ in range(random.below(_PATCHES)))


def _table(random: Random) -> bytes:
    rows, at = b"", 0x9000
    for _ in range(1 + random.below(5)):
        size = _EDGES[random.below(len(_EDGES))] if random.below(8) == 0 else 0x1000 << random.below(8)
        place = _EDGES[random.below(len(_EDGES))] if random.below(8) == 0 else at
        label = (b"vfs", b"nvs", b"app", b"\x1b[2J", b"\xff")[random.below(3 if random.below(8) else 5)]
        rows += struct.pack("<2sBBLL16sL", b"\xaa\x50", random.below(3), random.below(4), place, size, label, 0)
        at = (at + size) & 0xFFFFFFFF
    return rows + b"\xeb\xeb" + b"\xff" * 14 + hashlib.md5(rows, usedforsecurity=False).digest()


def _patch(random: Random, kind: bytes) -> bytes:
    if random.below(4) == 0:
        value = _NAMES[random.below(len(_NAMES))].ljust(8, b"z")
    elif random.below(4):
        value = struct.pack("<LL", *(_NUMBERS[random.below(len(_NUMBERS))] for _ in range(2)))
    else:
        value = random.data(8)
    most = 64 if kind == b"F" or random.below(2) else 0x10000
    return _PATCH.pack(random.bits() & 0xFFFF, random.below(most) * random.below(2), value)


def parse(data: bytes) -> None:
    """Read it, and swallow the one declared error."""
    try:
        _read(data)
    except VerificationError:
        return


def verdict(data: bytes) -> bytes:
    """What it is taken for."""
    try:
        return f"ok {_read(data)}".encode()
    except VerificationError as error:
        return f"{error.message} {error.cause}".encode(errors="backslashreplace")


def _read(data: bytes) -> object:
    kind, rest = data[:1], data[1:]
    return {b"B": _read_base, b"F": _read_files}.get(kind, _read_table)(rest)


def _read_table(data: bytes) -> object:
    rows = partitions.parse(data)
    place = partitions.files(rows, _FLASH)
    for one, two in itertools.pairwise(sorted(rows, key=lambda row: row.offset)):
        assert one.end <= two.offset, "partitions overlap"
    assert all(row.label.isprintable() for row in rows), "a label that moves a cursor"
    assert place.type != partitions.DATA or 0x9000 <= place.offset < place.end <= _FLASH, "files beyond the flash"
    return rows, place


def _read_base(patches: bytes) -> object:
    """A base image with bytes changed anywhere, and the digest of its program made right again."""
    data = bytearray(_image())
    for which, at, value in _split(patches):
        start = (0, 0x7000, 0xF000, which % len(data))[which % 4] + at % 0x2000
        data[start : start + len(value)] = value
        del data[len(_image()) :]
    start = 0xF000
    data[-32:] = hashlib.sha256(data[start:-32]).digest()
    found = base.check(bytes(data), "x.bin")
    assert sum(len(piece.data) for piece in found.pieces()) <= len(data) + (2 << 12) + 128, "more than there is"
    return found, base.is_too_old(found.version)


def _read_files(patches: bytes) -> object:
    """A file system with payloads of its metadata changed, under checksums that hold."""
    data, rows = bytearray(_files()), _payloads()
    for which, at, value in _split(patches):
        block, _, offset, size = rows[which % len(rows)]
        start = block * image.BLOCK + offset + (at % size if at else 0)
        end = min(start + len(value), block * image.BLOCK + offset + size)
        data[start:end] = value[: end - start]
        data[block * image.BLOCK : (block + 1) * image.BLOCK] = littlefs.sealed(_block(data, block))
    found = image.read(bytes(data))
    assert sum(map(len, found.values())) <= len(data), "more than there is"
    assert all(path.isprintable() and "/../" not in path for path in found), "a name that nobody gave"
    layout.pieces(bytes(data), 0, fine=True)
    return sorted((path, len(contents)) for path, contents in found.items())


def _split(patches: bytes) -> list[tuple[int, int, bytes]]:
    whole = len(patches) // _PATCH.size * _PATCH.size
    return list(_PATCH.iter_unpack(patches[:whole]))
