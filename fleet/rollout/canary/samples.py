"""What is known of a node, as the judgement wants it. Times are the node's own (`ts`), seconds since 1970 UTC.

Arrival times do not count: a record tells when it was measured, however late it came and however fast its clock runs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fleet.model import Kind


@dataclass(frozen=True, slots=True)
class Interval:
    """One record."""

    t_s: int  # when it begins
    span_s: int
    boot: int
    values: Mapping[int, tuple[int | None, int]]  # {channel: (mean, flag)}
    received_s: int = 0  # by the clock of the service, which may run at another speed

    @property
    def end_s(self) -> int:
        """The first second after it."""
        return self.t_s + self.span_s


@dataclass(frozen=True, slots=True)
class Beat:
    """What is looked at in one heartbeat."""

    t_s: int
    boot: int
    connects: int = 0  # sessions since the boot
    heap_free: int | None = None  # bytes
    ack_p95_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Start:
    """One boot."""

    t_s: int
    boot: int
    intended: bool  # the end of the run before was asked for
    manifest: bytes = b""


@dataclass(frozen=True, slots=True)
class Track:
    """All of one node, each in the order of time."""

    node: str
    intervals: tuple[Interval, ...] = ()
    beats: tuple[Beat, ...] = ()
    starts: tuple[Start, ...] = ()

    @property
    def until_s(self) -> int:
        """Up to when it has told of itself; 0 = never."""
        return max((one.end_s for one in self.intervals), default=0)


@dataclass(frozen=True, slots=True)
class Subject:
    """A node and its part in the comparison."""

    track: Track
    kind: Kind
    switch_s: int | None = None  # when the new program began; None = it does not have it

    @property
    def node(self) -> str:
        """Its id."""
        return self.track.node


@dataclass(frozen=True, slots=True)
class Samples:
    """Everything that one judgement looks at."""

    subjects: tuple[Subject, ...]
    looks: int = 1  # waves of the rollout that are judged: they share alpha
    about: Mapping[str, str | int] = field(default_factory=dict)  # rollout, wave and so on, for people
