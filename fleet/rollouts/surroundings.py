"""What a rollout has to know of the rest of the fleet: who is busy, taken, quarantined, and which stations measure."""

from collections import Counter
from collections.abc import Mapping, Sequence

from fleet.model import Kind, Standing
from fleet.rollout.model import Phase, Seen
from fleet.rollout.plan import Overlap
from fleet.rollouts.deciding import Watched
from fleet.rollouts.facts import Mirror, is_busy
from fleet.store import Store
from fleet.store.rollouts import OPEN


class Surroundings:
    """The fleet at one moment, beside one rollout."""

    def __init__(self, store: Store, mirror: Mirror, watched: Sequence[Watched], now_s: int) -> None:
        self._store = store
        self._mirror = mirror
        self._open = [one for one in watched if one.phase in OPEN]
        self._now_s = now_s

    def seen(self, own: Watched) -> Seen:
        """All of it that concerns `own`: it is told anew with each step."""
        if own.phase not in (Phase.DRAFT, *OPEN):
            return Seen()
        concerned = own.concerned
        busy = frozenset(self._busy(own))
        quarantined = self._store.rollouts.quarantined(self._now_s)
        return Seen(
            busy=busy & concerned,
            taken=self._taken(own),
            superseded=self._superseded(own),
            quarantined={node: until for node, until in sorted(quarantined.items()) if node in concerned},
            measuring=self._measuring(own, busy),
        )

    def _busy(self, own: Watched) -> set[str]:
        """Nodes that something else has under way."""
        executions = own.state.executions
        found: set[str] = set()
        for other in self._open:
            if other.id != own.id:
                found |= other.flying()
        for node, fact in self._mirror.facts.items():
            if fact.ordered is None or not is_busy(fact, self._now_s):
                continue
            one = executions.get(node)
            if one is None or fact.ordered > max(one.counter, one.stop):
                found.add(node)
        return found

    def _taken(self, own: Watched) -> frozenset[str]:
        """Nodes that an earlier rollout has not done with, when this one waits for that."""
        if own.plan.overlap is not Overlap.AFTER:
            return frozenset()
        return frozenset(
            node for other in self._open if other.id < own.id for node in other.unfinished() if node in own.members
        )

    def _superseded(self, own: Watched) -> frozenset[str]:
        """Nodes that a later rollout takes from this one."""
        later = [other for other in self._open if other.id > own.id and other.plan.overlap is Overlap.SUPERSEDE]
        return frozenset(node for other in later for node in other.members if node in own.members)

    def _measuring(self, own: Watched, busy: frozenset[str]) -> Mapping[str, int]:
        """{district: stations that are online and not busy}, when the plan asks for it."""
        places = own.plan.places
        if not places.measuring:
            return {}
        online = {node for node, fact in self._mirror.facts.items() if fact.online and node not in busy}
        tags = [
            one.tags.get(places.district)
            for one in self._store.nodes.all()
            if one.kind is Kind.AIR and one.standing is Standing.ACCEPTED and one.id in online
        ]
        return dict(sorted(Counter(tag for tag in tags if tag).items()))
