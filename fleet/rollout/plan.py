"""What an operator wants of a rollout, as frozen values. `draft.py` reads it from a file, and gives it its hash.

Shares are permille, times seconds. The defaults are the careful ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from fleet.model import Kind

MINUTE_S = 60
HOUR_S = 3600
DAY_S = 86400


class Goal(StrEnum):
    """What the nodes shall do."""

    RELEASE = "release"  # install the release for their product
    CONFIG = "config"  # take settings
    PREVIOUS = "previous"  # boot the program that they ran before, from their other slot


class Mode(StrEnum):
    """Who takes part."""

    SNAPSHOT = "snapshot"  # those that matched when it was planned
    CONTINUOUS = "continuous"  # new matching nodes too, behind all others


class OnFailure(StrEnum):
    """What follows when a gate fails. In each case nodes on their way stop before they switch or commit."""

    PAUSE = "pause"  # an operator decides
    ABORT = "abort"
    UNDO = "undo"  # abort, and boot the program before wherever the new one runs


class Overlap(StrEnum):
    """What becomes of nodes that another open rollout has not done with."""

    REFUSE = "refuse"  # the rollout does not start
    AFTER = "after"  # they wait until the other is done with them
    SUPERSEDE = "supersede"  # the other gives them up


@dataclass(frozen=True, slots=True)
class Target:
    """What nodes of one product shall run."""

    product: Kind
    release: str  # its id
    digest: bytes  # SHA-256 of the release document
    manifest: bytes
    sequence: int
    base: bytes = b""  # SHA-256 of the base image that comes with it


@dataclass(frozen=True, slots=True)
class Gate:
    """When a wave is good, and when it is bad."""

    success: int = 950  # permille of the executed nodes that have to be proved before the next wave begins
    presence: int = 800  # permille of the wave's nodes that have to be executed before it is judged
    failures: int = 50  # permille of the executed nodes: more than that halts
    sample: int = 20  # executed nodes from which `failures` counts; a wave that ends with fewer is judged by `success`
    failures_max: int = (
        0  # failed nodes of the whole rollout: more than that halts, however few were executed; 0 = no cap
    )
    soak_s: int = 15 * MINUTE_S  # between the last proof and the next wave
    deadline_s: int = HOUR_S  # from the order to a proof; windows that are closed do not count


@dataclass(frozen=True, slots=True)
class Wave:
    """One step of a rollout. It takes nodes that no wave before it has: `count`, or `share` of all, the greater.

    Both zero: all that are left. With `where` it takes only nodes that match.
    """

    name: str
    count: int = 0
    share: int = 0  # permille of all nodes of the rollout
    where: str = ""
    per_kind: bool = False  # `count` and `share` are of each product
    judged: bool = True  # the telemetry of its nodes has to speak for the release before the next wave begins
    gate: Gate = Gate()


@dataclass(frozen=True, slots=True)
class Window:
    """Times at which something may happen: from each moment of `cron`, in `zone`, for so long. Empty = at any time."""

    cron: str = ""  # five fields, as crontab(5)
    zone: str = "UTC"  # IANA name
    duration_s: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """How fast."""

    in_flight: int = 50  # nodes that are ordered and have not ended
    per_minute: int = 600  # orders
    jitter_s: int = 0  # over which the nodes of a wave are spread, by the hash of their ids


@dataclass(frozen=True, slots=True)
class Places:
    """What a city must not notice. Nodes without a place (tags `lat` and `lon`) have no neighbours."""

    neighbour_m: int = 60  # lamps nearer than that are neighbours: never two of them are down; 0 = no such rule
    district: str = "district"  # the tag that names the district of a station
    measuring: int = 0  # stations of a district that have to go on measuring; 0 = no such rule
    dark_hours: bool = True  # a lamp restarts between sunrise and sunset only (needs its place)


@dataclass(frozen=True, slots=True)
class Retries:
    """What follows when an attempt fails by chance."""

    tries: int = 3  # attempts per node, the first one counted
    backoff_s: int = 5 * MINUTE_S  # before the second, twice as long before each further one
    burst: int = 5  # attempts of a node, of whatever rollout, within `burst_s`: quarantine
    burst_s: int = 180
    quarantine_s: int = DAY_S


@dataclass(frozen=True, slots=True)
class Judging:
    """How the telemetry of the first nodes is judged (`canary/`)."""

    enabled: bool = True
    alpha: int = 10  # permille: chance to halt a release that is as good as the one before
    beta: int = 50  # permille: chance to promote one that is worse by the minimum effect
    controls: int = 0  # nodes of each product that are held back to compare with; 0 = all that are left
    patience_s: int = 6 * HOUR_S  # after the soak; then an operator has to decide


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole rollout."""

    name: str
    goal: Goal = Goal.RELEASE
    targets: tuple[Target, ...] = ()  # one per product, with RELEASE
    settings: Mapping[int, Any] = field(default_factory=dict)  # {setting id: value}, with CONFIG; None = its default
    where: str = ""  # which nodes; with `nodes` empty
    nodes: tuple[str, ...] = ()
    mode: Mode = Mode.SNAPSHOT
    waves: tuple[Wave, ...] = (Wave("canary", count=1, share=10), Wave("rest", judged=False))
    limits: Limits = Limits()
    download: Window = Window()
    switch: Window = Window()
    places: Places = Places()
    retries: Retries = Retries()
    judging: Judging = Judging()
    on_failure: OnFailure = OnFailure.ABORT
    overlap: Overlap = Overlap.REFUSE
    expires_s: int = 7 * DAY_S  # after its start: what was never reached by then is dark
    force: bool = False  # also what failed on a node before
    now: bool = False  # restart at once, also a lamp that is wanted: for emergencies
    parent: int = 0  # the rollout that this one undoes

    def target_of(self, kind: Kind) -> Target | None:
        """What nodes of a product shall run; None = the plan names no release for them."""
        return next((one for one in self.targets if one.product is kind), None)

    def manifest_of(self, member: "Member") -> bytes:
        """What a node shall run in the end; empty = no program is asked of it."""
        if self.goal is Goal.PREVIOUS:
            return member.before
        target = self.target_of(member.kind)
        return target.manifest if target else b""


@dataclass(frozen=True, slots=True)
class Member:
    """A node as the plan saw it. What of it can change (online, what runs) comes with reports."""

    node: str
    kind: Kind
    wave: int  # index
    board: str = ""
    lat_udeg: int | None = None  # millionths of a degree
    lon_udeg: int | None = None
    district: str = ""
    neighbours: tuple[str, ...] = ()  # lamps that are near, members of this rollout or not
    before: bytes = b""  # manifest that ran when it was planned; with PREVIOUS: that shall run


@dataclass(frozen=True, slots=True)
class Skipped:
    """A node that was selected and does not take part."""

    node: str
    reason: str  # a sentence: "it runs that already", "the release is for another board"
    code: int = 0  # U_* when the node itself would say so
