"""A stage for driver and product tests: time that moves only by sleeping, and the models around a node."""

from node.core.clock import Clock
from protocol.messages import RESET_POWER_ON
from protocol.records import Event, Record
from protocol.settings import SETTINGS
from tools.sim.models import Bench
from tools.sim.world import World, hash32

EPOCH_S = 1767225600  # 2026-01-01 00:00 UTC


class Time:
    """Milliseconds that pass when somebody sleeps."""

    def __init__(self, now_ms=0):
        self.now_ms = now_ms
        self.slept = 0  # number of sleeps

    def now(self):
        return self.now_ms

    async def sleep_ms(self, ms):
        assert ms >= 0
        self.slept += 1
        self.now_ms += ms


def run(coroutine):
    """The result of a coroutine that never truly waits: no event loop needed."""
    try:
        while True:
            coroutine.send(None)
    except StopIteration as end:
        return end.value


def bench(kind, epoch_s=EPOCH_S, seed=1, place="x"):
    """(time, models) of a node of that kind."""
    time = Time()
    return time, Bench(kind, time.now, World(seed, place, epoch_s))


class Over(BaseException):
    """The scene has ended; to the task it looks like being cancelled."""


class Journal:
    """Keeps what a node would have sent; every entry is encoded, so it must fit the contract."""

    def __init__(self, clock):
        self.clock = clock
        self.count = 0
        self.records = []  # the last few hundred
        self.events = []

    def record(self, samples, t, tq, interval=60):
        record = Record(self.count, t, tq, samples, interval)
        assert Record.decode(record.encode()).samples == samples
        self.count += 1
        self.records.append(record)
        if len(self.records) > 400:
            self.records = self.records[200:]
        return True

    def event(self, code, phase=0, attrs=None):
        t, tq = self.clock.stamp()
        self.events.append(Event.decode(Event(0, t, tq, code, phase, attrs).encode()))
        return True

    def codes(self):
        """(code, phase) of the events so far."""
        return [(event.code, event.phase) for event in self.events]


class Files:
    """Flash as a dictionary."""

    def __init__(self):
        self.content = {}
        self.writes = 0

    def read(self, path):
        return self.content.get(path)

    def write_atomic(self, path, data):
        self.writes += 1
        self.content[path] = bytes(data)


class Board:
    """The doors that a product uses, over the models of a bench."""

    def __init__(self, time, parts, cause=RESET_POWER_ON, seed=1):
        self.time = time
        self.parts = parts
        self.cause = cause
        self.seed = seed

    def ticks_ms(self):
        return self.time.now_ms & (1 << 30) - 1

    def i2c(self, name):
        return self.parts.i2c[name]

    def uart(self, name, baud, parity=None):
        return self.parts.uart[name]

    def pwm(self, name):
        return self.parts.pwm[name]

    def reset_cause(self):
        return self.cause

    def random(self, below):
        return hash32(self.seed, below) % below


class Node:
    """One boot of a node: the context that a product gets. `settings` replaces defaults."""

    def __init__(self, kind, time=None, parts=None, files=None, settings=None, cause=RESET_POWER_ON):
        if time is None:
            time, parts = bench(kind)
        self.time = time
        self.parts = parts
        self.board = Board(time, parts, cause)
        self.files = files or Files()
        self.identity = None
        self.clock = Clock(self.board.ticks_ms)
        self.journal = Journal(self.clock)
        self.settings = {row[1]: row[5] for row in SETTINGS}
        self.settings.update(settings or {})
        self.lines = []

    def settings_get(self, name):
        return self.settings[name]

    def log(self, level, tag, text):
        self.lines.append((level, tag, text))

    def know_time(self):
        """The clock is set to the world's time."""
        self.clock.set_utc(EPOCH_S * 1000 + self.time.now_ms)


def play(factory, time, ms, each=None):
    """Run one task for that long. `each()` is called at every beat."""
    end = time.now_ms + ms

    def beat():
        if each:
            each()
        if time.now_ms >= end:
            raise Over

    try:
        run(factory(beat))
    except Over:
        pass
