"""The one decision of rollouts: (plan, members, state, what was seen, now) -> the next state and what is to be done.

    create   the state of a rollout that was just planned
    due      the nodes that have to be looked at now
    step     one decision

Everything that a decision depends on is an argument, and everything that a later one depends on is in the state: when
nothing is new nothing changes, however often it is asked, and the same arguments give the same bytes.
"""

from collections.abc import Mapping
from dataclasses import replace

from fleet.rollout import commands, gates, holds
from fleet.rollout.model import (
    ENDED,
    FAILURES,
    IN_FLIGHT,
    Execution,
    Phase,
    Quarantine,
    Report,
    Rollout,
    Seen,
    Stage,
    State,
    Step,
    Verdict,
)
from fleet.rollout.plan import Goal, Member, Plan, Retries
from fleet.rollout.report import applied, attempts, end_of, is_burst
from fleet.rollout.situation import Situation, rank
from fleet.rollout.transitions import Cause, moved
from fleet.rollout.work import Work, runs_new

_GOING = (Phase.RUNNING, Phase.PAUSED)


def create(rollout_id: int, plan: Plan, members: Mapping[str, Member]) -> State:
    """A rollout that waits for its start."""
    executions = {
        node: Execution(node, wave=member.wave, before=_before(plan, member)) for node, member in members.items()
    }
    return State(Rollout(rollout_id), executions)


def due(plan: Plan, state: State, now_s: int) -> frozenset[str]:
    """Nodes whose deadline has passed: the next step has to be told how they are, then it ends them."""
    return frozenset(
        one.node for one in state.executions.values() if one.stage in IN_FLIGHT and one.deadline_s <= now_s
    )


def step(plan: Plan, members: Mapping[str, Member], state: State, seen: Seen, now_s: int) -> Step:
    """Decide. `members` are those of the state; of those who join now, `seen` brings what is to be known.

    A command that cannot be given now is ignored (`commands.refusal` says why); a report of a node that does not take
    part, too. Without anything new the same head comes back, and nothing else.
    """
    work = Work(plan, {**members, **{one.node: one for one in seen.joined}}, state, seen, now_s)
    _join(work)
    _hear(work)
    _give_up(work)
    _end_silence(work)
    if seen.command is not None and not commands.refusal(plan, work.state, seen.command, now_s):
        commands.obey(work, seen.command)
    _end_waiting(work)
    _take_verdict(work)
    while work.head.phase in _GOING and _go_on(work):
        pass
    _end_halted(work)
    return work.step()


# -- what is new --


def _join(work: Work) -> None:
    """New nodes, behind all others. They are queued like everybody, so every limit is theirs too."""
    if work.head.phase is Phase.ABORTED or commands.is_over(work.plan, work.head, work.now_s):
        return
    last = len(work.plan.waves) - 1
    for member in work.seen.joined:
        if member.node not in work.executions:
            work.put(Execution(member.node, since_s=work.now_s, wave=last, before=_before(work.plan, member)))
            work.reopen(f"{member.node} joined")


def _before(plan: Plan, member: Member) -> bytes:
    return b"" if plan.goal is Goal.PREVIOUS else member.before


def _hear(work: Work) -> None:
    for report in work.seen.reports:
        one = work.executions.get(report.node)
        if one is None:
            continue
        after = applied(work.plan, work.head.phase, one, report, work.now_s)
        if after is one:
            continue
        work.put(after)
        if runs_new(one) and not runs_new(after):
            work.head = replace(work.head, soak_s=0)
            work.reopen(f"{one.node} reverted after it was proved")
        if one.stage in IN_FLIGHT and after.stage in FAILURES and _is_flapping(work.plan.retries, one, work.now_s):
            why = f"{attempts(one)} attempts failed in rollout {work.head.id}"
            work.act(Quarantine(one.node, work.now_s + work.plan.retries.quarantine_s, why))


def _is_flapping(retries: Retries, one: Execution, now_s: int) -> bool:
    return attempts(one) >= retries.tries or is_burst(retries, one, now_s)


def _give_up(work: Work) -> None:
    """A newer rollout takes these nodes."""
    for node in sorted(work.seen.superseded):
        one = work.executions.get(node)
        if one is not None and one.stage not in ENDED:
            text = "a newer rollout takes it"
            work.put(moved(one, Stage.SUPERSEDED, Cause.OPERATOR, work.now_s, text=text))


def _end_silence(work: Work) -> None:
    """Nodes that are under way have a deadline, in every phase."""
    reports = {report.node: report for report in work.seen.reports}
    for node in sorted(due(work.plan, work.state, work.now_s)):
        one = work.executions[node]
        work.put(moved(one, _silence(one, reports.get(node)), Cause.CLOCK, work.now_s))


def _end_waiting(work: Work) -> None:
    """Nodes that wait are given up when the time of the whole rollout is over."""
    head = work.head
    if head.phase not in (*_GOING, Phase.HALTED) or not commands.is_over(work.plan, head, work.now_s):
        return
    for one in list(work.executions.values()):
        if one.stage is Stage.QUEUED:
            end = end_of(one) if one.online or one.tries else Stage.DARK
            text = one.text or "the rollout was over before its turn came"
            work.put(moved(one, end, Cause.CLOCK, work.now_s, text=text))


def _end_halted(work: Work) -> None:
    """A halted rollout whose time is over ends when nobody is under way any more."""
    head = work.head
    if head.phase is not Phase.HALTED or not commands.is_over(work.plan, head, work.now_s):
        return
    if all(one.stage in ENDED for one in work.executions.values()):
        work.head = replace(head, phase=Phase.ABORTED, ended_s=work.now_s)
        work.note("it is over; nobody resumed it after its halt")


def _silence(one: Execution, report: Report | None) -> Stage:
    """A node at its deadline: dark when nothing is heard of it, otherwise it is just not done."""
    heard = one.stage is not Stage.ORDERED or (report is not None and report.seen_s >= one.ordered_s)
    return Stage.TIMED_OUT if one.online and heard else Stage.DARK


def _take_verdict(work: Work) -> None:
    """What telemetry says. A halt acts when it is said first: whoever resumes has heard it."""
    seen, head = work.seen, work.head
    speaks = head.phase in _GOING or (head.phase is Phase.FINISHED and seen.verdict is Verdict.HALT)
    if seen.verdict is None or not speaks:
        return
    if seen.verdict is not Verdict.HALT and not commands.has_proved(work.state):
        return
    work.head = replace(head, verdict=seen.verdict, evidence=seen.evidence or head.evidence)
    if seen.verdict is not head.verdict:
        work.note(f"telemetry: {seen.verdict}" + (f", {seen.why}" if seen.why else ""))
        if seen.verdict is Verdict.HALT:
            work.fail(seen.why or "the telemetry speaks against it")


# -- what follows --


def _go_on(work: Work) -> bool:
    """Look at the gates, order who may be, begin the next wave. True when that changed something: look once more."""
    here = work.situation()
    if here.total.bad < work.head.accepted:
        work.head = replace(work.head, accepted=here.total.bad)
    why = gates.fault(work.plan, work.head, here.waves, here.total, quiet=False)
    if why:
        work.fail(why)
        return False
    if work.head.phase is Phase.RUNNING and _dispatch(work, here):
        return True
    wave = here.waves[work.head.wave]
    quiet = not wave.in_flight and not _has_turns(work, here)
    why = gates.fault(work.plan, work.head, here.waves, here.total, quiet)
    if why:
        work.fail(why)
        return False
    over = here.total.ended == len(work.executions)
    _soak(work, over or (quiet and _is_through(work, wave)))
    return _finish(work, here.total) if over else _advance(work, here)


def _dispatch(work: Work, here: Situation) -> bool:
    """Order every node that nothing holds, those of earlier waves first; whether there was any."""
    if any(holds.room(here)):
        return False
    head = work.head
    # an offline node has a hold: it is left out here because most of a large fleet may be away
    waiting = [
        one for one in work.executions.values() if one.stage is Stage.QUEUED and one.wave <= head.wave and one.online
    ]
    waiting.sort(key=lambda one: (one.wave, rank(head.id, one.node)))
    made = 0
    for one in waiting:
        if any(holds.room(here)):
            break
        if next(holds.reasons(here, one), None) is None:
            _order(work, here, one)
            made += 1
    if made:
        work.head = replace(head, tokens=here.tokens, tokens_s=work.now_s)
    return made > 0


def _order(work: Work, here: Situation, one: Execution) -> None:
    order = here.order(here.members[one.node])
    here.ordered(one.node)
    since_s = work.now_s - work.plan.retries.burst_s
    ordered = moved(
        one,
        Stage.ORDERED,
        Cause.CLOCK,
        work.now_s,
        tries=one.tries + 1,
        recent=(*(at_s for at_s in one.recent if at_s > since_s), work.now_s),
        counter=0,
        stop=0,
        ordered_s=work.now_s,
        deadline_s=order.expires_s,
        not_before_s=0,
        code=0,
        text="",
        said="",
    )
    work.put(ordered)
    work.act(order)


def _has_turns(work: Work, here: Situation) -> bool:
    """Whether the present wave has nodes that only wait for their turn: they are waited for."""
    wave = work.head.wave
    return any(
        one.stage is Stage.QUEUED
        and one.wave == wave
        and one.online
        and all(reason.hold in holds.TURN for reason in holds.reasons(here, one))
        for one in work.executions.values()
    )


def _is_through(work: Work, wave: gates.Counts) -> bool:
    gate = work.plan.waves[work.head.wave].gate
    enough = gates.is_present(gate, wave) or (work.head.promoted and wave.proved > 0)
    return gates.is_good(gate, wave) and enough


def _soak(work: Work, settled: bool) -> None:
    """Note since when nothing is under way and all is well; whatever disturbs that begins it anew."""
    if settled != (work.head.soak_s > 0):
        work.head = replace(work.head, soak_s=work.now_s if settled else 0)


def _advance(work: Work, here: Situation) -> bool:
    """Begin the next wave when the present one waits for nothing any more."""
    here.head = head = work.head
    if head.phase is not Phase.RUNNING or head.wave + 1 >= len(work.plan.waves) or next(holds.waits(here), None):
        return False
    work.head = replace(
        head, wave=head.wave + 1, wave_s=work.now_s, soak_s=0, verdict=Verdict.HOLD, evidence=0, promoted=False
    )
    work.note(f"wave {work.plan.waves[head.wave + 1].name} begins")
    return True


def _finish(work: Work, total: gates.Counts) -> bool:
    """Every node has ended: it is finished after the last soak, but only if something was proved."""
    head = work.head
    proved = total.proved + total.late
    if proved and work.now_s < head.soak_s + work.plan.waves[head.wave].gate.soak_s:
        return False
    done = proved > 0 or total.members == 0
    reason = f"{proved} of {total.members} nodes are proved" if done else "no node has proved it"
    work.head = replace(
        head, phase=Phase.FINISHED if done else Phase.ABORTED, ended_s=work.now_s, reason=reason, promoted=False
    )
    work.note(reason)
    return False
