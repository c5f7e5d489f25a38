"""Maintenance windows as spans of seconds since 1970 UTC: cron and time zones end here, nodes get whole numbers.

A window that begins in a gap of the local time begins when the gap ends; one in an hour that comes twice begins once.
"""

from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from zoneinfo import ZoneInfo

from cronsim import CronSim

from fleet.rollout.plan import DAY_S, Window

Span = tuple[int, int]  # begin, end: it holds at begin, and does not at end

HORIZON_S = 366 * DAY_S  # how far ahead an opening is looked for
_OPENINGS = 2048  # that are looked at: a window that opens each minute is asked for in every second, too


def spans(window: Window, from_s: int, until_s: int, most: int = 1 << 16) -> list[Span]:
    """When the window is open in from_s .. until_s, in order and apart from each other; all of it without a cron.

    The first `most` of them, of as many openings as are looked at: what opens every minute ends some day early.
    """
    if not window.cron:
        return [(from_s, until_s)] if from_s < until_s else []
    found: list[Span] = []
    for begin in islice(_openings(window, from_s - window.duration_s), _OPENINGS):
        if begin >= until_s or (len(found) == most and begin > found[-1][1]):
            break
        span = max(begin, from_s), min(begin + window.duration_s, until_s)
        if found and span[0] <= found[-1][1]:
            span = found.pop()[0], span[1]
        if span[0] < span[1]:
            found.append(span)
    return found


def next_open(window: Window, now_s: int) -> int | None:
    """`now_s` while it is open, otherwise when it opens; None when it does not within a year."""
    if not window.cron:
        return now_s
    for begin in _openings(window, now_s - window.duration_s):
        if begin + window.duration_s > now_s:
            return max(begin, now_s) if begin <= now_s + HORIZON_S else None
    return None


def _openings(window: Window, from_s: int) -> Iterator[int]:
    """When it opens, from `from_s` on."""
    zone = ZoneInfo(window.zone)
    for moment in CronSim(window.cron, datetime.fromtimestamp(from_s - 1, zone)):
        yield int(moment.timestamp())
