"""Whether a lamp draws what its level asks for."""

from statistics import median_low

from fleet.rollout.canary.metrics.base import Metric, Worse, octaves
from fleet.rollout.canary.samples import Interval
from fleet.rollout.canary.windows import Glance
from protocol import channels as c

_DIM = 40  # of 200: below a fifth of its level a lamp's power says little about it
_FULL = 200


def power(glance: Glance) -> int | None:
    """Full power that power and level amount to, in thousandths of an octave, while the lamp burns.

    Power falls 1.1 times slower than the level (TALQ powerLightGradient), as `node/light/faults.py` has it.
    """
    pairs = [pair for one in glance.intervals if (pair := _pair(one)) and pair[0] >= _DIM]
    rated = [drawn * _FULL * 11 // (_FULL + 10 * level) for level, drawn in pairs]
    return octaves(max(median_low(rated), 0) + 1) if rated else None


def standby(glance: Glance) -> int | None:
    """Power in 0.1 W while the lamp is off."""
    drawn = [pair[1] for one in glance.intervals if (pair := _pair(one)) and pair[0] == 0]
    return median_low(drawn) if drawn else None


def _pair(one: Interval) -> tuple[int, int] | None:
    """(level, power), if both are known."""
    level, drawn = (one.values.get(channel, (None, 0))[0] for channel in (c.LEVEL_ACTUAL, c.P_ACTIVE))
    return None if level is None or drawn is None else (level, drawn)


LAMP = (
    Metric("power", "power against level", "octaves/1000", 1000, power, Worse.AWAY),
    Metric("standby", "power while it is off", "W/10", 100, standby),
)
