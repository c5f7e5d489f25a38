"""Unpacks a payload: the files of a program, from operations on the files of the program that runs (SPEC 16).

What it gives is bounded by the sizes that it is asked for, which were signed; what it takes by fixed buffers: the
window of the payload (1 to 4 KiB) and half a KiB. A fault of the payload is an UpdateError; OSError is the flash.
"""

from node.core.update import UpdateError
from protocol import manifest
from protocol.errors import DecodeError
from protocol.payload import COPY, FORMAT, HEAD, INSERT, MAX_BITS, MIN_BITS, SAME, SOURCE, VARINT
from protocol.refusals import U_OVERSIZE, U_PAYLOAD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from typing import Callable

    from node.core.files import FilesDoor, ReadFile

    Put = Callable[[memoryview], object]
    Fill = Callable[[memoryview], int]

_PIECE = 512  # bytes that are moved at a time
_FAR = 0xFFFFFF  # no file is longer
_EINVAL = 22  # what the interpreter's decoder says of bytes that are no deflate stream


class Decoder:
    """The payload at `path`, for a node that runs `slot`. Ask it for the files in the order of the manifest."""

    def __init__(self, files: "FilesDoor", slot: str, path: str) -> None:
        self._files = files
        self._folder = "/{}/".format(slot)
        self._piece = memoryview(bytearray(_PIECE))
        self._one = memoryview(bytearray(1))
        self._same = 0  # files that are as they were, from the next one on
        self._packed = files.reader(path)
        head = bytearray(HEAD)
        if self._packed.readinto(head) != HEAD or head[0] != FORMAT or not MIN_BITS <= head[1] <= MAX_BITS:
            self._packed.close()
            raise UpdateError(U_PAYLOAD, "of another format")
        self._stream = files.inflate(self._packed, head[1])

    def close(self) -> None:
        """Close the payload."""
        self._packed.close()

    def unpack(self, path: str, size: int, put: "Put | None") -> "Iterator[None]":
        """Give the next file, of `size` bytes, to `put` piece by piece; None skips it. Yields after each piece."""
        if not size:
            return  # it has no operations
        kind, count = (SAME, self._same) if self._same else self._operation()
        is_same = kind == SAME and count > 0 and path != manifest.PATH
        name = path
        if kind == SOURCE:
            name = yield from self._path_of(count)
            kind, count = self._operation()
        source = _Source(self._files, self._folder + name)
        try:
            if is_same:
                self._same = count - 1
                if put is not None:
                    yield from self._move(source.read, size, put)
            else:
                yield from self._made(kind, count, size, source, put)
        finally:
            source.close()

    def end(self) -> None:
        """After the last file: nothing may follow."""
        if self._same:
            raise UpdateError(U_PAYLOAD, "too many files")
        if self._unpacked(self._one):
            raise UpdateError(U_OVERSIZE, "after the last file")

    def _made(self, kind: int, count: int, left: int, source: "_Source", put: "Put | None") -> "Iterator[None]":
        """A file of inserts and copies, of which the first is read already."""
        while True:
            if kind not in (INSERT, COPY) or not count:
                raise UpdateError(U_PAYLOAD, "operation")
            if count > left:
                raise UpdateError(U_OVERSIZE, source.path)
            left -= count
            if kind == INSERT:
                source.at += count  # what was put in stands in the place of as many bytes
                yield from self._move(self._unpacked, count, put)
            else:
                far = self._varint()
                source.at += -(far + 1 >> 1) if far & 1 else far >> 1
                yield from self._move(source.read if put is not None else source.skip, count, put)
            if not left:
                return
            kind, count = self._operation()

    def _move(self, fill: "Fill", count: int, put: "Put | None") -> "Iterator[None]":
        while count:
            got = fill(self._piece[: min(count, _PIECE)])
            if not got:
                raise UpdateError(U_PAYLOAD, "ends early")
            if put is not None:
                put(self._piece[:got])
            count -= got
            yield

    def _operation(self) -> "tuple[int, int]":
        value = self._varint()
        return value & 3, value >> 2

    def _varint(self) -> int:
        value = 0
        for shift in range(0, 7 * VARINT, 7):
            if not self._unpacked(self._one):
                raise UpdateError(U_PAYLOAD, "ends early")
            value |= (self._one[0] & 0x7F) << shift
            if self._one[0] < 0x80:
                return value
        raise UpdateError(U_PAYLOAD, "number")

    def _unpacked(self, view: memoryview) -> int:
        """Fill `view` with the next bytes of the stream; fewer at its end."""
        try:
            return self._stream.readinto(view) or 0
        except EOFError:
            raise UpdateError(U_PAYLOAD, "ends early")
        except OSError as error:
            if error.errno != _EINVAL:
                raise
            raise UpdateError(U_PAYLOAD, "no deflate stream")

    def _path_of(self, index: int) -> "Generator[None, None, str]":
        """The file of that number in the manifest of the program that runs; 0 is the manifest."""
        own = self._folder + manifest.PATH
        at = 0
        if index == at:
            return manifest.PATH
        try:
            for file in manifest.walk(lambda offset, view: self._files.read_into(own, offset, view)):
                at += 1
                if at == index:
                    return file.path
                yield
        except DecodeError:
            pass  # it has no such manifest
        raise UpdateError(U_PAYLOAD, "source")


class _Source:
    """A file of the program that runs. `at` is where the next copy begins unless that says otherwise."""

    def __init__(self, files: "FilesDoor", path: str) -> None:
        self.path = path
        self.at = 0
        self._files = files
        self._file: "ReadFile | None" = None

    def read(self, view: memoryview) -> int:
        """Fill `view`; the number of bytes, 0 where there are none."""
        if not 0 <= self.at <= _FAR:
            return 0
        if self._file is None:
            if self._files.size(self.path) is None:
                return 0
            self._file = self._files.reader(self.path)
        self._file.seek(self.at)
        return self.skip(view[: self._file.readinto(view) or 0])

    def skip(self, view: memoryview) -> int:
        """Go on by as much without reading it."""
        self.at += len(view)
        return len(view)

    def close(self) -> None:
        """Close it."""
        if self._file is not None:
            self._file.close()
