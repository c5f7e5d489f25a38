"""Every decision of a rollout once more, from what the log says was seen: each has to come out with the same bytes."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields

from fleet.rollout.logged import Logged, decode
from fleet.rollout.model import Execution, Halt, Order, Quarantine, Stage, State, Step, Stop, Undo
from fleet.rollout.plan import Member, Plan
from fleet.rollout.step import create, step

RAN = frozenset({Stage.TRIAL, Stage.PROVED, Stage.REVERTED})  # a node that is or was there has run the new program


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision, as it was logged and as it comes out now."""

    seq: int  # of its entry in the log
    logged: Logged
    before: State
    after: State
    differs: str = ""  # what comes out otherwise; "" = it is the same, byte for byte

    @property
    def at_s(self) -> int:
        """When it was made."""
        return self.logged.now_s


def replay(
    rollout: int, plan: Plan, members: Mapping[str, Member], bodies: Iterable[tuple[int, bytes]]
) -> Iterator[Decision]:
    """The decisions of a rollout in their order. `bodies`: (number, body) of its entries in the log.

    `members` are all that take part by now; those who joined meanwhile begin when the log says so. A decision that
    differs is told, and the next one follows what was logged: so each is judged by itself. ValueError for a body that
    holds no decision.
    """
    decisions = [(seq, body, decode(body)) for seq, body in bodies]
    joined = {one.node for _, _, logged in decisions for one in logged.seen.joined}
    known = {node: member for node, member in members.items() if node not in joined}
    state = create(rollout, plan, known)
    for seq, body, logged in decisions:
        told = step(plan, known, state, logged.seen, logged.now_s)
        same = Logged(logged.now_s, logged.seen, told, logged.counters).encode() == body
        after = logged.after(state)
        yield Decision(seq, logged, state, after, "" if same else difference(logged.step, told))
        known |= {one.node: one for one in logged.seen.joined}
        state = after


def difference(logged: Step, told: Step) -> str:
    """In words: the first part of a step that is not the same."""
    for field in fields(Step):
        one, other = getattr(logged, field.name), getattr(told, field.name)
        if one != other:
            return f"{field.name}: the log has {_brief(one, other)}, and it comes out as {_brief(other, one)}"
    return "the same values in other bytes: the log was not written by this program"


def history(one: Decision) -> list[str]:
    """What was decided and why, for people; at least one line."""
    seen, told = one.logged.seen, one.logged.step
    lines = []
    if seen.command is not None:
        why = f": {seen.command.why}" if seen.command.why else ""
        lines.append(f"{seen.command.actor} says {seen.command.verb}{why}")
    if seen.verdict is not None:
        lines.append(f"telemetry says {seen.verdict}{f': {seen.why}' if seen.why else ''}")
    if told.rollout.phase != one.before.rollout.phase:
        why = f": {told.rollout.reason}" if told.rollout.reason else ""
        lines.append(f"it is {told.rollout.phase}{why}")
    lines += [note for note in told.notes if not any(note in line for line in lines)]
    return lines + _actions(told) + _changes(one.before, told.changed) or ["nothing that people need to know"]


def _actions(told: Step) -> list[str]:
    """What is to be done, each kind in one line."""
    words = (
        (Order, "order {}"),
        (Stop, "stop {}"),
        (Quarantine, "leave {} alone for a while"),
        (Undo, "boot the program before on {}"),
    )
    lines = [f"halt group {one.group} for every node" for one in told.actions if isinstance(one, Halt)]
    for kind, form in words:
        found = [one for one in told.actions if isinstance(one, kind)]
        names = [name for one in found for name in (one.nodes if isinstance(one, Undo) else (_node(one),))]
        if names:
            lines.append(form.format(_several(names)))
    return lines


def _node(action: object) -> str:
    return str(getattr(action, "node", ""))


def _changes(before: State, changed: Iterable[Execution]) -> list[str]:
    """Which nodes got where, stage by stage; an order says already that it was made."""
    found: dict[Stage, list[str]] = {}
    for one in changed:
        was = before.executions.get(one.node)
        if one.stage is not Stage.ORDERED and (was is None or was.stage is not one.stage):
            found.setdefault(one.stage, []).append(one.node)
    return [f"{stage}: {_several(names)}" for stage, names in found.items()]


def _several(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= 4 else f"{', '.join(names[:3])} and {len(names) - 3} more"


def _brief(one: object, other: object) -> str:
    """A value of a step, and of a dataclass only what differs."""
    if type(one) is not type(other) or not hasattr(one, "__dataclass_fields__"):
        return str(one)[:200] or "nothing"
    names = [field.name for field in fields(one) if getattr(one, field.name) != getattr(other, field.name)]  # type: ignore[arg-type]
    return ", ".join(f"{name} = {getattr(one, name)!s:.80}" for name in names)
