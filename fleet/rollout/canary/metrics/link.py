"""Whether the node's way to the broker is as good as it was."""

from itertools import pairwise
from statistics import median_low

from fleet.rollout.canary.metrics.base import Metric, octaves
from fleet.rollout.canary.windows import Glance

_QUICK_MS = 500  # no latency below that is a bad one


def reconnects(glance: Glance) -> int | None:
    """Sessions that were begun anew, that of each boot not counted."""
    beats = glance.beats()
    if not beats:
        return None
    before = glance.beat_before()
    rows = [before, *beats] if before else [*beats]
    new = 0 if before else max(0, beats[0].connects - 1)
    for one, two in pairwise(rows):
        new += max(0, two.connects - (one.connects if one.boot == two.boot else 1))
    return new


def ack(glance: Glance) -> int | None:
    """95th percentile of the time until a message is acknowledged, in thousandths of an octave."""
    known = [one.ack_p95_ms for one in glance.beats() if one.ack_p95_ms is not None]
    return octaves(max(median_low(known), _QUICK_MS)) if known else None


LINK = (
    Metric("reconnects", "new sessions", "", 1, reconnects),
    Metric("ack", "time to acknowledgement", "octaves/1000", 2000, ack),
)
