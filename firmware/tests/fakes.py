"""Twins of the doors for tests on both interpreters: files in memory, and ticks that move when told."""

from node.core.clock import Clock

ENOSPC = 28
EIO = 5


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

    def remove(self, path):
        self.data.pop(path, None)

    def scan(self, folder):
        start = folder + "/"
        return [(path[len(start) :], len(data)) for path, data in self.data.items() if path.startswith(start)]

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
