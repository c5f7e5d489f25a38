"""What a report makes of an execution. Told twice, late or in another order it does no harm.

Counters tell old from new: a report that speaks of an order before the newest one says nothing about it, one that
speaks of a later one says that somebody else ordered. Stages of one order only go forward. What counts as success is
the proof alone, and what runs decides what became of it.
"""

from dataclasses import replace

from fleet.rollout.model import ENDED, Execution, Phase, Report, Stage
from fleet.rollout.plan import Goal, Plan, Retries
from fleet.rollout.transitions import Cause, moved
from protocol import refusals, update

# Why an attempt failed by chance, so that the next one may succeed
INNOCENT = frozenset({refusals.U_UNREACHED, refusals.U_POWER})  # of a revert
PASSING = frozenset(  # of a refusal
    {refusals.U_STORAGE, refusals.U_MEMORY, refusals.U_UNAVAILABLE, refusals.U_TIME, refusals.U_CAMPAIGN_STALE}
)
FINAL = frozenset(
    {refusals.U_QUARANTINED, refusals.U_LOOP, refusals.U_NO_SLOT, refusals.U_NO_PARTITION}
)  # of a failure

_SAID = {
    update.CHECKING: "checking",
    update.DOWNLOADING: "downloading",
    update.INSTALLING: "installing",
    update.WAITING: "waiting",
    update.TRIAL: "on trial",
    update.CONFIRMED: "confirmed",
    update.REFUSED: "refused",
    update.FAILED: "failed",
    update.REVERTED: "reverted",
    update.STOPPED: "stopped",
}
_UNDER_WAY = (update.CHECKING, update.DOWNLOADING, update.INSTALLING, update.WAITING)
_LOST = {update.REFUSED: Stage.REJECTED, update.FAILED: Stage.FAILED, update.REVERTED: Stage.REVERTED}


def applied(plan: Plan, phase: Phase, one: Execution, report: Report, now_s: int) -> Execution:
    """`one` after what is known of its node now; the same object when that is nothing new."""
    if report.online != one.online and (one.stage not in ENDED or one.stage is Stage.DARK):
        one = replace(one, online=report.online)  # of whoever is done with only what may have gone dark is of use
    if one.stage in ENDED:
        return _afterwards(one, report, now_s)
    if report.retired:
        return moved(one, Stage.REMOVED, Cause.REPORT, now_s)
    if one.tries == 0 and report.manifest not in (b"", one.before) and not report.runs:
        one = replace(one, before=report.manifest)
    if one.counter == 0 or report.counter < one.counter:
        return one  # it cannot speak of the newest order
    if report.counter > max(one.counter, one.stop):
        foreign = report.stage != update.REFUSED  # anybody can make a node refuse a number
        return moved(one, Stage.SUPERSEDED, Cause.REPORT, now_s) if foreign else one
    if is_proof(report):
        return moved(one, Stage.PROVED, Cause.REPORT, now_s, code=0, text="", said=_SAID[update.CONFIRMED])
    if one.stage is Stage.QUEUED:
        return one
    return _on_its_way(plan, phase, one, report, now_s)


def is_proof(report: Report) -> bool:
    """Whether it proved the target, and has not left it again. A node that is told to stop afterwards says STOPPED."""
    return report.proved and report.stage in (update.CONFIRMED, update.STOPPED)


def attempts(one: Execution) -> int:
    """Orders that count against `Retries.tries`."""
    return one.tries - one.excused


def may_try_again(goal: Goal, stage: Stage, code: int) -> bool:
    """Whether an attempt that ended so may have failed by chance; of a configuration only what failed may."""
    if goal is Goal.CONFIG:
        return stage is Stage.FAILED
    if stage is Stage.REJECTED:
        return code in PASSING
    return code in INNOCENT if stage is Stage.REVERTED else code not in FINAL


def end_of(one: Execution) -> Stage:
    """How a node ends that waits for another attempt, and gets none."""
    if one.failed:
        return Stage.REVERTED if one.code in INNOCENT else Stage.FAILED
    return Stage.REJECTED if one.code in PASSING and one.tries else Stage.STOPPED


def _afterwards(one: Execution, report: Report, now_s: int) -> Execution:
    """What is heard of a node that has ended: an end stays, but a proof does not outlive what it proved."""
    ours = one.counter <= report.counter <= max(one.counter, one.stop) and one.counter > 0
    if not ours or report.retired:
        return one
    reverted = report.stage == update.REVERTED
    if one.stage is Stage.PROVED:
        known = (
            report.seen_s >= one.since_s or one.since_s > now_s
        )  # not from before the proof; or the clock was set back
        other = one.since_s < report.seen_s <= now_s and report.online and report.manifest and not report.runs
        if (reverted and known) or other:
            code, text = (report.code, report.text) if reverted else (0, "another program runs")
            return moved(one, Stage.REVERTED, Cause.REPORT, now_s, code=code, text=text, said=_SAID[update.REVERTED])
    elif one.stage in (Stage.TIMED_OUT, Stage.DARK):
        late = is_proof(report) or (one.late and not reverted)
        return one if late == one.late else replace(one, late=late)
    return one


def _on_its_way(plan: Plan, phase: Phase, one: Execution, report: Report, now_s: int) -> Execution:
    """What an order came to whose node speaks of it."""
    said = _SAID.get(report.stage, one.said)
    if (said, report.code, report.text) != (one.said, one.code, one.text) and report.stage not in (update.IDLE, *_LOST):
        one = replace(one, said=said, code=report.code, text=report.text)
    stopping = one.stop > 0 or phase in (Phase.HALTED, Phase.ABORTED)
    if report.stage == update.STOPPED or report.code == refusals.U_HALTED:
        return _stopped(plan, phase, one, now_s) if stopping else _lost(plan, phase, one, report, Stage.FAILED, now_s)
    if report.stage in _LOST:
        return _lost(plan, phase, one, report, _LOST[report.stage], now_s)
    if report.stage in _UNDER_WAY and one.stage is Stage.ORDERED:
        return moved(one, Stage.ACTIVE, Cause.REPORT, now_s)
    if report.stage in (update.TRIAL, update.CONFIRMED) and one.stage is not Stage.TRIAL:
        return moved(one, Stage.TRIAL, Cause.REPORT, now_s)  # without a proof it is not confirmed
    return one


def _stopped(plan: Plan, phase: Phase, one: Execution, now_s: int) -> Execution:
    """It obeyed the halt. The attempt was none."""
    if phase is Phase.ABORTED:
        end = end_of(one) if one.failed else Stage.STOPPED
        return moved(one, end, Cause.REPORT, now_s)
    return moved(one, Stage.QUEUED, Cause.REPORT, now_s, excused=one.excused + 1)


def _lost(plan: Plan, phase: Phase, one: Execution, report: Report, end: Stage, now_s: int) -> Execution:
    """The attempt failed: another one after a while, or the end."""
    about = {"code": report.code, "text": report.text, "said": _SAID.get(report.stage, one.said)}
    again = may_try_again(plan.goal, end, report.code) and attempts(one) < plan.retries.tries
    if phase is Phase.ABORTED or not again or is_burst(plan.retries, one, now_s):
        return moved(one, end, Cause.REPORT, now_s, **about)
    pause_s = plan.retries.backoff_s << (max(attempts(one), 1) - 1)
    failed = one.failed or end is not Stage.REJECTED
    return moved(one, Stage.QUEUED, Cause.REPORT, now_s, failed=failed, not_before_s=now_s + pause_s, **about)


def is_burst(retries: Retries, one: Execution, now_s: int) -> bool:
    """Whether it was tried so often in so short a time that it is better left alone."""
    return len([at_s for at_s in one.recent if at_s > now_s - retries.burst_s]) >= retries.burst
