"""A flash chip with marks to go back to, and the block device whose power may fail within any operation."""

from tools.sim.flash import BLOCK, Flash, PowerCut

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from tools.sim.flash import Buffer

_ERASE = 6  # request of MicroPython's block device protocol


class Chip:
    """The bytes of a flash (a Store of tools/sim/flash.py). `mark` and `rollback` nest."""

    def __init__(self, size: int) -> None:
        self.data = bytearray(b"\xff" * size)
        self.size = size
        self._marks: "list[dict[int, bytearray]]" = []

    def erase(self) -> None:
        """A new chip."""
        for at in range(0, self.size, BLOCK):
            self.data[at : at + BLOCK] = b"\xff" * BLOCK

    def read_into(self, at: int, buffer: "bytearray | memoryview") -> None:
        """Fill `buffer` with the bytes from `at`."""
        buffer[:] = self.data[at : at + len(buffer)]

    def write(self, at: int, data: "Buffer") -> None:
        """Replace the bytes from `at`."""
        if self._marks:
            before = self._marks[-1]
            for block in range(at // BLOCK, (at + len(data) + BLOCK - 1) // BLOCK):
                if block not in before:
                    before[block] = self.data[block * BLOCK : (block + 1) * BLOCK]
        self.data[at : at + len(data)] = data

    def mark(self) -> None:
        """Remember what is there now."""
        self._marks.append({})

    def rollback(self) -> None:
        """Back to what was there at the latest mark, which is forgotten."""
        for block, data in self._marks.pop().items():
            self.data[block * BLOCK : (block + 1) * BLOCK] = data


def _reader(content: bytearray) -> "Callable[[int, bytearray | memoryview, int], None]":
    """What fills a buffer from an offset within a block. Each boot calls it thousands of times: what it needs are its
    locals, which are found at once."""

    def readblocks(
        block: int,
        buffer: "bytearray | memoryview",
        offset: int,
        data: memoryview = memoryview(content),  # noqa: B008 - once is what is wanted
        size: "Callable[[Any], int]" = len,
    ) -> None:
        at = block * BLOCK + offset
        buffer[:] = data[at : at + size(buffer)]

    return readblocks


class Cutter:
    """The flash of a program whose power fails within every operation, again and again.

    Before each operation `keeps(number, size)` says how many of its bytes are still done, one cut for each; after each
    cut `after(number, keep)` looks at the chip, which is then as if there had been no cut.
    """

    def __init__(
        self, chip: Chip, keeps: "Callable[[int, int], Iterable[int]]", after: "Callable[[int, int], None]"
    ) -> None:
        self.operations = 0
        self._chip = chip
        self._flash = Flash(chip)
        self._keeps = keeps
        self._after = after
        self.readblocks = _reader(chip.data)

    def writeblocks(self, block: int, buffer: "Buffer", offset: int = 0) -> None:
        """Program, with a cut before, within and after it."""
        self._cut(len(buffer), lambda flash: flash.writeblocks(block, buffer, offset))
        self._flash.writeblocks(block, buffer, offset)

    def ioctl(self, request: int, argument: int) -> int:
        """Erase, with a cut before, within and after it; the other requests."""
        if request == _ERASE:
            self._cut(BLOCK, lambda flash: flash.ioctl(request, argument))
        return self._flash.ioctl(request, argument)

    def _cut(self, size: int, operation: "Callable[[Flash], object]") -> None:
        self.operations += 1
        for keep in self._keeps(self.operations, size):
            self._chip.mark()
            flash = Flash(self._chip)
            flash.cut_after(1, keep)
            try:
                operation(flash)
            except PowerCut:
                pass
            self._after(self.operations, keep)
            self._chip.rollback()
