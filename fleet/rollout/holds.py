"""Why a queued node is not ordered now: asked before every order, and by whoever wants to know."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from fleet.rollout import windows
from fleet.rollout.gates import Counts, is_good, is_present, percent
from fleet.rollout.model import Execution, Hold, Phase, Seen, Stage, State, Verdict
from fleet.rollout.plan import Member, Plan, Window
from fleet.rollout.situation import ORDER, Situation, is_lost

TURN = frozenset({Hold.BACKOFF, Hold.JITTER, Hold.RATE, Hold.IN_FLIGHT})  # its turn comes by itself, and soon


@dataclass(frozen=True, slots=True)
class Reason:
    """What holds a node, for people, and when it may be over; 0 = nobody can say."""

    hold: Hold
    text: str
    expected_s: int = 0


def why_not(plan: Plan, members: Mapping[str, Member], state: State, node: str, seen: Seen, now_s: int) -> list[Reason]:
    """Every reason for which a queued node is not ordered now, in the order of `Hold`; empty = it is ordered next."""
    here = Situation(plan, members, state.rollout, state.executions, seen, now_s)
    return list(reasons(here, state.executions[node]))


def reasons(here: Situation, one: Execution) -> Iterator[Reason]:
    """The same, found one after the other: who wants the first only does not pay for the others."""
    for check in _CHECKS:
        yield from check(here, one, here.members[one.node])


# -- the rollout --

_PHASES = {
    Phase.DRAFT: (Hold.DRAFT, "the rollout has not started"),
    Phase.PAUSED: (Hold.PAUSED, "the rollout is paused"),
    Phase.HALTED: (Hold.HALTED, "the rollout is halted"),
    Phase.ABORTED: (Hold.ENDED, "the rollout is aborted"),
    Phase.FINISHED: (Hold.ENDED, "the rollout is finished"),
}


def _phase(here: Situation, one: Execution, member: Member) -> Iterator[Reason]:
    head = here.head
    if head.phase in _PHASES:
        hold, text = _PHASES[head.phase]
        yield Reason(hold, f"{text}: {head.reason}" if head.reason else text)


# -- its wave --


def _wave(here: Situation, one: Execution, member: Member) -> Iterator[Reason]:
    if one.wave > here.head.wave:
        names = [wave.name for wave in here.plan.waves]
        yield Reason(Hold.WAVE, f"its wave is {names[one.wave]}, and {names[here.head.wave]} is under way")
        if here.head.phase is Phase.RUNNING:
            yield from waits(here)


def waits(here: Situation) -> Iterator[Reason]:
    """What the present wave waits for before the next one begins, apart from nodes that are under way."""
    head, wave = here.head, here.waves[here.head.wave]
    name, gate = here.plan.waves[head.wave].name, here.plan.waves[head.wave].gate
    if not wave.members:
        if wave.gone and not head.promoted:
            yield Reason(Hold.THRESHOLD, f"every node of wave {name} was retired or taken away, and none has proved it")
        return
    if not is_good(gate, wave) or not (is_present(gate, wave) or (head.promoted and wave.proved)):
        yield Reason(Hold.THRESHOLD, _threshold(name, wave, gate.success, gate.presence))
    elif wave.in_flight:
        yield Reason(Hold.SOAK, f"wave {name} has {wave.in_flight} nodes under way")
    elif not head.soak_s:
        yield Reason(Hold.SOAK, f"wave {name} has nodes whose turn is still to come")
    elif here.now_s < head.soak_s + gate.soak_s:
        until = head.soak_s + gate.soak_s
        yield Reason(Hold.SOAK, f"wave {name} soaks until {moment(until)}", until)
    if head.verdict is not Verdict.PROMOTE and not head.promoted and needs_verdict(here):
        yield Reason(Hold.VERDICT, _verdict(here, name))


def needs_verdict(here: Situation) -> bool:
    """Whether telemetry judges the present wave: it has nodes of a kind of which others still run what ran before."""
    plan, head = here.plan, here.head
    if not (plan.waves[head.wave].judged and plan.judging.enabled):
        return False
    waiting = (one.node for one in here.executions.values() if one.wave > head.wave and one.stage is Stage.QUEUED)
    others = {here.members[node].kind for node in waiting}
    return any(here.members[one.node].kind in others for one in here.executions.values() if one.wave == head.wave)


def _threshold(name: str, wave: Counts, success: int, presence: int) -> str:
    if wave.executed * 1000 < presence * wave.members or not wave.executed:
        return f"{wave.executed} of {wave.members} nodes of wave {name} were executed, {percent(presence)} have to be"
    return f"{wave.proved} of {wave.executed} executed nodes of wave {name} are proved, {percent(success)} have to be"


def _verdict(here: Situation, name: str) -> str:
    if here.head.verdict is Verdict.HALT:
        return f"the telemetry speaks against wave {name}"
    over = here.head.soak_s and here.now_s > here.head.soak_s + here.plan.judging.patience_s
    more = ", and will hardly do so: an operator has to promote or abort" if over else ""
    return f"the telemetry of wave {name} has not spoken for it{more}"


# -- the node --


def _node(here: Situation, one: Execution, member: Member) -> Iterator[Reason]:
    until = here.seen.quarantined.get(one.node, 0)
    if until > here.now_s:
        yield Reason(Hold.QUARANTINE, f"it failed too often, and is left alone until {moment(until)}", until)
    if one.not_before_s > here.now_s:
        text = f"attempt {one.tries} failed, the next one is at {moment(one.not_before_s)}"
        yield Reason(Hold.BACKOFF, text, one.not_before_s)
    if one.node in here.seen.taken:
        yield Reason(Hold.OTHER_ROLLOUT, "an earlier rollout has not done with it")
    elif one.node in here.seen.busy:
        yield Reason(Hold.OTHER_ROLLOUT, "another order for it is under way")
    if not one.online:
        yield Reason(Hold.OFFLINE, "it is offline; it is ordered when it is seen, until " + moment(here.end_s))


# -- times and places --


def _windows(here: Situation, one: Execution, member: Member) -> Iterator[Reason]:
    fetch = here.fetch
    if fetch is not None and not (fetch and fetch[0][0] <= here.now_s):
        yield Reason(Hold.DOWNLOAD_WINDOW, *_opening("download", here.plan.download, here.now_s))
    if not here.restarts:
        if here.switch is not None and not (here.switch and here.switch[0][0] <= here.now_s):
            yield Reason(Hold.SWITCH_WINDOW, *_opening("switch", here.plan.switch, here.now_s))
    elif here.switch == []:
        yield Reason(Hold.SWITCH_WINDOW, *_opening("switch", here.plan.switch, here.now_s))
    elif here.switch_of(member) == []:
        yield Reason(Hold.DAYLIGHT, "it is dark there whenever the switch window is open")


def _opening(which: str, window: Window, now_s: int) -> tuple[str, int]:
    opens_s = windows.next_open(window, now_s)
    if opens_s is None:
        return f"the {which} window does not open any more", 0
    return f"the {which} window opens {moment(opens_s, window.zone)}", opens_s


def _places(here: Situation, one: Execution, member: Member) -> Iterator[Reason]:
    beside = here.neighbour_down(member)
    if beside:
        other = here.executions.get(beside)
        gone = other is not None and is_lost(other)
        yield Reason(Hold.NEIGHBOUR, f"its neighbour {beside} {'has gone dark' if gone else 'is under way'}")
    spare = here.spare_stations(member)
    if spare is not None and spare <= 0:
        need = here.plan.places.measuring
        text = f"{max(spare + need, 0)} stations of district {member.district} measure, {need} have to go on"
        yield Reason(Hold.DISTRICT, text)


# -- limits --


def _limits(here: Situation, one: Execution, member: Member) -> Iterator[Reason]:
    turn_s = here.turn_s(one)
    if turn_s > here.now_s:
        yield Reason(Hold.JITTER, f"its turn comes at {moment(turn_s)}", turn_s)
    yield from room(here)


def room(here: Situation) -> Iterator[Reason]:
    """What holds any node now, whichever it is."""
    limits = here.plan.limits
    if here.tokens < ORDER:
        rate = limits.per_minute * ORDER
        ready_s = here.now_s + -(-(ORDER - here.tokens) * 60 // rate)
        yield Reason(Hold.RATE, f"{limits.per_minute} orders a minute may be made", ready_s)
    if here.in_flight >= limits.in_flight:
        yield Reason(Hold.IN_FLIGHT, f"{here.in_flight} of {limits.in_flight} that may be under way are")


def moment(at_s: int, zone: str = "UTC") -> str:
    """`Mon 02:00 Europe/Berlin`, with the date: people read it."""
    return f"{datetime.fromtimestamp(at_s, ZoneInfo(zone)):%a %Y-%m-%d %H:%M} {zone}"


_CHECKS: tuple[Callable[[Situation, Execution, Member], Iterator[Reason]], ...] = (
    _phase,
    _wave,
    _node,
    _windows,
    _places,
    _limits,
)
