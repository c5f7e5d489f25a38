"""A stage for driver and product tests: time that moves only by sleeping, and the models around a node."""

from tools.sim.models import Bench
from tools.sim.world import World

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
