"""One decision about one rollout: ask the engine, make what it wants, and write all of it in one transaction.

A crash before the commit leaves what was, one after it what shall be: what nodes get is in the database with the
decision, and is delivered from there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from fleet.config import Config
from fleet.rollout.logged import Logged
from fleet.rollout.model import (
    ENDED,
    IN_FLIGHT,
    Action,
    Halt,
    Order,
    Phase,
    Quarantine,
    Report,
    Rollout,
    Seen,
    State,
    Step,
    Stop,
    Undo,
    Verb,
)
from fleet.rollout.plan import Goal, Member, Mode, Plan
from fleet.rollout.step import step
from fleet.rollout.undo import undone
from fleet.rollouts.orders import HELD_S, Made, Orders
from fleet.store import Store
from fleet.store.audit import Act
from fleet.store.rollouts import OPEN, Epoch, New, Outcome, RolloutView

ACTOR = "fleet"  # the service itself
STOPS = 256  # of one transaction: about a tenth of a second of signatures
ANSWERED_S = 4  # within which who hears an epoch has answered it, and needs no order to stop


@dataclass
class Watched:
    """A rollout as it was read or written last; it counts as long as its version is the newest."""

    view: RolloutView
    members: dict[str, Member]
    state: State
    settings: bool  # it is about configurations, not programs
    told: dict[str, Report] = field(default_factory=dict)  # what the engine has heard of each node
    _flying: tuple[State | None, frozenset[str]] = (None, frozenset())  # of which state, and what was found

    @property
    def id(self) -> int:
        """Its number."""
        return self.view.id

    @property
    def plan(self) -> Plan:
        """What it shall do."""
        return self.view.plan

    @property
    def phase(self) -> Phase:
        """How it stands."""
        return self.state.rollout.phase

    @classmethod
    def load(cls, store: Store, rollout: "int | str") -> "Watched":
        """As the database has it; NotFoundError."""
        view = store.rollouts.get(rollout)
        first = view.plan
        while first.goal is Goal.PREVIOUS and first.parent:  # an undo can be undone, too
            first = store.rollouts.get(first.parent).plan
        settings = first.goal is Goal.CONFIG
        return cls(view, store.rollouts.members(view.id), store.rollouts.state(view.id), settings)

    @property
    def concerned(self) -> frozenset[str]:
        """Its nodes, and the lamps beside them."""
        return frozenset(self.members).union(*(member.neighbours for member in self.members.values()))

    @property
    def may_change(self) -> bool:
        """Whether it may change without news of its nodes."""
        is_open = self.phase in (Phase.DRAFT, *OPEN) or self.plan.mode is Mode.CONTINUOUS
        return is_open or bool(self.flying())

    def flying(self) -> frozenset[str]:
        """Nodes that are under way."""
        if self._flying[0] is not self.state:
            found = frozenset(node for node, one in self.state.executions.items() if one.stage in IN_FLIGHT)
            self._flying = self.state, found
        return self._flying[1]

    def unfinished(self) -> frozenset[str]:
        """Nodes that it has not done with."""
        found = self.state.executions.items()
        return frozenset(node for node, one in found if one.stage not in ENDED)


class Decider:
    """Makes decisions; for one thread."""

    def __init__(self, store: Store, config: Config) -> None:
        self._store = store
        self._orders = Orders(store, config)

    def decide(self, watched: Watched, seen: Seen, now_s: int) -> Step | None:
        """Tell the engine what was seen, and write what it decides; None when it changes nothing.

        ConflictError when somebody else was faster: `watched` is out of date then. Any error leaves all as it was.
        """
        told = step(watched.plan, watched.members, watched.state, seen, now_s)
        if told.rollout == watched.state.rollout and not told.changed and not told.actions:
            return None
        made = self._make(watched, told, now_s)
        logged = Logged(now_s, seen, told, made.counters)
        after = logged.after(watched.state)
        joined = [one for one in seen.joined if one.node in after.executions and one.node not in watched.members]
        changed = dict.fromkeys([*(one.node for one in told.changed), *made.counters])
        self._store.rollouts.apply(
            Outcome(
                head=after.rollout,
                act=_act(watched.id, seen, told, logged),
                changed=[after.executions[node] for node in changed],
                orders=made.campaigns,
                configs=made.configs,
                joined=joined,
                quarantine=[one for one in told.actions if isinstance(one, Quarantine)],
                epoch=self._epoch(after, told.actions, now_s),
                spawned=[self._undo(watched, one, seen, now_s) for one in told.actions if isinstance(one, Undo)],
            )
        )
        watched.members, watched.state = {**watched.members, **{one.node: one for one in joined}}, after
        watched.view = replace(watched.view, head=after.rollout)
        return told

    def _make(self, watched: Watched, told: Step, now_s: int) -> Made:
        """What nodes get. An epoch that tells all of a halt waits for no signatures: stops come after it (`stop`)."""
        orders = [one for one in told.actions if isinstance(one, Order)]
        ordered = {one.node for one in orders}
        stops = [one for one in told.actions if isinstance(one, Stop) and one.node not in ordered]
        if not watched.settings and any(isinstance(one, Halt) and one.group for one in told.actions):
            stops = []
        return self._sign(watched, told.rollout, [*orders, *stops[:STOPS]], now_s)

    def _sign(self, watched: Watched, head: Rollout, wanted: Sequence[Order | Stop], now_s: int) -> Made:
        if watched.settings:
            return self._orders.settings(head, watched.plan, wanted, now_s)
        return self._orders.campaigns(head, watched.plan, watched.members, wanted, now_s)

    def stop(self, watched: Watched, now_s: int) -> bool:
        """Stop some of those that are under way in a halted rollout and have not answered its epoch; False = nobody."""
        head = watched.state.rollout
        if head.phase not in (Phase.HALTED, Phase.ABORTED) or (not watched.settings and self._is_fresh(now_s)):
            return False
        executions = watched.state.executions
        nodes = [node for node, one in executions.items() if one.stage in IN_FLIGHT and one.stop <= one.counter > 0]
        if not nodes:
            return False
        seen = Seen()
        told = step(watched.plan, watched.members, watched.state, seen, now_s)
        if told != Step(head):
            return False  # something is due: that first
        made = self._sign(watched, head, [Stop(node) for node in nodes[:STOPS]], now_s)
        logged = Logged(now_s, seen, told, made.counters)
        after = logged.after(watched.state)
        act = Act(now_s, ACTOR, "stop", f"rollout {watched.id}", f"{len(made.counters)} nodes", logged.encode())
        changed = [after.executions[node] for node in made.counters]
        self._store.rollouts.apply(Outcome(after.rollout, act, changed, made.campaigns, made.configs))
        watched.state, watched.view = after, replace(watched.view, head=after.rollout)
        return True

    def _is_fresh(self, now_s: int) -> bool:
        """Whether the newest epoch is still being answered."""
        newest = self._store.rollouts.epoch()
        return newest is not None and 0 <= now_s - newest.issued_s < ANSWERED_S

    def _epoch(self, after: State, actions: Sequence[Action], now_s: int) -> Epoch | None:
        """The epoch that halts what shall be halted; None when nothing shall."""
        groups = [one.group for one in actions if isinstance(one, Halt) and one.group]
        if not groups:
            return None
        last_s = max((one.deadline_s for one in after.executions.values()), default=now_s)
        newest = self._store.rollouts.epoch()
        kept = {group: until for group, until in newest.halted.items() if until > now_s} if newest else {}
        halted = {**kept, **dict.fromkeys(groups, max(last_s, now_s) + HELD_S)}
        return self._orders.epoch(newest, halted, now_s)

    def trim_epoch(self, now_s: int) -> bool:
        """Make an epoch without the groups whose campaigns have all expired; False when there are none."""
        newest = self._store.rollouts.epoch()
        if newest is None or all(until > now_s for until in newest.halted.values()):
            return False
        kept = {group: until for group, until in newest.halted.items() if until > now_s}
        self._store.rollouts.set_epoch(self._orders.epoch(newest, kept, now_s))
        return True

    def _undo(self, watched: Watched, wanted: Undo, seen: Seen, now_s: int) -> New:
        """A rollout that boots the program before: staged when an operator wants it, at once after a halt."""
        command = seen.command
        staged = command is not None and command.verb is Verb.UNDO and watched.phase is Phase.FINISHED
        executions = watched.state.executions
        made = undone(
            watched.id,
            watched.plan,
            watched.members,
            executions,
            wanted.nodes,
            staged=staged,
            settings=watched.settings,
        )
        plan = replace(made.plan, name=self._store.rollouts.free_name(made.plan.name))
        return New(plan, made.members, command.actor if command else ACTOR, now_s, made.skipped)


def _act(rollout: int, seen: Seen, told: Step, logged: Logged) -> Act:
    """The entry of the audit log: who, what, why, and all that is needed to decide it again."""
    command = seen.command
    actor, action = (command.actor, str(command.verb)) if command else (ACTOR, "step")
    why = (command.why if command else "") or "; ".join(told.notes)
    return Act(logged.now_s, actor, action, f"rollout {rollout}", why, logged.encode())
