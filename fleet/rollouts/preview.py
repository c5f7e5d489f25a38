"""Use case: what an operator's word would do, without doing it."""

from dataclasses import dataclass

from fleet.errors import NotAllowedError
from fleet.rollout import commands
from fleet.rollout.model import Command, Halt, Order, Rollout, Seen, Step, Stop, Undo
from fleet.rollout.step import step
from fleet.store import Store


@dataclass(frozen=True)
class Preview:
    """What a step does, in figures."""

    before: Rollout
    after: Rollout
    orders: int
    stops: int  # nodes on their way that are told to stop
    undone: int  # nodes that boot the program before
    requeued: int  # nodes that are tried again
    halts: bool  # every node that is online hears of it at once


def preview(store: Store, rollout: "int | str", command: Command, now_s: int) -> Preview:
    """What the word would lead to now; NotAllowedError says why it cannot be given, NotFoundError."""
    view = store.rollouts.get(rollout)
    state = store.rollouts.state(view.id)
    why_not = commands.refusal(view.plan, state, command, now_s)
    if why_not:
        hint = f"`fleet rollout status {view.id}` shows how it stands"
        raise NotAllowedError(f"rollout {view.id}, {command.verb}: {why_not}", hint=hint)
    made = step(view.plan, store.rollouts.members(view.id), state, Seen(command=command), now_s)
    return of(state.rollout, made)


def of(before: Rollout, made: Step) -> Preview:
    """The figures of a step."""
    undone = [one for one in made.actions if isinstance(one, Undo)]
    return Preview(
        before=before,
        after=made.rollout,
        orders=sum(isinstance(one, Order) for one in made.actions),
        stops=sum(isinstance(one, Stop) for one in made.actions),
        undone=sum(len(one.nodes) for one in undone),
        requeued=sum(one.stage == "queued" and one.tries > 0 for one in made.changed),
        halts=any(isinstance(one, Halt) for one in made.actions),
    )
