"""A NOR flash as MicroPython's block device, over RAM or over a file (the flash of a simulated node).

The rules of the chip: an erase sets one block to 0xFF, a program only clears bits. Every erase and every program is
one operation; they are counted, may be logged, and the power may fail within any of them, whole or torn.
Runs under MicroPython (mounted as VfsLfs2) and CPython (the same image, examined by a test).
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO, Protocol

    Buffer = bytes | bytearray | memoryview
    Log = Callable[[int, int, int], None]

    class Store(Protocol):
        """Where the bytes of a flash are."""

        size: int

        def read_into(self, at: int, buffer: "bytearray | memoryview") -> None:
            """Fill `buffer` with the bytes from `at`."""

        def write(self, at: int, data: Buffer) -> None:
            """Replace the bytes from `at`."""


BLOCK = 4096  # bytes that one erase sets
SIZE = 512 * BLOCK  # the vfs partition of a 4 MB board

ERASE = 0
PROGRAM = 1

_COUNT = 4  # requests of MicroPython's block device protocol
_BLOCK_SIZE = 5
_ERASE_BLOCK = 6


class PowerCut(BaseException):
    """The power failed within a flash operation; not an Exception, so no handler of the program survives it."""


class Ram:
    """Bytes of a flash in memory; new ones are erased."""

    def __init__(self, data: "bytes | None" = None, size: int = SIZE) -> None:
        self.data = bytearray(data) if data is not None else bytearray(b"\xff" * size)
        self.size = len(self.data)

    def read_into(self, at: int, buffer: "bytearray | memoryview") -> None:
        """Fill `buffer` with the bytes from `at`."""
        buffer[:] = self.data[at : at + len(buffer)]

    def write(self, at: int, data: "Buffer") -> None:
        """Replace the bytes from `at`."""
        self.data[at : at + len(data)] = data


class File:
    """Bytes of a flash in an open binary file ("r+b"); every write reaches the kernel before it returns."""

    def __init__(self, file: "BinaryIO") -> None:
        self._file = file
        self.size = file.seek(0, 2)

    def read_into(self, at: int, buffer: "bytearray | memoryview") -> None:
        """Fill `buffer` with the bytes from `at`."""
        self._file.seek(at)
        self._file.readinto(buffer)  # type: ignore[attr-defined]  # there, as in every raw file

    def write(self, at: int, data: "Buffer") -> None:
        """Replace the bytes from `at`."""
        self._file.seek(at)
        self._file.write(data)


class Flash:
    """The block device. `log(kind, at, size)` is called before each operation, `on_cut()` when the power fails."""

    def __init__(self, store: "Store", log: "Log | None" = None, on_cut: "Callable[[], None] | None" = None) -> None:
        self._store = store
        self._log = log
        self._on_cut = on_cut
        self.blocks = store.size // BLOCK
        self.operations = 0
        self.erases = 0
        self.programmed = 0  # bytes
        self.dead = False
        self._cut_at = 0
        self._keep = 0

    def cut_after(self, operations: int, keep: "int | None" = None) -> None:
        """The power fails in the operation `operations` from now (1: the next), `keep` bytes into it (None: all)."""
        self._cut_at = self.operations + operations
        self._keep = BLOCK if keep is None else keep

    def readblocks(self, block: int, buffer: "bytearray | memoryview", offset: int = 0) -> None:
        """Fill `buffer` from `offset` within `block`."""
        if self.dead:
            raise PowerCut
        self._store.read_into(block * BLOCK + offset, buffer)

    def writeblocks(self, block: int, buffer: "Buffer", offset: "int | None" = None) -> None:
        """Program `buffer` at `offset` within `block`; without an offset the block is erased first."""
        if offset is None:
            for index in range((len(buffer) + BLOCK - 1) // BLOCK):
                self._erase(block + index)
            offset = 0
        at = block * BLOCK + offset
        before = bytearray(len(buffer))
        self._store.read_into(at, before)
        both = int.from_bytes(before, "big") & int.from_bytes(bytes(buffer), "big")
        self.programmed += len(buffer)
        self._operate(PROGRAM, at, both.to_bytes(len(buffer), "big"))

    def ioctl(self, request: int, argument: int) -> int:
        """MicroPython's block device requests; those that a flash does not need do nothing."""
        if request == _COUNT:
            return self.blocks
        if request == _BLOCK_SIZE:
            return BLOCK
        if request == _ERASE_BLOCK:
            self._erase(argument)
        return 0

    def _erase(self, block: int) -> None:
        self.erases += 1
        self._operate(ERASE, block * BLOCK, b"\xff" * BLOCK)

    def _operate(self, kind: int, at: int, data: bytes) -> None:
        if self.dead:
            raise PowerCut
        self.operations += 1
        if self._log is not None:
            self._log(kind, at, len(data))
        cut = self.operations == self._cut_at
        self._store.write(at, data[: self._keep] if cut else data)
        if cut:
            self.dead = True
            if self._on_cut is not None:
                self._on_cut()
            raise PowerCut
