"""What a command of an operator does. Whether it may be given now is `commands.refusal`'s."""

from collections.abc import Callable
from dataclasses import replace

from fleet.rollout.commands import GROUPS, retried
from fleet.rollout.gates import counted
from fleet.rollout.model import FAILURES, IN_FLIGHT, Command, Phase, Stage, Verb
from fleet.rollout.transitions import Cause, moved
from fleet.rollout.work import Work


def obey(work: Work, command: Command) -> None:
    """Do it."""
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
