"""The flash of a simulated node: files in memory, as LittleFS keeps them through power cuts.

Contents are immutable, so nodes share what they have in common; whoever writes gets bytes of its own. A power cut is an
exception that no program catches, and a flash that takes nothing more until the power is back.
"""

import errno
import io
import zlib
from collections.abc import Iterator, Mapping

ROOM = 1 << 20  # bytes
_READ = 64  # bytes of a packed file at a time
_SHARED = 64  # bytes from which on equal contents are kept once


class PowerCut(BaseException):
    """The power fails now: no program may catch that, as it may an Exception."""


class Pool:
    """Contents that many nodes have: each kept once."""

    def __init__(self) -> None:
        self._kept: dict[bytes, bytes] = {}

    def of(self, data: bytes) -> bytes:
        """The same bytes, shared."""
        return data if len(data) < _SHARED else self._kept.setdefault(data, data)


class Flash:
    """What `node.core.files.FilesDoor` asks for. `cut_at` is the number of the write within which the power fails, 0 =
    none; `cut_late` tells whether that write is done."""

    def __init__(self, files: Mapping[str, bytes], pool: Pool, room: int = ROOM) -> None:
        self._data = dict(files)
        self._pool = pool
        self._room = room
        self._is_off = False
        self.writes = 0  # since the flash was made
        self.cut_at = 0
        self.cut_late = False

    def power_off(self) -> None:
        """Whatever runs, and whatever it does to end in order, changes nothing any more."""
        self._is_off = True

    def power_on(self) -> None:
        """It takes writes again."""
        self._is_off = False

    def read(self, path: str) -> bytes | None:
        """The whole file, or None."""
        return self._data.get(path)

    def read_into(self, path: str, offset: int, view: memoryview) -> int:
        """Fill `view` from `offset`."""
        piece = self._data.get(path, b"")[offset : offset + len(view)]
        view[: len(piece)] = piece
        return len(piece)

    def write_atomic(self, path: str, data: bytes | bytearray) -> None:
        """Replace the file as a whole."""
        self._put(path, bytes(data))

    def append(self, path: str, data: bytes | bytearray) -> None:
        """Add `data` as a whole."""
        self._put(path, self._data.get(path, b"") + data)

    def reader(self, path: str) -> io.BytesIO:
        """Open the file."""
        if path not in self._data:
            raise OSError(errno.ENOENT, "no such file")
        return io.BytesIO(self._data[path])

    def writer(self, path: str) -> "Written":
        """A new file in the place of that one."""
        return Written(self, path)

    def inflate(self, stream: io.BytesIO, bits: int) -> "Inflated":
        """What is packed from where `stream` stands."""
        return Inflated(stream, bits)

    def remove(self, path: str) -> None:
        """Delete the file."""
        if path in self._data:
            self._put(path, None)

    def remove_folder(self, folder: str) -> None:
        """A folder is what its files say."""

    def scan(self, folder: str) -> Iterator[tuple[str, int]]:
        """(name, size) of files, and (name with a slash, 0) of folders."""
        start = folder + "/"
        found = {}
        for path, data in self._data.items():
            if path.startswith(start):
                name, below, _ = path[len(start) :].partition("/")
                found[name + below] = 0 if below else len(data)
        return iter(sorted(found.items()))

    def size(self, path: str) -> int | None:
        """Bytes of the file, or None."""
        return len(self._data[path]) if path in self._data else None

    def free(self) -> int:
        """Bytes that are free."""
        return self._room - sum(map(len, self._data.values()))

    def _put(self, path: str, data: bytes | None) -> None:
        """One write: `data` is the new content, None deletes the file."""
        if self._is_off:
            raise PowerCut
        if data is not None and self.free() + len(self._data.get(path, b"")) < len(data):
            raise OSError(errno.ENOSPC, "full")
        self.writes += 1
        fails = self.writes == self.cut_at
        if not fails or self.cut_late:
            if data is None:
                del self._data[path]
            else:
                self._data[path] = self._pool.of(data)
        if fails:
            self._is_off = True
            raise PowerCut


class Written:
    """A file that is there when it is closed."""

    def __init__(self, flash: Flash, path: str) -> None:
        self._flash = flash
        self._path = path
        self._data = bytearray()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Add `data`."""
        self._data += data

    def close(self) -> None:
        """Commit it."""
        self._flash.write_atomic(self._path, self._data)


class Inflated:
    """What MicroPython's `deflate.DeflateIO` is, on CPython."""

    def __init__(self, stream: io.BytesIO, bits: int) -> None:
        self._stream = stream
        self._zlib = zlib.decompressobj(-bits)

    def readinto(self, view: memoryview) -> int:
        """Fill `view` with what was packed; OSError(EINVAL) or EOFError when it is no such stream."""
        data = b""
        while not data and not self._zlib.eof:
            piece = self._zlib.unconsumed_tail or self._stream.read(_READ)
            try:
                data = self._zlib.decompress(piece, len(view))
            except zlib.error:
                raise OSError(errno.EINVAL, "no deflate stream") from None
            if not piece and not data:
                raise EOFError
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Nothing to close."""
