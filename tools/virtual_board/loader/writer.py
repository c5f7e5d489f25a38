"""Sessions that write: FLASH_BEGIN ... and FLASH_DEFL_BEGIN ..., as the ROM and the stub differ in them."""

import zlib

from tools.virtual_board.flash import BLOCK, FlashChip
from tools.virtual_board.loader.protocol import Fault, RefusedError


class Writer:
    """One session: bytes arrive in order and go to flash.

    The ROM erases everything when the session begins (`erase_first`), the stub each block when it gets there.
    """

    def __init__(self, flash: FlashChip, at: int, size: int, block_size: int, erase_first: bool) -> None:
        if at > flash.size or size > flash.size - at:
            raise RefusedError(Fault.FAILED)
        self._flash = flash
        self._at = at
        self._end = at + size
        self._erased_to = at // BLOCK * BLOCK
        self._block_size = block_size
        self._next = 0  # sequence number
        if erase_first:
            self._erase_to(self._end)

    def block(self, sequence: int, data: bytes) -> None:
        """The next block. One that was here already is not applied twice: its answer was lost, the host retries."""
        if len(data) > self._block_size:
            raise RefusedError(Fault.BLOCK)
        if sequence == self._next - 1:
            return
        if sequence != self._next:
            raise RefusedError(Fault.MESSAGE)
        self._accept(data)
        self._next += 1

    def _accept(self, data: bytes) -> None:
        """A block as it is; padding behind the end of the session is not written."""
        self._write(data[: self._end - self._at])

    def _write(self, data: bytes) -> None:
        if data:
            self._erase_to(self._at + len(data))
            self._flash.program(self._at, data)
            self._at += len(data)

    def _erase_to(self, end: int) -> None:
        end = -(-end // BLOCK) * BLOCK
        if end > self._erased_to:
            self._flash.erase(self._erased_to, end - self._erased_to)
            self._erased_to = end

    @property
    def _left(self) -> int:
        return self._end - self._at


class InflatingWriter(Writer):
    """The same for one zlib stream over all blocks; never inflates more than the session is to write."""

    def __init__(self, flash: FlashChip, at: int, size: int, block_size: int, erase_first: bool) -> None:
        super().__init__(flash, at, size, block_size, erase_first)
        self._stream = zlib.decompressobj()

    def _accept(self, data: bytes) -> None:
        try:
            plain = self._stream.decompress(data, self._left + 1)
        except zlib.error:
            raise RefusedError(Fault.INFLATE) from None
        if len(plain) > self._left:
            raise RefusedError(Fault.TOO_MUCH)
        self._write(plain)
