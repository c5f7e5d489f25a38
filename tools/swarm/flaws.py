"""What is wrong with a node: drawn from a seed and its number, so that a run can be repeated node by node."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from tools.sim.world import hash32

PERMILLE = 1000

# What can be wrong. A node has none of these or one; a power cut may come on top.
NONE = ""
LOSS = "loss"  # messages of QoS 0 are lost both ways, and now and then the connection breaks
SLEEP = "sleep"  # it is away for a while, again and again
CRASH = "crash"  # its program dies once while it updates
REVERT = "revert"  # no new program gets through its trial
SILENCE = "silence"  # from some point of an update on it is never heard of again; its connection stays open
LIE = "lie"  # it claims to run what was ordered, and does not
CLOCK_UNKNOWN = "clock unknown"
CLOCK_AHEAD = "clock ahead"
CLOCK_BEHIND = "clock behind"
SLOW = "slow"  # it takes its time over each message
KINDS = (LOSS, SLEEP, CRASH, REVERT, SILENCE, LIE, CLOCK_UNKNOWN, CLOCK_AHEAD, CLOCK_BEHIND, SLOW)

# How a trial ends (REVERT), also as what a program says of itself (device.py)
DIES = "dies"  # an exception as it starts
MUTE = "mute"  # it never proves itself
HANGS = "hangs"  # the watchdog ends it
TRIALS = (DIES, MUTE, HANGS)

_LOSS = (20, 150)  # permille
_AWAKE_S = (15, 40)
_ASLEEP_S = (5, 20)
_SLOW_MS = (200, 1200)
_STEPS = 40  # of the updater in an update of a small release, about
_WRITES = 24  # of the flash, likewise
_OFF_S = 400 * 86400  # by which a clock is wrong


@dataclass(frozen=True, slots=True)
class Flaws:
    """What is wrong with one node."""

    kind: str = NONE
    loss: int = 0  # permille of the messages of QoS 0, each way
    awake_s: int = 0  # with SLEEP
    asleep_s: int = 0
    crash_at: int = 0  # step of the updater at which it dies, once; 0 = never
    silent_at: int = 0  # step of the updater from which on it is silent; 0 = never
    trial: str = ""  # DIES, MUTE, HANGS: how each of its trials ends
    clock_s: int | None = 0  # by which its clock is wrong; None = it never knows the time
    slow_ms: int = 0  # before each message that it sends or takes
    cut_at: int = 0  # write of the flash, counted from its first order, within which the power fails, once; 0 = never
    cut_late: bool = False  # the power fails right after that write, else right before it

    @property
    def name(self) -> str:
        """For tables: the kind, and whether the power fails."""
        words = [word for word in (self.kind, "power cut" if self.cut_at else "") if word]
        return " + ".join(words) or "none"


SOUND = Flaws()


def draw(seed: int, number: int, flaky: int, cuts: int) -> Flaws:
    """What is wrong with node `number`: one of KINDS with a chance of `flaky` permille, a power cut with `cuts`."""

    def pick(what: int, low: int, high: int) -> int:
        return low + hash32(seed, number, what) % (high - low + 1)

    found = Flaws()
    if pick(0, 0, PERMILLE - 1) < flaky:
        found = _flawed(KINDS[pick(1, 0, len(KINDS) - 1)], pick)
    if pick(2, 0, PERMILLE - 1) < cuts:
        found = replace(found, cut_at=pick(3, 1, _WRITES), cut_late=bool(pick(4, 0, 1)))
    return found


def _flawed(kind: str, pick: Callable[[int, int, int], int]) -> Flaws:
    values: dict[str, dict[str, Any]] = {
        LOSS: {"loss": pick(5, *_LOSS)},
        SLEEP: {"awake_s": pick(6, *_AWAKE_S), "asleep_s": pick(7, *_ASLEEP_S)},
        CRASH: {"crash_at": pick(8, 1, _STEPS)},
        REVERT: {"trial": TRIALS[pick(9, 0, len(TRIALS) - 1)]},
        SILENCE: {"silent_at": pick(10, 1, _STEPS)},
        LIE: {},
        CLOCK_UNKNOWN: {"clock_s": None},
        CLOCK_AHEAD: {"clock_s": _OFF_S},
        CLOCK_BEHIND: {"clock_s": -_OFF_S},
        SLOW: {"slow_ms": pick(11, *_SLOW_MS)},
    }
    return replace(Flaws(kind), **values[kind])
