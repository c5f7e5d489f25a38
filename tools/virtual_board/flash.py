"""The flash chip of a board: DIR/flash.bin under the rules of NOR flash (tools/sim/flash.py), from its first byte to
its last, with an operation log and a power cut within any operation."""

import hashlib
import struct
from pathlib import Path
from typing import BinaryIO

from tools.sim.flash import BLOCK, ERASE, PROGRAM, File, Flash, PowerCut

__all__ = ["BLOCK", "ERASE", "PROGRAM", "RECORD", "Cut", "FlashChip", "PowerCut"]

RECORD = struct.Struct("<BII")  # of the log: ERASE or PROGRAM, address, size; then the bytes as they are afterwards
ERASED = b"\xff"
_PIECE = 1 << 16  # bytes read at once for a digest
_CHUNK = 1 << 20


class Cut:
    """The power is cut within operation number `at` (counted since the start of the board), `keep` bytes into it."""

    def __init__(self, at: int, keep: int | None) -> None:
        self.at = at
        self.keep = keep


class FlashChip:
    """The bytes and the operations. `operations` counts over resets and programs; `cut` holds until it happened."""

    def __init__(self, path: Path, size: int, log_path: Path) -> None:
        if not path.exists():
            with path.open("wb") as new:
                for _ in range(size // _CHUNK):
                    new.write(ERASED * _CHUNK)
        self.path = path
        self.size = path.stat().st_size
        self.log_path = log_path
        self.operations = 0
        self.erases = 0
        self.programmed = 0
        self.cut: Cut | None = None
        self._file: BinaryIO = path.open("r+b", buffering=0)
        self._log: BinaryIO | None = None
        self._kind = ERASE
        self._flash = Flash(self)
        self._bytes = File(self._file)

    # -- what tools.sim.flash.Flash works on

    def read_into(self, at: int, buffer: bytearray | memoryview) -> None:
        """Fill `buffer` with the bytes from `at`."""
        self._bytes.read_into(at, buffer)

    def write(self, at: int, data: bytes | bytearray | memoryview) -> None:
        """Replace the bytes from `at`: one operation, or the part of it before the power was cut."""
        self._bytes.write(at, data)
        if self._log is not None:
            self._log.write(RECORD.pack(self._kind, at, len(data)) + data)

    # -- what the loaders do

    def begin(self) -> None:
        """The chip has power again: operations count on, and a cut that is planned is still planned."""
        self._flash = Flash(self, log=self._count)
        self._flash.operations = self.operations
        if self.cut is not None and self.cut.at > self.operations:
            self._flash.cut_after(self.cut.at - self.operations, self.cut.keep)

    def _count(self, kind: int, _: int, size: int) -> None:
        self._kind = kind
        self.operations += 1
        if kind == ERASE:
            self.erases += 1
        else:
            self.programmed += size

    def read(self, at: int, size: int) -> bytes:
        """`size` bytes from `at`; the caller keeps within the chip."""
        data = bytearray(size)
        self.read_into(at, data)
        return bytes(data)

    def erase(self, at: int, size: int) -> None:
        """Erase every block that holds a byte of the range; PowerCut when it is cut."""
        for block in range(at // BLOCK, -(-(at + size) // BLOCK)):
            self._flash.ioctl(_ERASE_BLOCK, block)

    def program(self, at: int, data: bytes) -> None:
        """Program `data`, block by block: bits become 0 and never 1; PowerCut when it is cut."""
        start = 0
        while start < len(data):
            block, offset = divmod(at + start, BLOCK)
            piece = data[start : start + BLOCK - offset]
            self._flash.writeblocks(block, piece, offset)
            start += len(piece)

    def md5(self, at: int, size: int) -> bytes:
        """MD5 of a range, as the loaders tell it."""
        digest = hashlib.md5(usedforsecurity=False)
        for start in range(at, at + size, _PIECE):
            digest.update(self.read(start, min(_PIECE, at + size - start)))
        return digest.digest()

    def record(self, on: bool) -> None:
        """Switch the operation log on (it is appended to) or off."""
        if self._log is not None:
            self._log.close()
        self._log = self.log_path.open("ab", buffering=0) if on else None

    @property
    def recording(self) -> bool:
        """The operation log is on."""
        return self._log is not None

    def close(self) -> None:
        """Close the files."""
        self._file.close()
        self.record(on=False)


_ERASE_BLOCK = 6  # request of MicroPython's block device protocol
