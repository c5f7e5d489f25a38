"""Whether the program itself is well: memory that shrinks, restarts that nobody asked for."""

from fleet.rollout.canary.metrics.base import Metric
from fleet.rollout.canary.windows import TRAIL, Glance

_BEATS = 8
_EVERY = 3
_HOUR_S = 3600


def restarts(glance: Glance) -> int | None:
    """Starts whose cause nobody intended: crash, watchdog, loss of power."""
    if not glance.intervals and not glance.starts:
        return None
    return sum(not one.intended for one in glance.starts)


def leak(glance: Glance) -> int | None:
    """Bytes per hour by which the free heap fell lately. The most of either half counts: garbage comes and goes."""
    beats = [one for one in glance.beats(TRAIL) if one.heap_free is not None]
    beats = [one for one in beats if one.boot == beats[-1].boot]
    if len(beats) < _BEATS:
        return None
    half = len(beats) // 2
    early, late = beats[:half], beats[-half:]
    apart_s = late[0].t_s - early[0].t_s
    lost = max(one.heap_free or 0 for one in early) - max(one.heap_free or 0 for one in late)
    return lost * _HOUR_S // apart_s if apart_s > 0 else None


HEALTH = (
    Metric("restarts", "restarts that nobody asked for", "", 1, restarts, share=600, stays=100),
    Metric("leak", "heap that shrinks", "B/h", 32768, leak, every=_EVERY),
)
