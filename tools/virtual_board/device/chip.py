"""The flash chip as this process sees it: the file of the whole chip, NOR rules, the operation log, the power cut."""

import struct

from tools.sim.flash import BLOCK, File, Flash

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from tools.sim.flash import Buffer
    from tools.virtual_board.device.channel import Counters

_RECORD = "<BII"  # of the operation log, as in tools/virtual_board/flash.py


class Recorder:
    """The bytes of the chip; with a log, each write is appended to it as (kind, address, size) and the bytes."""

    def __init__(self, file: "BinaryIO") -> None:
        self._bytes = File(file)
        self.size = self._bytes.size
        self.kind = 0  # of the operation that is under way
        self.log: "BinaryIO | None" = None

    def read_into(self, at: int, buffer: "bytearray | memoryview") -> None:
        """Fill `buffer` with the bytes from `at`."""
        self._bytes.read_into(at, buffer)

    def write(self, at: int, data: "Buffer") -> None:
        """Replace the bytes from `at`."""
        self._bytes.write(at, data)
        if self.log is not None:
            self.log.write(struct.pack(_RECORD, self.kind, at, len(data)) + bytes(data))


class Chip(Flash):
    """The chip in `file`; `look()` is called before each operation; `on_cut()` does not return."""

    def __init__(
        self, file: "BinaryIO", counters: "Counters", look: "Callable[[], None]", on_cut: "Callable[[], None]"
    ) -> None:
        self._recorder = Recorder(file)
        self._counters = counters
        self._look = look
        super().__init__(self._recorder, self._count, on_cut)

    def record(self, log: "BinaryIO | None") -> None:
        """Append every operation from now on to `log`; None: to nothing."""
        self._recorder.log = log

    def _operate(self, kind: int, at: int, data: bytes) -> None:
        self._look()
        super()._operate(kind, at, data)

    def _count(self, kind: int, _: int, size: int) -> None:
        self._recorder.kind = kind
        self._counters.flash(self.operations, self.erases, self.programmed)


class Region:
    """A part of the chip, from the byte `at` on, as MicroPython's block device."""

    def __init__(self, chip: Flash, at: int, size: int, block_size: int = BLOCK) -> None:
        self._chip = chip
        self._at = at
        self.size = size
        self._block = block_size
        self.blocks = size // block_size

    def readblocks(self, block: int, buffer: "bytearray | memoryview", offset: int = 0) -> None:
        """Fill `buffer` from `offset` within `block`."""
        self._chip.readblocks(0, buffer, self._at + block * self._block + offset)

    def writeblocks(self, block: int, buffer: "Buffer", offset: "int | None" = None) -> None:
        """Program `buffer` at `offset` within `block`; without an offset its blocks are erased first."""
        if offset is None:
            for index in range((len(buffer) + self._block - 1) // self._block):
                self.erase(block + index)
            offset = 0
        self._program(self._at + block * self._block + offset, memoryview(buffer))

    def _program(self, at: int, data: memoryview) -> None:
        """One operation for each erasable block that it touches, as the chip's driver does."""
        start = 0
        while start < len(data):
            piece = data[start : start + BLOCK - (at + start) % BLOCK]
            self._chip.writeblocks(0, piece, at + start)
            start += len(piece)

    def erase(self, block: int) -> None:
        """Erase one block of this device: all the erasable blocks that it is made of."""
        first = (self._at + block * self._block) // BLOCK
        for index in range(max(1, self._block // BLOCK)):
            self._chip.ioctl(6, first + index)

    def ioctl(self, request: int, argument: int) -> int:
        """MicroPython's block device requests: 4 the number of blocks, 5 their size, 6 erase one."""
        if request == 4:
            return self.blocks
        if request == 5:
            return self._block
        if request == 6:
            self.erase(argument)
        return 0
