"""Looks at a rollout while it runs: orders that were made, sent and heard of, and whether every node is explained."""

import random
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from fleet.rollout.model import IN_FLIGHT, Phase, Stage
from fleet.rollouts.explain import Explainer
from fleet.store import Store

_EDGE = 20  # a part of the orders at each end of a curve that is not counted
_GOING = (Phase.RUNNING.value, Phase.DRAFT.value)
_STAGES = "SELECT DISTINCT stage FROM rollout_node WHERE rollout = ?"
_QUERY = "SELECT count(*), coalesce(sum(sent_counter = counter), 0) FROM campaign WHERE counter > 0 AND issued_s >= ?"


@dataclass
class Curve:
    """How a count grew: (seconds of a clock that never goes back, count)."""

    points: list[tuple[float, int]] = field(default_factory=list)

    def add(self, at_s: float, count: int) -> None:
        """One look; of looks that find the same, the first and the last are kept."""
        if [point[1] for point in self.points[-2:]] == [count, count]:
            self.points.pop()
        self.points.append((at_s, count))

    def rate(self, low: int, high: int) -> float:
        """Per second between the looks at which it first was above `low` and at least `high`; 0 when it never was."""
        begin = next((at for at, point in enumerate(self.points) if point[1] > low), None)
        end = next((at for at, point in enumerate(self.points) if point[1] >= high), None)
        if begin is None or end is None or not end:
            return 0.0
        before = self.points[max(begin - 1, 0)]
        after = self.points[end]
        spent = after[0] - before[0]
        return (after[1] - before[1]) / spent if spent > 0 else 0.0


class Orders:
    """Campaigns since a moment, as they are committed and as the broker takes them."""

    def __init__(self, database: Path, since_s: int) -> None:
        self._database = database
        self._since_s = since_s
        self.committed = Curve()
        self.published = Curve()

    def look(self) -> None:
        """One look at the database."""
        with closing(sqlite3.connect(f"file:{self._database}?mode=ro", uri=True)) as store:
            made, sent = store.execute(_QUERY, (self._since_s,)).fetchone()
        now = time.monotonic()
        self.committed.add(now, made)
        self.published.add(now, sent)

    @staticmethod
    def rate(curve: Curve, low: int, high: int) -> float:
        """Orders per second between two counts, the first and last few left out."""
        edge = (high - low) // _EDGE
        return round(curve.rate(low + edge, high - edge), 1)


def heard_per_s(times_ms: list[int]) -> float:
    """How many nodes got an order per second, the first and last few left out."""
    edge = len(times_ms) // _EDGE
    found = sorted(times_ms)[edge : len(times_ms) - edge]
    spent = found[-1] - found[0] if found else 0
    return round(len(found) * 1000 / spent, 1) if spent else 0.0


class Halt:
    """When a rollout was halted, and whether nothing of it is under way any more, at the cost of a query."""

    def __init__(self, database: Path, rollout: int) -> None:
        self._database = database
        self._rollout = rollout
        self.decided_ms = 0  # ms since 1970 UTC of the first look that found it; 0 = it runs

    def look(self) -> bool:
        """One look; True when it is over."""
        with closing(sqlite3.connect(f"file:{self._database}?mode=ro", uri=True)) as store:
            phase = store.execute("SELECT phase FROM rollout WHERE id = ?", (self._rollout,)).fetchone()[0]
            if phase in _GOING:
                return False
            self.decided_ms = self.decided_ms or time.time_ns() // 1_000_000
            return IN_FLIGHT.isdisjoint(Stage(stage) for (stage,) in store.execute(_STAGES, (self._rollout,)))


class Explained:
    """Asks why nodes are where they are."""

    def __init__(self, store: Store, nodes: list[str], seed: int) -> None:
        self._store = store
        self._nodes = nodes
        self._random = random.Random(seed)
        self.asked = 0
        self.without: dict[str, str] = {}  # {node: what was missing}

    def ask(self, count: int) -> None:
        """Of so many nodes, chosen by chance; of all when there are no more."""
        chosen = self._nodes if count >= len(self._nodes) else self._random.sample(self._nodes, count)
        explainer = Explainer(self._store, int(time.time()))
        for node in chosen:
            self.asked += 1
            found = explainer.explain(node)
            if not found.parts or not all(
                part.reasons and all(one.text for one in part.reasons) for part in found.parts
            ):
                self.without[node] = "no reason"
            elif (
                found.wanted
                and not found.on_target
                and not any(part.about.startswith("rollout") for part in found.parts)
            ):
                self.without[node] = "not on the target, and no word about the rollout"
