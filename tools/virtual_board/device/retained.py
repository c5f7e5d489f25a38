"""What survives a reset but not a power cut: RTC memory and the offset of the RTC. It lies in a file."""

import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

MEMORY_MAX = 2048  # bytes, as in the ESP32 port
UNIX_2000 = 946684800
_HEAD = ">4sqH"  # magic, offset of the RTC in ms, length of what follows
_MAGIC = b"RTC1"
_SIZE = struct.calcsize(_HEAD)


class Retained:
    """`world_s()` is true UTC. The RTC is kept as its distance from that, so that it goes on while the board is reset.

    After a power cut the memory is empty and the RTC starts at 2000-01-01, as on the chip."""

    def __init__(self, file: "BinaryIO", world_s: "Callable[[], int]") -> None:
        self._file = file
        self._world_s = world_s
        head = file.read(_SIZE)
        self.memory = b""
        self._offset_s: int
        if len(head) == _SIZE and head[:4] == _MAGIC:
            _, self._offset_s, count = struct.unpack(_HEAD, head)
            self.memory = file.read(min(count, MEMORY_MAX))
        else:
            self.set(UNIX_2000)

    def now_s(self) -> int:
        """What the RTC shows, in seconds since 1970."""
        return self._world_s() + self._offset_s

    def set(self, now_s: int) -> None:
        """Set the RTC."""
        self._offset_s = now_s - self._world_s()
        self._write()

    def keep(self, memory: bytes) -> None:
        """Replace the memory; ValueError when it is too long."""
        if len(memory) > MEMORY_MAX:
            raise ValueError("buffer too long")
        self.memory = memory
        self._write()

    def _write(self) -> None:
        self._file.seek(0)
        self._file.write(struct.pack(_HEAD, _MAGIC, self._offset_s, len(self.memory)) + self.memory)
