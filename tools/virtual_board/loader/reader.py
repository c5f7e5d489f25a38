"""READ_FLASH of the stub: blocks go out until `window` of them are unacknowledged; an MD5 of everything ends it."""

import hashlib
from collections.abc import Callable

from tools.virtual_board import slip
from tools.virtual_board.flash import BLOCK, FlashChip
from tools.virtual_board.loader.protocol import Fault, RefusedError

_WINDOW_MAX = 64  # what esptool asks for


class Reader:
    """One read. `send` takes bytes on the wire."""

    def __init__(
        self, flash: FlashChip, at: int, size: int, block_size: int, window: int, send: Callable[[bytes], None]
    ) -> None:
        if at > flash.size or size > flash.size - at:
            raise RefusedError(Fault.FAILED)
        if not 0 < block_size <= BLOCK or not 0 < window <= _WINDOW_MAX:
            raise RefusedError(Fault.BLOCK)
        self._flash = flash
        self._at = at
        self._size = size
        self._block_size = block_size
        self._window = window * block_size
        self._send = send
        self._sent = 0
        self._digest = hashlib.md5(usedforsecurity=False)
        self.done = False

    def acknowledged(self, received: int) -> None:
        """The host has so many bytes (0: begin)."""
        if received > self._sent:
            return
        while self._sent < self._size and self._sent - received < self._window:
            data = self._flash.read(self._at + self._sent, min(self._block_size, self._size - self._sent))
            self._digest.update(data)
            self._sent += len(data)
            self._send(slip.encode(data))
        if received == self._size:
            self._send(slip.encode(self._digest.digest()))
            self.done = True
