"""What an operator may say when, and what it does."""

from collections.abc import Callable
from dataclasses import replace

from fleet.rollout.gates import counted
from fleet.rollout.model import FAILURES, IN_FLIGHT, Command, Execution, Phase, Rollout, Stage, State, Verb
from fleet.rollout.plan import Plan
from fleet.rollout.report import INNOCENT
from fleet.rollout.transitions import Cause, moved
from fleet.rollout.work import Work

_OPEN = frozenset({Phase.RUNNING, Phase.PAUSED, Phase.HALTED})
ALLOWED: dict[Verb, frozenset[Phase]] = {
    Verb.START: frozenset({Phase.DRAFT}),
    Verb.APPROVE: frozenset({Phase.DRAFT}),
    Verb.PAUSE: frozenset({Phase.RUNNING}),
    Verb.RESUME: frozenset({Phase.PAUSED, Phase.HALTED}),
    Verb.HALT: frozenset({Phase.RUNNING, Phase.PAUSED}),
    Verb.ABORT: _OPEN | {Phase.DRAFT},
    Verb.RETRY: _OPEN | {Phase.FINISHED},
    Verb.PROMOTE: frozenset({Phase.RUNNING, Phase.PAUSED}),
    Verb.UNDO: _OPEN | {Phase.FINISHED, Phase.ABORTED},
}
GROUPS = 256  # groups that one rollout can have: one at its start, and one for each time it is resumed after a halt


def refusal(plan: Plan, state: State, command: Command, now_s: int) -> str:
    """Why a command cannot be given now, in a sentence; "" = it can. `step` ignores one that cannot."""
    head, verb = state.rollout, command.verb
    if head.phase not in ALLOWED[verb]:
        return f"a rollout that is {head.phase} cannot be told to {verb}"
    if verb is Verb.APPROVE and command.actor in head.approvals:
        return f"{command.actor} has approved it already"
    if verb in (Verb.UNDO, Verb.RETRY) and head.undo:
        return "it is being undone"
    if verb is Verb.UNDO and plan.parent:
        return "it is an undo itself; plan what the nodes shall run, and have that approved"
    if verb is Verb.RETRY:
        return _retry_refusal(plan, state, command, now_s)
    if verb is Verb.RESUME and head.group % GROUPS == GROUPS - 1:
        return "it was halted too often; plan another one"
    if verb is Verb.PROMOTE:
        may = has_proved(state) or (_is_deserted(state) and now_s != head.wave_s)  # the word may come twice
        return "" if may and not head.promoted else "there is nothing to promote"
    return ""


def _retry_refusal(plan: Plan, state: State, command: Command, now_s: int) -> str:
    if is_over(plan, state.rollout, now_s):
        return "its time is over; plan another one"
    unknown = [node for node in command.nodes if node not in state.executions]
    if unknown:
        return f"{unknown[0]} is not in it"
    if retried(plan, state, command):
        return ""
    named = [one for one in state.executions.values() if one.node in command.nodes or not command.nodes]
    reverted = any(one.stage is Stage.REVERTED for one in named)
    return "there is nothing to try again" + (": nodes refuse what failed on them, unless forced" if reverted else "")


def retried(plan: Plan, state: State, command: Command) -> list[Execution]:
    """What RETRY queues again: what failed, and what was refused, of the nodes that it names or of all."""
    named = command.nodes
    return [one for one in state.executions.values() if (one.node in named or not named) and _may_again(plan, one)]


def _may_again(plan: Plan, one: Execution) -> bool:
    """A node refuses what failed on it by itself, unless it is forced; one that was proved late needs nothing."""
    if one.stage is Stage.REVERTED:
        return one.code in INNOCENT or plan.force
    return one.stage in FAILURES | {Stage.REJECTED} and not one.late


def is_over(plan: Plan, head: Rollout, now_s: int) -> bool:
    """Whether nodes that were not ordered by now are given up."""
    return head.started_s > 0 and now_s >= head.started_s + plan.expires_s


def _is_deserted(state: State) -> bool:
    """Whether the present wave had nodes, and has none any more: it says nothing about the release."""
    stages = [one.stage for one in state.executions.values() if one.wave == state.rollout.wave]
    return bool(stages) and all(stage in (Stage.REMOVED, Stage.SUPERSEDED) for stage in stages)


def has_proved(state: State) -> bool:
    """Whether anything can be said of the present wave: a word that comes twice is not taken for the next one."""
    return any(one.wave == state.rollout.wave and one.stage is Stage.PROVED for one in state.executions.values())


# -- what it does --


def obey(work: Work, command: Command) -> None:
    """Do what the command says; `refusal` was asked before."""
    why = f": {command.why}" if command.why else ""
    work.note(f"{command.actor} says {command.verb}{why}")
    _DO[command.verb](work, command)


def _start(work: Work, command: Command) -> None:
    head, now_s = work.head, work.now_s
    work.head = replace(head, phase=Phase.RUNNING, started_s=now_s, wave_s=now_s, group=head.id * GROUPS + 1, reason="")
    work.note(f"wave {work.plan.waves[0].name} begins")


def _approve(work: Work, command: Command) -> None:
    work.head = replace(work.head, approvals=(*work.head.approvals, command.actor))


def _pause(work: Work, command: Command) -> None:
    work.head = replace(work.head, phase=Phase.PAUSED, reason=command.why or f"by {command.actor}")


def _resume(work: Work, command: Command) -> None:
    """After a halt: under another group, and with what failed so far accepted."""
    head = work.head
    if head.phase is Phase.HALTED:
        _, total = counted(work.executions.values(), len(work.plan.waves))
        head = replace(head, group=head.group + 1, accepted=total.bad, soak_s=0)
        for one in list(work.executions.values()):
            if one.stage in IN_FLIGHT and not one.stop:
                work.put(replace(one, stop=one.counter))  # the epoch stops it, whether its STOP was sent by now or not
    work.head = replace(head, phase=Phase.RUNNING, reason="")


def _halt(work: Work, command: Command) -> None:
    work.halt(command.why or f"by {command.actor}")


def _abort(work: Work, command: Command) -> None:
    why = command.why or f"by {command.actor}"
    if work.head.phase in (Phase.RUNNING, Phase.PAUSED):
        work.halt(why)
    work.abort(why)


def _retry(work: Work, command: Command) -> None:
    """With new attempts; what failed counts as failed until one of them ends."""
    for one in retried(work.plan, work.state, command):
        failed = one.stage in FAILURES and one.tries > 0
        work.put(moved(one, Stage.QUEUED, Cause.OPERATOR, work.now_s, excused=one.tries, failed=failed))
        work.reopen(f"{one.node} is tried again")


def _promote(work: Work, command: Command) -> None:
    work.head = replace(work.head, promoted=True)


def _undo(work: Work, command: Command) -> None:
    if work.head.phase not in (Phase.FINISHED, Phase.ABORTED):
        _abort(work, command)
    work.undo()


_DO: dict[Verb, Callable[[Work, Command], None]] = {
    Verb.START: _start,
    Verb.APPROVE: _approve,
    Verb.PAUSE: _pause,
    Verb.RESUME: _resume,
    Verb.HALT: _halt,
    Verb.ABORT: _abort,
    Verb.RETRY: _retry,
    Verb.PROMOTE: _promote,
    Verb.UNDO: _undo,
}
