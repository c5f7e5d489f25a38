"""Every reason, in order, for which one node of a rollout does not run what it shall, as the engine itself decides.

A reason that holds a node back comes from `holds.why_not`, which the dispatch asks too: what is said here is what
happens. The codes are for scripts and do not change; the texts are for people.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from fleet.model import Kind
from fleet.rollout import holds
from fleet.rollout.advice import CODES, CONFIG_CODES, HOLDS, STAGES, WAIT
from fleet.rollout.model import IN_FLIGHT, Execution, Hold, Phase, Rollout, Seen, Stage, State
from fleet.rollout.plan import Goal, Member, Plan
from fleet.rollout.report import attempts
from protocol.refusal_texts import NAMES, text

_ENDS = {
    Stage.PROVED: "it proved what it runs at {since}",
    Stage.FAILED: "it gave up at {since}, before it restarted",
    Stage.REJECTED: "it refused at {since}; nothing was changed",
    Stage.REVERTED: "it tried, and runs the program before since {since}",
    Stage.TIMED_OUT: "it speaks, and had not done it by {since}",
    Stage.DARK: "it was not heard any more by {since}",
    Stage.SUPERSEDED: "another order took the place of this one at {since}",
    Stage.STOPPED: "it was stopped at {since}",
    Stage.REMOVED: "it was retired at {since}",
}
_UNTOUCHED = {
    Stage.STOPPED: "the rollout ended at {since} before it was touched",
    Stage.DARK: "it was not heard while the rollout could order it, until {since}",
}
_WAYS = {
    Stage.ORDERED: "ordered at {since}; the node has not spoken of it",
    Stage.ACTIVE: "the node works on it since {since}",
    Stage.TRIAL: "the new program runs since {since} and has yet to prove itself",
}


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason."""

    code: str  # "hold.soak", "stage.active", "update.u_space", "node.offline": for scripts
    text: str
    expected_s: int = 0  # when it is over at the latest, or is looked at again; 0 = nobody can say
    advice: str = ""  # what an operator can do


def explain(plan: Plan, members: Mapping[str, Member], state: State, node: str, seen: Seen, now_s: int) -> list[Reason]:
    """Why `node`, a member, is not on the target of this rollout, or that it is; never empty."""
    execution = state.executions[node]
    if execution.stage is not Stage.QUEUED:
        return _underway(plan, members[node], state.rollout, execution, seen)
    found = _attempt(plan, execution)
    found += [_held(one) for one in holds.why_not(plan, members, state, node, seen, now_s)]
    if not any(one.code.startswith("hold.") for one in found):
        found.append(Reason("stage.queued", "nothing holds it: it is ordered next", now_s, WAIT))
    return found


def expected_s(reasons: Iterable[Reason], now_s: int) -> int:
    """When the node moves, if all goes well: the last of all reasons; 0 when nobody can say for one of them."""
    times = [one.expected_s for one in reasons]
    return 0 if not times or 0 in times else max(now_s, *times)


def code_name(code: int) -> str:
    """`u_space`; a newer node may say what this table does not know: `u_200`."""
    return NAMES.get(code, f"U_{code}").lower()


def moment(seconds: int) -> str:
    """A time as sentences here name it."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"


def said(goal: Goal, code: int, words: str, expected: int = 0) -> Reason:
    """What a node said about its update or its configuration, in words."""
    if goal is Goal.CONFIG:
        meaning, advice = CONFIG_CODES.get(code, (f"error {code}", _UNKNOWN))
        return Reason(f"config.e_{code}", _joined(meaning, words), expected, advice)
    return Reason(f"update.{code_name(code)}", _joined(text(code), words), expected, CODES.get(code, _UNKNOWN))


_UNKNOWN = "a newer node said this: `fleet node logs` may tell more"


def _held(one: holds.Reason) -> Reason:
    return Reason(hold_code(one.hold), one.text, one.expected_s, HOLDS[one.hold])


def hold_code(hold: Hold) -> str:
    """`hold.download-window`."""
    return "hold." + hold.value.replace(" ", "-")


def stage_code(stage: Stage) -> str:
    """`stage.timed-out`."""
    return "stage." + stage.value.replace(" ", "-")


def _attempt(plan: Plan, execution: Execution) -> list[Reason]:
    """What became of the attempt before, while the node waits for the next."""
    if not execution.tries:
        return []
    until = execution.not_before_s
    found = []
    if execution.failed:
        tried = f"attempt {attempts(execution)} of {plan.retries.tries} failed"
        found.append(Reason("attempt.failed", tried, until, WAIT))
    if execution.code:
        found.append(said(plan.goal, execution.code, execution.text, until))
    return found


def _underway(plan: Plan, member: Member, rollout: Rollout, execution: Execution, seen: Seen) -> list[Reason]:
    stage, until = execution.stage, execution.deadline_s
    if stage not in IN_FLIGHT:
        return [*_ended(plan, execution), *_quarantine(execution, seen)]
    words = _WAYS[stage].format(since=moment(execution.since_s))
    if stage is Stage.ACTIVE and execution.said:
        words += f": {execution.said}"
    found = [Reason(stage_code(stage), words, until, STAGES[stage])]
    if rollout.phase in (Phase.HALTED, Phase.ABORTED):
        found.append(Reason("rollout.stopping", f"the rollout is {rollout.phase}: it was told to stop", until, WAIT))
    if not execution.online:
        found.append(Reason("node.offline", "it is not connected now", until, HOLDS[Hold.OFFLINE]))
    if execution.code:
        found.append(said(plan.goal, execution.code, execution.text, until))
    elif stage is Stage.ACTIVE and execution.said == "waiting":
        found.append(_restart(plan, member, until))
    elif stage is Stage.TRIAL and execution.said == "confirmed":
        found.append(Reason("node.unproved", "it says that it is done, and has not proved it", until, WAIT))
    if until:
        found.append(Reason("stage.deadline", f"by {moment(until)} it is done, or counts as failed", until, WAIT))
    return found


def _restart(plan: Plan, member: Member, until: int) -> Reason:
    if member.kind is Kind.LIGHT and not plan.now:
        words = "everything is ready; the lamp restarts when nobody wants its light"
        return Reason("node.lamp-wanted", words, until, "a rollout with now = true does not wait")
    return Reason("node.restarting", "everything is ready; it is about to restart", until, WAIT)


def _ended(plan: Plan, execution: Execution) -> list[Reason]:
    stage = execution.stage
    form = _ENDS[stage] if execution.tries else _UNTOUCHED.get(stage, _ENDS[stage])
    advice = "" if execution.late else STAGES[stage]
    found = [Reason(stage_code(stage), form.format(since=moment(execution.since_s)), 0, advice)]
    if execution.late:
        found.append(Reason("stage.late", "it proved the target afterwards: it runs it"))
    elif execution.code and stage is not Stage.PROVED:
        found.append(said(plan.goal, execution.code, execution.text))
    elif execution.text and stage is not Stage.PROVED:
        found.append(Reason("node.said", execution.text))
    return found


def _quarantine(execution: Execution, seen: Seen) -> list[Reason]:
    until = seen.quarantined.get(execution.node, 0)
    if not until or execution.stage in (Stage.PROVED, Stage.REMOVED):
        return []
    words = f"no rollout orders it before {moment(until)}: it failed too often"
    return [Reason(hold_code(Hold.QUARANTINE), words, until, HOLDS[Hold.QUARANTINE])]


def _joined(meaning: str, words: str) -> str:
    return f"{meaning}: {words}" if words else meaning
