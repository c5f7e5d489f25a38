"""Whether particle masses behave like measurements."""

from itertools import pairwise

from fleet.rollout.canary.metrics.base import Metric
from fleet.rollout.canary.samples import Interval
from fleet.rollout.canary.windows import Glance
from protocol import channels as c

_MASSES = (c.PM1, c.PM25, c.PM4, c.PM10)
_PAIRS = 3  # fewer say nothing


def stuck(glance: Glance) -> int | None:
    """Permille of records whose PM2.5 is that of the record before."""
    rows = [*([glance.before] if glance.before else []), *glance.intervals]
    pairs = [
        (_mean(one, c.PM25), _mean(two, c.PM25))
        for one, two in pairwise(rows)
        if one.boot == two.boot and one.end_s == two.t_s
    ]
    known = [one == two for one, two in pairs if one is not None and two is not None]
    return sum(known) * 1000 // len(known) if len(known) >= _PAIRS else None


def disorder(glance: Glance) -> int | None:
    """Permille of records in which a smaller size class weighs more than a larger one, which holds it."""
    rows = [[_mean(one, channel) for channel in _MASSES] for one in glance.intervals]
    known = [[mass for mass in row if mass is not None] for row in rows if None not in row]
    wrong = sum(any(one > two + 1 for one, two in pairwise(row)) for row in known)
    return wrong * 1000 // len(known) if known else None


def _mean(one: Interval, channel: int) -> int | None:
    return one.values.get(channel, (None, 0))[0]


PARTICLES = (
    Metric("stuck", "PM2.5 that does not move", "permille", 800, stuck),
    Metric("disorder", "size classes that contradict each other", "permille", 400, disorder),
)
