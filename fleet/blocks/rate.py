"""How fast nodes are served: each by itself, and all together. Decisions; the time is told, in seconds of any clock."""

from dataclasses import dataclass

MAX_WAIT_S = 600.0  # Block.wait_ms has room for that


@dataclass(frozen=True, slots=True)
class Limits:
    """Blocks a second, and how many at once after a pause."""

    node_rate: float = 64.0  # a kilobyte each: four times what a node writes to its flash
    node_burst: float = 16.0
    total_rate: float = 2000.0  # what is left of a core while payloads are built (tools/bench_blocks.py)
    total_burst: float = 2000.0


class Bucket:
    """Fills with `rate` a second up to `burst`."""

    __slots__ = ("_at", "_burst", "_level", "_rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = self._level = burst
        self._at = now

    def level(self, now: float) -> float:
        """What is in it."""
        self._level = min(self._burst, self._level + max(0.0, now - self._at) * self._rate)
        self._at = now
        return self._level

    def take(self, count: int) -> None:
        """What was there is gone."""
        self._level -= count

    def wait(self, count: int) -> float:
        """Seconds until `count` will be in it."""
        return max(0.0, (count - self._level) / self._rate)

    def is_full(self, now: float) -> bool:
        """Whether it says no more than a new one would."""
        return self.level(now) >= self._burst


class Rates:
    """One bucket for each node and one for all. What the total refuses is told to come one after the other."""

    def __init__(self, limits: Limits, now: float) -> None:
        self._limits = limits
        self._total = Bucket(limits.total_rate, limits.total_burst, now)
        self._nodes: dict[str, Bucket] = {}
        self._promised = now  # until then the total is as good as spent
        self._sweep_at = 1000  # nodes

    def grant(self, node: str, count: int, now: float) -> tuple[int, float]:
        """(blocks that the node gets now, seconds that it then shall wait) when it asks for `count` of them."""
        own = self._of(node, now)
        free = int(min(count, own.level(now)))
        granted = min(free, int(self._total.level(now)))
        own.take(granted)
        self._total.take(granted)
        if granted or not free:
            return granted, own.wait(count)
        self._promised = max(self._promised, now) + count / self._limits.total_rate
        if self._promised > now + MAX_WAIT_S:
            self._promised = now + MAX_WAIT_S
        return 0, max(self._promised - now, own.wait(count))

    def _of(self, node: str, now: float) -> Bucket:
        found = self._nodes.get(node)
        if found is None:
            if len(self._nodes) >= self._sweep_at:
                self._nodes = {name: bucket for name, bucket in self._nodes.items() if not bucket.is_full(now)}
                self._sweep_at = 2 * len(self._nodes) + 1000
            found = self._nodes[node] = Bucket(self._limits.node_rate, self._limits.node_burst, now)
        return found
