"""How far a rollout got, what was seen of its nodes, and what is to be done: values without behaviour.

Times are seconds since 1970 UTC.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from fleet.rollout.plan import Member


class Phase(StrEnum):
    """How a rollout stands."""

    DRAFT = "draft"  # planned; it waits for approvals or its start
    RUNNING = "running"
    PAUSED = "paused"  # by an operator: no new orders, what was ordered goes on
    HALTED = "halted"  # by a gate, the telemetry or an operator: what was ordered stops, an operator decides
    ABORTED = "aborted"  # for good: what was ordered stops
    FINISHED = "finished"  # every node has ended, and the last wave has soaked; a later revert opens it again


class Stage(StrEnum):
    """How far one node is. The order is the one in which a node passes them."""

    QUEUED = "queued"  # not ordered, or to be ordered again
    ORDERED = "ordered"  # the order is on its way
    ACTIVE = "active"  # the node has it: it checks, fetches, installs, waits for its moment
    TRIAL = "trial"  # the new program runs, and has not proved itself
    # ended
    PROVED = "proved"  # the running program has proved what it is
    FAILED = "failed"  # given up before the switch
    REJECTED = "rejected"  # the node refused it, nothing was changed
    REVERTED = "reverted"  # it was tried, and the program before runs again; also later, after it was proved
    TIMED_OUT = "timed out"  # it speaks, and did not get there in time
    DARK = "dark"  # it did not speak any more, or was never reached
    SUPERSEDED = "superseded"  # another order took the place of this one
    STOPPED = "stopped"  # by an abort; with no order made: it was never touched
    REMOVED = "removed"  # retired meanwhile


IN_FLIGHT = frozenset({Stage.ORDERED, Stage.ACTIVE, Stage.TRIAL})
ENDED = frozenset(Stage) - IN_FLIGHT - {Stage.QUEUED}
FAILURES = frozenset({Stage.FAILED, Stage.REVERTED, Stage.TIMED_OUT, Stage.DARK})  # what counts against the release


class Verdict(StrEnum):
    """What the telemetry says of the nodes that have the new program."""

    HOLD = "hold"  # not enough is known
    PROMOTE = "promote"  # not worse, within the stated error
    HALT = "halt"  # worse


class Hold(StrEnum):
    """Why a queued node is not ordered now. The order is the one in which they are looked at."""

    DRAFT = "draft"  # the rollout has not started
    APPROVAL = "approval"  # it waits for an approval
    PAUSED = "paused"
    HALTED = "halted"
    ENDED = "ended"
    WAVE = "wave"  # its wave has not begun
    SOAK = "soak"  # the wave before it soaks
    VERDICT = "verdict"  # the telemetry of the wave before has not spoken
    THRESHOLD = "threshold"  # the wave before has too few executed nodes to be judged
    QUARANTINE = "quarantine"
    BACKOFF = "backoff"  # after an attempt that failed
    OTHER_ROLLOUT = "other rollout"
    OFFLINE = "offline"
    DOWNLOAD_WINDOW = "download window"
    SWITCH_WINDOW = "switch window"  # none opens before the order would expire
    DAYLIGHT = "daylight"  # no hour of daylight in the switch window
    NEIGHBOUR = "neighbour"  # a lamp beside it is down or may be
    DISTRICT = "district"  # too few other stations of its district measure
    JITTER = "jitter"  # its turn within the wave comes later
    RATE = "rate"
    IN_FLIGHT = "in flight"  # as many as may be are under way


@dataclass(frozen=True, slots=True)
class Execution:
    """One node of a rollout."""

    node: str
    stage: Stage = Stage.QUEUED
    since_s: int = 0  # in this stage
    wave: int = 0
    tries: int = 0  # orders that were made for it
    excused: int = 0  # of them: those that are no attempts, because a halt ended them or an operator wants another try
    recent: tuple[int, ...] = ()  # when orders were made for it, those of the last `Retries.burst_s`
    counter: int = 0  # of the newest order; 0 = none was made, or it has no number yet (`numbered`)
    stop: int = 0  # counter of the STOP that followed it, or its own if the epoch alone stops it; 0 = none did
    ordered_s: int = 0
    deadline_s: int = 0  # of the newest order; 0 = none
    not_before_s: int = 0  # after an attempt that failed
    code: int = 0  # U_*: why it ended, or what it waits for
    text: str = ""
    said: str = ""  # what its node last said: "downloading", "waiting", for people
    online: bool = False
    late: bool = False  # it ended as timed out or dark, and was proved afterwards
    failed: bool = False  # not ended, after an attempt that failed: it counts as failed until the next one ends
    held: str = ""  # not used by decisions: the Hold that was last noted, for people
    before: bytes = b""  # manifest that ran before the first order


@dataclass(frozen=True, slots=True)
class Rollout:
    """The head of a rollout: everything but its plan and its nodes."""

    id: int
    phase: Phase = Phase.DRAFT
    wave: int = 0  # index of the wave that is under way
    wave_s: int = 0  # when it began
    soak_s: int = 0  # when its last node was proved and the threshold met: soaking since; 0 = not yet
    started_s: int = 0
    ended_s: int = 0
    group: int = 0  # of its campaigns: id * 256 and a number that grows with each halt
    accepted: int = 0  # nodes without success when an operator resumed it: as many do not halt it again
    promoted: bool = False  # an operator lets the present wave pass though it is too small or not judged
    tokens: int = 0  # thousandths of an order that may be made at `tokens_s`
    tokens_s: int = 0
    verdict: Verdict = Verdict.HOLD  # of the telemetry on the present wave
    evidence: int = 0  # key of the evidence packet behind it; 0 = none
    reason: str = ""  # of the phase, for people
    undo: bool = False  # the program before shall run again wherever the new one does
    approvals: tuple[str, ...] = ()
    version: int = 0  # counts changes: whoever changes it must have seen the newest


@dataclass(frozen=True, slots=True)
class State:
    """A rollout at one moment."""

    rollout: Rollout
    executions: Mapping[str, Execution]


@dataclass(frozen=True, slots=True)
class Report:
    """What is known of a node now. It may be told twice, late, or in another order."""

    node: str
    online: bool = False
    seen_s: int = 0  # when it last said anything; 0 = never
    counter: int = 0  # of the order that it speaks of
    stage: int = 0  # IDLE .. STOPPED of protocol.update; with CONFIG: WAITING until applied, CONFIRMED, REFUSED
    code: int = 0  # U_*; with CONFIG: E_* of protocol.messages
    text: str = ""
    manifest: bytes = b""  # of the program that runs
    proved: bool = False  # it proved the target, for the newest order
    runs: bool = False  # what it says it runs is the target
    retired: bool = False


class Verb(StrEnum):
    """What an operator does to a rollout."""

    START = "start"
    APPROVE = "approve"
    PAUSE = "pause"
    RESUME = "resume"
    HALT = "halt"
    ABORT = "abort"
    RETRY = "retry"  # queue failed nodes again
    PROMOTE = "promote"  # go on although the telemetry has not spoken, or too few nodes were executed
    UNDO = "undo"


@dataclass(frozen=True, slots=True)
class Command:
    """An operator's word."""

    verb: Verb
    actor: str
    why: str = ""
    nodes: tuple[str, ...] = ()  # RETRY: these; empty = all that failed


@dataclass(frozen=True, slots=True)
class Seen:
    """What is new since the step before. Told twice it changes nothing."""

    reports: tuple[Report, ...] = ()  # of nodes of which something but `seen_s` changed, and of those that `due` names
    command: Command | None = None
    verdict: Verdict | None = None  # on the present wave, when it changed
    evidence: int = 0  # key of its packet
    why: str = ""  # the verdict in a sentence
    joined: tuple[Member, ...] = ()  # CONTINUOUS: nodes that match now
    busy: frozenset[str] = frozenset()  # nodes that another rollout or order has under way now
    taken: frozenset[str] = frozenset()  # nodes that an open rollout of before has not done with (Overlap.AFTER)
    superseded: frozenset[str] = frozenset()  # nodes that a newer rollout takes (Overlap.SUPERSEDE)
    quarantined: Mapping[str, int] = field(default_factory=dict)  # {node: until_s}, those of today
    measuring: Mapping[str, int] = field(default_factory=dict)  # {district: stations that are online, busy ones not}


@dataclass(frozen=True, slots=True)
class Order:
    """Make a campaign (or a configuration) for a node."""

    node: str
    expires_s: int
    fetch: tuple[int, ...] = ()  # spans, as Campaign.fetch
    switch: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Stop:
    """Tell a node to stop, once: a campaign with STOP."""

    node: str


@dataclass(frozen=True, slots=True)
class Halt:
    """Put a group into the epoch that every node hears."""

    group: int


@dataclass(frozen=True, slots=True)
class Quarantine:
    """No rollout orders this node until then."""

    node: str
    until_s: int
    why: str


@dataclass(frozen=True, slots=True)
class Undo:
    """Begin a rollout that boots the program before on these nodes."""

    nodes: tuple[str, ...]


Action = Order | Stop | Halt | Quarantine | Undo


@dataclass(frozen=True, slots=True)
class Step:
    """One decision: the next head, the executions that changed, what is to be done, and why, for people."""

    rollout: Rollout
    changed: tuple[Execution, ...] = ()
    actions: tuple[Action, ...] = ()
    notes: tuple[str, ...] = ()

    def after(self, state: State) -> State:
        """The state that follows."""
        return State(self.rollout, {**state.executions, **{one.node: one for one in self.changed}})
