"""Unpacks a payload: the files of a program, from operations on the files of the program that runs (SPEC 16).

What it gives is bounded by the sizes that it is asked for, which were signed; what it takes by fixed buffers: the
window of the payload (1 to 4 KiB) and 768 bytes. A fault of the payload is an UpdateError; OSError is the flash.
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

_WHOLE = 4  # beside the operations of the stream: a copy of all
_PIECE = 512  # bytes that are copied at a time
_AHEAD = 256  # bytes of the stream that are unpacked at a time
_STINT = 1024  # work between two yields, in bytes moved; beginning an operation is as much work as _BEGIN bytes,
_BEGIN = 64
_OPEN = 1024  # and to find a file in LittleFS as much as so many
_FAR = 0xFFFFFF  # no file is longer
_ENOENT = 2
_EINVAL = 22  # what the interpreter's decoder says of bytes that are no deflate stream


class Decoder:
    """The payload at `path`, for a node that runs `slot`. Ask it for the files in the order of the manifest."""

    def __init__(self, files: "FilesDoor", slot: str, path: str) -> None:
        self._files = files
        self._folder = "/{}/".format(slot)
        self._piece = memoryview(bytearray(_PIECE))
        self._ahead = memoryview(bytearray(_AHEAD))
        self._at = self._end = 0  # what is unpacked and not used yet
        self._work = 0
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
        """Give the next file, of `size` bytes, to `put` piece by piece; None skips it. Yields every few ms."""
        if not size:
            return  # it has no operations
        kind, count = (SAME, self._same) if self._same else self._operation()
        name = path
        if kind == SOURCE:
            name = yield from self._path_of(count)
            kind, count = self._operation()
        elif kind == SAME and count and path != manifest.PATH:
            self._same = count - 1
            kind, count = _WHOLE, size
        source = _Source(self._files, self._folder + name, put is not None)
        self._work += _OPEN if put is not None else 0
        try:
            yield from self._make(kind, count, size, source, put)
        finally:
            source.close()

    def end(self) -> None:
        """After the last file: nothing may follow."""
        if self._same:
            raise UpdateError(U_PAYLOAD, "too many files")
        if self._at < self._end or self._unpack():
            raise UpdateError(U_OVERSIZE, "after the last file")

    def _make(self, kind: int, count: int, left: int, source: "_Source", put: "Put | None") -> "Iterator[None]":
        """One file of `left` bytes from its operations, of which the first is read already."""
        while True:
            self._check(kind, count, left)
            left -= count
            if kind == COPY:
                far = self._varint()
                source.at += -(far + 1 >> 1) if far & 1 else far >> 1
            elif kind == INSERT:
                source.at += count  # what is put in stands in the place of as many bytes
            self._work += _BEGIN
            while count:
                view = self._inserted(count) if kind == INSERT else source.read(self._piece[: min(count, _PIECE)])
                if put is not None:
                    put(view)
                count -= len(view)
                self._work += len(view)
                if self._work >= _STINT:
                    self._work = 0
                    yield
            if not left:
                return
            kind, count = self._operation()

    def _check(self, kind: int, count: int, left: int) -> None:
        if kind in (SOURCE, SAME) or not count:
            raise UpdateError(U_PAYLOAD, "operation")
        if count > left:
            raise UpdateError(U_OVERSIZE, "more than was signed")

    def _operation(self) -> "tuple[int, int]":
        value = self._varint()
        return value & 3, value >> 2

    def _varint(self) -> int:
        value = 0
        for shift in range(0, 7 * VARINT, 7):
            if self._at == self._end and not self._unpack():
                break
            byte = self._ahead[self._at]
            self._at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise UpdateError(U_PAYLOAD, "number")

    def _inserted(self, count: int) -> memoryview:
        """The next bytes of the stream, up to `count` of them."""
        if self._at == self._end and not self._unpack():
            raise UpdateError(U_PAYLOAD, "ends early")
        start = self._at
        self._at = min(self._end, start + count)
        return self._ahead[start : self._at]

    def _unpack(self) -> int:
        """Unpack some more of the stream; 0 at its end."""
        try:
            self._at, self._end = 0, self._stream.readinto(self._ahead) or 0
        except EOFError:
            raise UpdateError(U_PAYLOAD, "ends early")
        except OSError as error:
            if error.errno != _EINVAL:
                raise
            raise UpdateError(U_PAYLOAD, "no deflate stream")
        return self._end

    def _path_of(self, index: int) -> "Generator[None, None, str]":
        """The file of that number in the manifest of the program that runs; 0 is the manifest."""
        own = self._folder + manifest.PATH
        if not index:
            return manifest.PATH
        try:
            for file in manifest.walk(lambda offset, view: self._files.read_into(own, offset, view)):
                index -= 1
                if not index:
                    return file.path
                yield
        except DecodeError:
            pass  # it has no such manifest
        raise UpdateError(U_PAYLOAD, "source")


class _Source:
    """A file of the program that runs. `at` is where the next copy begins unless that says otherwise; what `is_wanted`
    is read, other copies are empty words."""

    def __init__(self, files: "FilesDoor", path: str, is_wanted: bool) -> None:
        self.at = 0
        self._files = files
        self._path = path
        self._is_wanted = is_wanted
        self._file: "ReadFile | None" = None

    def read(self, view: memoryview) -> memoryview:
        """The part of `view` that could be filled, which is not empty."""
        count = len(view)
        if self._is_wanted:
            count = self._fill(view) if 0 <= self.at <= _FAR else 0
            if not count:
                raise UpdateError(U_PAYLOAD, "copy of nothing")
        self.at += count
        return view[:count]

    def _fill(self, view: memoryview) -> int:
        if self._file is None:
            try:
                self._file = self._files.reader(self._path)
            except OSError as error:
                if error.errno != _ENOENT:
                    raise
                return 0
        self._file.seek(self.at)
        return self._file.readinto(view) or 0

    def close(self) -> None:
        """Close it."""
        if self._file is not None:
            self._file.close()
