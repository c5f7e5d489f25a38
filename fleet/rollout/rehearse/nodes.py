"""Simulated nodes: they come and go as their twins did, take orders, and say what the real ones would say.

How long things take is assumed (docs/explain/rehearsal.md), spread at random.
"""

import heapq
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random

from fleet.rollout.model import Action, Halt, Order, Report, Stop
from fleet.rollout.plan import Member
from fleet.rollout.rehearse.twin import Presence, Record
from protocol import update
from protocol.refusals import (
    U_CRASHED,
    U_HALTED,
    U_NONE,
    U_PAYLOAD,
    U_POWER,
    U_UNCONFIRMED,
    U_UNREACHED,
    U_WINDOW,
)

_HEAR_S = (1, 4)  # from an order to the first word about it
_CHECK_S = (5, 15)  # signatures and room
_INSTALL_S = (20, 60)  # decoding into the other slot, reading it again
_BOOT_S = (15, 40)  # to a session with the broker
_CONFIRM_S = (30, 90)  # from there to the proof
_CRASH_S = (60, 120)  # until the tries of a program that crashes are used up
_GIVE_UP_S = 900  # a trial that has not proved itself
_TURN_MS = 20  # the manager's part of an answer
_BLOCKS = 4  # of 1 KiB, in one answer
_OPEN = frozenset({update.CHECKING, update.DOWNLOADING, update.INSTALLING, update.WAITING})
_ENDLESS_S = 1 << 40


@dataclass(frozen=True, slots=True)
class Traits:
    """What the release does to nodes. Shares are permille."""

    size: Mapping[str, int]  # bytes that each node fetches
    broken: int = 0  # nodes on which it never works
    flaky: int = 10  # attempts that fail by chance, however good it is


@dataclass(slots=True)
class _Node:
    """One node."""

    presence: Presence
    report: Report  # what the manager knows of it
    is_broken: bool
    online: bool = False
    counter: int = 0
    stage: int = update.IDLE
    code: int = U_NONE
    runs: bool = False  # the target
    job: int = 0  # counts orders and stops: what was planned before is void
    watched: bool = True  # somebody asks whether it is there


@dataclass
class Field:
    """All nodes of a run, at one time."""

    record: Record
    traits: Traits
    random: Random
    start_s: int
    offset: int
    bytes: int = 0  # fetched so far
    exposed: set[str] = field(default_factory=set)  # ever ran the new program
    nodes: dict[str, _Node] = field(default_factory=dict)
    _events: list[tuple[int, int, str, int, int, int]] = field(default_factory=list)  # time, number, node, job, what
    _number: int = 0

    def add(self, members: Iterable[Member]) -> None:
        """Put nodes there, in the order of their ids, so that a seed means the same again."""
        length = self.record.length_s
        for member in sorted(members, key=lambda one: one.node):
            twin = self.record.twins[member.node]
            presence = Presence(twin, length, self.offset, self.start_s)
            broken = self.random.randrange(1000) < self.traits.broken
            node = _Node(presence, Report(member.node), broken)
            self.nodes[member.node] = node
            self._turn(member.node, node, self.start_s)

    @property
    def next_s(self) -> int:
        """When something happens next."""
        return self._events[0][0] if self._events else _ENDLESS_S

    def until(self, now_s: int) -> list[Report]:
        """What is new of nodes since the last call, up to now; of each node once."""
        told: dict[str, None] = {}
        while self._events and self._events[0][0] <= now_s:
            at, _, name, job, stage, code = heapq.heappop(self._events)
            node = self.nodes[name]
            if job == _PRESENCE:
                self._turn(name, node, at)
            elif job == node.job:
                self._enter(name, node, stage, code)
                node.report = self._known(name, node, at)
            told[name] = None
        return [self.nodes[name].report for name in told]

    def forget(self, node: str) -> None:
        """Nobody asks any more whether it is there."""
        self.nodes[node].watched = False

    def take(self, actions: Sequence[Action], counters: Mapping[str, int], now_s: int) -> None:
        """Hand out what a step decided. `counters`: {node: the one of its order}."""
        for action in actions:
            if isinstance(action, Order):
                self._begin(action, counters[action.node], now_s)
            elif isinstance(action, Stop):
                self._stop(action.node, now_s)
            elif isinstance(action, Halt):
                for name in self.nodes:
                    self._stop(name, now_s)

    def _turn(self, name: str, node: _Node, at: int) -> None:
        """It comes or goes."""
        node.online, until = node.presence.at(at)
        node.report = self._known(name, node, at)
        if until and node.watched:
            self._plan(until, name, _PRESENCE)

    def _known(self, name: str, node: _Node, at: int) -> Report:
        """What the manager hears now: nothing but the silence of a node that is away."""
        if not node.online:
            return replace(node.report, online=False)
        proved = node.stage == update.CONFIRMED
        said = node.counter, node.stage, node.code
        return Report(name, True, at, *said, proved=proved, runs=node.runs)

    def _plan(self, at: int, name: str, job: int, stage: int = 0, code: int = 0) -> None:
        self._number += 1
        heapq.heappush(self._events, (at, self._number, name, job, stage, code))

    def _enter(self, name: str, node: _Node, stage: int, code: int) -> None:
        node.stage, node.code = stage, code
        if stage == update.WAITING:
            self.bytes += self.traits.size.get(name, 0)
        elif stage == update.TRIAL:
            self.exposed.add(name)
        node.runs = stage in (update.TRIAL, update.CONFIRMED)

    def _stop(self, name: str, now_s: int) -> None:
        """What is not done yet ends, as soon as the node hears of it."""
        node = self.nodes[name]
        if node.counter and (node.stage in _OPEN or node.stage == update.TRIAL or node.stage == update.IDLE):
            node.job += 1
            heard = self._there(node, now_s + 1)
            if heard < _ENDLESS_S:
                self._plan(heard, name, node.job, update.STOPPED, U_HALTED)

    def _begin(self, order: Order, counter: int, now_s: int) -> None:
        """All that this attempt will come to, as events."""
        node, name, draw = self.nodes[order.node], order.node, self.random.randint
        node.job += 1
        node.counter, node.stage, node.code = counter, update.IDLE, U_NONE
        at = self._there(node, now_s + draw(*_HEAR_S))
        if at >= min(order.expires_s, _ENDLESS_S):
            return
        self._plan(at, name, node.job, update.CHECKING)
        at += draw(*_CHECK_S)
        self._plan(at, name, node.job, update.DOWNLOADING)
        work_s = self._work_s(node, self.traits.size.get(name, 0))
        at = self._fetched(node, at, work_s, order.fetch) + draw(*_INSTALL_S)
        if at >= _ENDLESS_S:
            return
        self._plan(at, name, node.job, update.WAITING, U_WINDOW if order.switch else U_NONE)
        self._switch(node, name, _open(order.switch, at))

    def _switch(self, node: _Node, name: str, at: int) -> None:
        """The restart into the new program, and how that ends."""
        if at >= _ENDLESS_S:
            return
        draw = self.random.randint
        begun = at + draw(*_BOOT_S)
        if self.random.randrange(1000) < self.traits.flaky:
            reverts = draw(0, 1)
            if reverts:
                self._plan(begun, name, node.job, update.TRIAL)
            end = (update.REVERTED, U_POWER) if reverts else (update.FAILED, U_PAYLOAD)
            self._plan(begun + draw(*_BOOT_S), name, node.job, *end)
            return
        self._plan(begun, name, node.job, update.TRIAL)
        there = self._there(node, begun)
        if node.is_broken:
            hangs = draw(0, 1)
            after, code = (_GIVE_UP_S, U_UNCONFIRMED) if hangs else (draw(*_CRASH_S), U_CRASHED)
            self._plan(begun + after, name, node.job, update.REVERTED, code)
        elif there > begun + _GIVE_UP_S:
            self._plan(begun + _GIVE_UP_S, name, node.job, update.REVERTED, U_UNREACHED)
        else:
            self._plan(there + draw(*_CONFIRM_S), name, node.job, update.CONFIRMED)

    def _work_s(self, node: _Node, size: int) -> int:
        """How long a download takes that nothing interrupts; what is lost is asked for once more."""
        twin = node.presence.twin
        turns = -(-size // (1024 * _BLOCKS))
        per_turn = twin.answer_ms + _TURN_MS
        return 1 + turns * per_turn * (1000 + 2 * twin.loss) // 1_000_000

    def _there(self, node: _Node, at: int) -> int:
        """The first moment from `at` on at which it is there."""
        online, until = node.presence.at(at)
        return at if online else until or _ENDLESS_S

    def _fetched(self, node: _Node, at: int, work_s: int, spans: Sequence[int]) -> int:
        """When so many seconds of download are done: while it is there, and inside the spans."""
        while work_s > 0:
            at = self._there(node, _open(spans, at))
            if at >= _ENDLESS_S:
                return at
            if _open(spans, at) != at:
                continue
            gone = node.presence.at(at)[1] or _ENDLESS_S
            done = min(work_s, gone - at, _closes(spans, at) - at)
            work_s -= done
            at += done
        return at


_PRESENCE = -1  # instead of the number of a job


def _open(spans: Sequence[int], at: int) -> int:
    """The first moment from `at` on that lies in one of the spans; none given = always."""
    if not spans:
        return at
    for begin, end in zip(spans[::2], spans[1::2], strict=True):
        if at < end:
            return max(at, begin)
    return _ENDLESS_S


def _closes(spans: Sequence[int], at: int) -> int:
    number = bisect_right(spans, at)
    return spans[number] if spans and number < len(spans) else _ENDLESS_S
