"""Twins of the doors for tests on both interpreters: files in memory, and ticks that move when told."""

import io

from node.core.clock import Clock

ENOENT = 2
EIO = 5
EINVAL = 22
ENOSPC = 28


class Files:
    """The FilesDoor in memory. `room` bounds its bytes; `fail` is the errno of every write while it is set."""

    def __init__(self, room=1 << 30):
        self.data = {}
        self.room = room
        self.fail = 0
        self.writes = 0

    def read(self, path):
        return bytes(self.data[path]) if path in self.data else None

    def read_into(self, path, offset, view):
        piece = self.data.get(path, b"")[offset : offset + len(view)]
        view[: len(piece)] = piece
        return len(piece)

    def write_atomic(self, path, data):
        self._allow(len(data))
        self.data[path] = bytearray(data)

    def append(self, path, data):
        self._allow(len(data))
        if path not in self.data:
            self.data[path] = bytearray()
        self.data[path].extend(data)

    def reader(self, path):
        if path not in self.data:
            raise OSError(ENOENT, "no such file")
        return io.BytesIO(bytes(self.data[path]))

    def writer(self, path):
        return Written(self, path)

    def inflate(self, stream, bits):
        return inflate(stream, bits)

    def remove(self, path):
        self.data.pop(path, None)

    def remove_folder(self, folder):
        pass  # here a folder is what its files say

    def scan(self, folder):
        start = folder + "/"
        found = {}
        for path, data in self.data.items():
            if path.startswith(start):
                name, below, _ = path[len(start) :].partition("/")
                found[name + below] = 0 if below else len(data)
        return iter(sorted(found.items()))

    def size(self, path):
        return len(self.data[path]) if path in self.data else None

    def free(self):
        return self.room - sum(len(data) for data in self.data.values())

    def _allow(self, count):
        self.writes += 1
        if self.fail:
            raise OSError(self.fail, "refused")
        if self.free() < count:
            raise OSError(ENOSPC, "full")


class Cut(BaseException):
    """The power fails."""


class Counting:
    """Lets so many writes of the flash through, then the power fails."""

    def __init__(self, files):
        self.left = 1 << 30
        self._allow = files._allow
        files._allow = self.allow

    def allow(self, count):
        if self.left <= 0:
            raise Cut
        self.left -= 1
        self._allow(count)


class Written:
    """A file that is there when it is closed."""

    def __init__(self, files, path):
        self._files = files
        self._path = path
        self._data = bytearray()

    def write(self, data):
        self._files._allow(len(self._data) + len(data))
        self._data.extend(data)

    def close(self):
        self._files.data[self._path] = self._data


def inflate(stream, bits):
    """The decoder of whichever interpreter this is."""
    try:
        import deflate
    except ImportError:
        return Inflated(stream, bits)
    return deflate.DeflateIO(stream, deflate.RAW, bits)


class Inflated:
    """What MicroPython's `deflate.DeflateIO` is, on CPython."""

    def __init__(self, stream, bits):
        import zlib

        self._error = zlib.error
        self._stream = stream
        self._zlib = zlib.decompressobj(-bits)

    def readinto(self, view):
        data = b""
        while not data and not self._zlib.eof:
            piece = self._zlib.unconsumed_tail or self._stream.read(64)
            try:
                data = self._zlib.decompress(piece, len(view))
            except self._error:
                raise OSError(EINVAL, "no deflate stream")
            if not piece and not data:
                raise EOFError
        view[: len(data)] = data
        return len(data)

    def close(self):
        pass


class Time:
    """Ticks of a 32-bit port, from `start`; `clock` runs on them."""

    def __init__(self, start=0):
        self.ms = start
        self.clock = Clock(self.ticks)

    def ticks(self):
        return self.ms % (1 << 30)

    def sleep(self, ms):
        """Let time pass, with the clock read as often as upkeep does it at least."""
        while ms > 0:
            step = min(ms, 1 << 28)
            self.ms += step
            ms -= step
            self.clock.uptime_ms()


class Settings:
    """Settings as attributes; calling it gets one by name."""

    def __init__(self, **values):
        self.values = {"batch": 1, "interval_s": 60, "outbox_kb": 384}
        self.values.update(values)

    def __call__(self, name):
        return self.values[name]
