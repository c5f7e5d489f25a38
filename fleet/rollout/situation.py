"""What one step knows at once: counted, looked up and computed a single time for all nodes of a rollout.

It follows the orders that are made meanwhile, so that the next node is judged with them in mind.
"""

from collections.abc import Mapping
from functools import cached_property, lru_cache
from hashlib import sha256

from fleet.model import Kind
from fleet.rollout import sun, windows
from fleet.rollout.gates import counted
from fleet.rollout.model import IN_FLIGHT, Execution, Order, Rollout, Seen, Stage
from fleet.rollout.plan import DAY_S, Goal, Member, Plan
from fleet.rollout.windows import Span
from protocol.trust import MAX_SPANS

ORDER = 1000  # tokens of one order
_SPANS = MAX_SPANS // 2  # that a node can be told
_LOOKED = 4 * _SPANS  # that are looked at for daylight among them
_DAYS_S = 3 * DAY_S  # of daylight that are looked at when nothing else limits a restart
BURST_S = 2  # orders of so many seconds may be made at once, when the limit was not used before


class Situation:
    """A rollout at one moment, with what was seen."""

    def __init__(
        self,
        plan: Plan,
        members: Mapping[str, Member],
        head: Rollout,
        executions: Mapping[str, Execution],
        seen: Seen,
        now_s: int,
    ) -> None:
        self.plan = plan
        self.members = members
        self.head = head
        self.executions = executions
        self.seen = seen
        self.now_s = now_s
        self.waves, self.total = counted(executions.values(), len(plan.waves))
        self.in_flight = self.total.in_flight
        self.tokens = tokens(plan, head, now_s)

    @property
    def restarts(self) -> bool:
        """Whether nodes restart; settings are taken without."""
        return self.plan.goal is not Goal.CONFIG

    def ordered(self, node: str) -> None:
        """An order was made: whoever comes next has to reckon with it."""
        member = self.members[node]
        self.in_flight += 1
        self.tokens -= ORDER
        if self._has_neighbours:
            self._take_down(member)
        if self._in_district(member):
            self.measuring[member.district] = self.measuring.get(member.district, 0) - 1

    # -- places --

    @property
    def _has_neighbours(self) -> bool:
        return self.restarts and self.plan.places.neighbour_m > 0

    @cached_property
    def _down(self) -> dict[str, str]:
        """{lamp that must not be ordered: the one beside it that is down or may be}."""
        found: dict[str, str] = {}
        for node, one in self.executions.items():
            if one.stage in IN_FLIGHT or is_lost(one):
                found.update(dict.fromkeys(self.members[node].neighbours, node))
        return found

    @cached_property
    def _away(self) -> set[str]:
        """Nodes that are down or may be."""
        found = {node for node, one in self.executions.items() if one.stage in IN_FLIGHT or is_lost(one)}
        return found | self.seen.busy

    def _take_down(self, member: Member) -> None:
        self._away.add(member.node)
        self._down.update(dict.fromkeys(member.neighbours, member.node))

    def neighbour_down(self, member: Member) -> str:
        """A lamp beside this one that is down or may be; "" = none. Whichever of the two names the other."""
        if not self._has_neighbours:
            return ""
        if member.node in self._down:
            return self._down[member.node]
        return next((node for node in member.neighbours if node in self._away), "")

    def _in_district(self, member: Member) -> bool:
        places = self.plan.places
        return self.restarts and places.measuring > 0 and member.kind is Kind.AIR and bool(member.district)

    @cached_property
    def measuring(self) -> dict[str, int]:
        """{district: stations that measure for sure: online, and nobody has them under way}."""
        found = dict(self.seen.measuring)
        for node, one in self.executions.items():
            member = self.members[node]
            if one.stage in IN_FLIGHT and one.online and self._in_district(member):
                found[member.district] = found.get(member.district, 0) - 1
        return found

    def spare_stations(self, member: Member) -> int | None:
        """How many stations of its district may be taken away yet; None when no rule says so."""
        if not self._in_district(member):
            return None
        return self.measuring.get(member.district, 0) - self.plan.places.measuring

    # -- times --

    @cached_property
    def end_s(self) -> int:
        """When nodes that were never reached are given up."""
        return (self.head.started_s or self.now_s) + self.plan.expires_s

    @cached_property
    def fetch(self) -> list[Span] | None:
        """When nodes may fetch; None = at any time."""
        limited = self.plan.download.cron and self.plan.goal is not Goal.PREVIOUS
        return windows.spans(self.plan.download, self.now_s, self.end_s, _SPANS) if limited else None

    @cached_property
    def switch(self) -> list[Span] | None:
        """When nodes may restart, apart from the sun; None = at any time."""
        return windows.spans(self.plan.switch, self.now_s, self.end_s, _LOOKED) if self.plan.switch.cron else None

    def switch_of(self, member: Member) -> list[Span] | None:
        """When this node may restart; None = at any time."""
        place = member.lat_udeg, member.lon_udeg
        dark = self.restarts and self.plan.places.dark_hours and not self.plan.now and member.kind is Kind.LIGHT
        if not dark or place[0] is None or place[1] is None:
            return self.switch
        allowed = [(self.now_s, self.now_s + _DAYS_S)] if self.switch is None else self.switch
        until_s = allowed[-1][1] if allowed else self.now_s
        return sun.intersect(allowed, sun.daylight(place[0], place[1], self.now_s, until_s))

    def order(self, member: Member) -> Order:
        """The order for a node that may be ordered now. It ends when each of its windows has been open for
        `Gate.deadline_s`; a node has to know eight spans at most."""
        deadline_s = self.plan.waves[self.executions[member.node].wave].gate.deadline_s
        if not self.restarts:
            return Order(member.node, self.now_s + deadline_s)
        fetch, switch = self.fetch, self.switch_of(member)
        begin_s = fetch[0][0] if fetch else self.now_s
        expires_s = max(_after(fetch, begin_s, deadline_s), _after(switch, begin_s, deadline_s))
        return Order(member.node, expires_s, _flat(fetch, expires_s), _flat(switch, expires_s))

    def turn_s(self, one: Execution) -> int:
        """When a node's turn comes within its wave: spread by its hash, also for one that joined or failed since."""
        jitter_s = self.plan.limits.jitter_s
        begin_s = max(one.since_s, self.head.wave_s if one.wave == self.head.wave else 0)
        return begin_s + rank(self.head.id, one.node) % (jitter_s + 1) if jitter_s else 0


def is_lost(one: Execution) -> bool:
    """Whether a node may have been switched off by what was done to it: nothing is heard of it since."""
    return one.stage is Stage.DARK and one.tries > 0 and not one.online


def tokens(plan: Plan, head: Rollout, now_s: int) -> int:
    """Thousandths of an order that may be made now: a bucket that fills at the rate of the plan."""
    rate = plan.limits.per_minute * ORDER
    full = max(ORDER, rate * BURST_S // 60)
    passed_s = now_s - head.tokens_s if now_s >= head.tokens_s else BURST_S  # the clock was set back: no reason to wait
    return min(full, head.tokens + passed_s * rate // 60)


@lru_cache(1 << 18)
def rank(rollout: int, node: str) -> int:
    """Where a node stands in the order of its rollout: by hash, so that no place or serial number comes first."""
    return int.from_bytes(sha256(f"{rollout} {node}".encode()).digest()[:8])


def _after(spans: list[Span] | None, begin_s: int, open_s: int) -> int:
    """When `spans` have been open for `open_s` since `begin_s`; the end of the last one that a node knows at most."""
    if spans is None:
        return begin_s + open_s
    end_s = begin_s
    for begin, end in [span for span in spans if span[1] > begin_s][:_SPANS]:
        begin = max(begin, begin_s)
        if begin + open_s <= end:
            return begin + open_s
        open_s -= end - begin
        end_s = end
    return end_s


def _flat(spans: list[Span] | None, until_s: int) -> tuple[int, ...]:
    """As a campaign says it."""
    kept = [(begin, min(end, until_s)) for begin, end in spans or () if begin < until_s]
    return tuple(edge for span in kept[:_SPANS] for edge in span)
