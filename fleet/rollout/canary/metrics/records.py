"""Whether records come, and whether what is in them is good."""

from fleet.rollout.canary.metrics.base import Metric
from fleet.rollout.canary.windows import WINDOW_S, Glance
from protocol.records import FLAG_PASS


def missing(glance: Glance) -> int | None:
    """Permille of the time that no record tells of. A lost record counts once, however long it is."""
    span_s = glance.track.intervals[-1].span_s if glance.track.intervals else WINDOW_S
    windows = -(-span_s // WINDOW_S)
    if glance.begin_s // WINDOW_S % windows:
        return None
    return 1000 - glance.covered_s(windows) * 1000 // (windows * WINDOW_S)


def lacking(glance: Glance) -> int | None:
    """Samples per record that passed, in thousandths, negative: channels that vanish count as those that fail do."""
    if not glance.intervals:
        return None
    passed = sum(flag == FLAG_PASS for one in glance.intervals for _mean, flag in one.values.values())
    return -(passed * 1000 // len(glance.intervals))


RECORDS = (
    Metric("missing", "time without records", "permille", 400, missing, vital=True),
    Metric("lacking", "channels that do not pass", "thousandths", 1000, lacking, vital=True),
)
