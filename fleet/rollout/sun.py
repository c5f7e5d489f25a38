"""When it is day at a place, as spans of seconds since 1970 UTC. The lamps of a place are off then."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from functools import lru_cache
from math import ceil

from astral import Observer
from astral.sun import elevation, sunrise, sunset

from fleet.rollout.windows import Span

_HORIZON_DEG = -0.833  # of the centre of the sun when its upper edge shows, with refraction


def daylight(lat_udeg: int, lon_udeg: int, from_s: int, until_s: int) -> list[Span]:
    """From sunrise to sunset, in from_s .. until_s; whole days beyond a polar circle. Full minutes, never too long.

    `lat_udeg`, `lon_udeg`: millionths of a degree, north and east positive. A place counts as the middle of its square
    kilometre, which is seconds from the truth: the lamps of a city then share their suns.
    """
    lat_udeg, lon_udeg = (round(value, -4) for value in (lat_udeg, lon_udeg))
    zone = _zone(lon_udeg)
    day = datetime.fromtimestamp(from_s, zone).date() - timedelta(days=1)
    last = datetime.fromtimestamp(until_s, zone).date()
    found: list[Span] = []
    while day <= last:
        begin, end = _day(lat_udeg, lon_udeg, day.toordinal())
        begin, end = max(begin, from_s), min(end, until_s)
        if found and begin <= found[-1][1] and begin < end:
            begin = found.pop()[0]
        if begin < end:
            found.append((begin, end))
        day += timedelta(days=1)
    return found


def intersect(first: Sequence[Span], second: Sequence[Span]) -> list[Span]:
    """When both hold. Each in order and apart from each other, and so is the result."""
    found: list[Span] = []
    one = two = 0
    while one < len(first) and two < len(second):
        begin = max(first[one][0], second[two][0])
        end = min(first[one][1], second[two][1])
        if begin < end:
            found.append((begin, end))
        if first[one][1] <= second[two][1]:
            one += 1
        else:
            two += 1
    return found


def _zone(lon_udeg: int) -> timezone:
    """Mean solar time: sunrise and sunset of a day are on the same date of it."""
    return timezone(timedelta(minutes=lon_udeg * 4 // 1_000_000))


@lru_cache(maxsize=1 << 16)
def _day(lat_udeg: int, lon_udeg: int, ordinal: int) -> Span:
    """The daylight of one day; an empty span when the sun stays below the horizon."""
    place, zone, day = Observer(lat_udeg / 1e6, lon_udeg / 1e6), _zone(lon_udeg), date.fromordinal(ordinal)
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
    try:
        begin, end = sunrise(place, day, zone), sunset(place, day, zone)
    except ValueError:  # the sun does not cross the horizon
        begin, end = midnight, midnight + timedelta(days=1)
        if elevation(place, (midnight + timedelta(hours=12)).astimezone(UTC), with_refraction=False) < _HORIZON_DEG:
            end = begin
    return ceil(begin.timestamp() / 60) * 60, int(end.timestamp()) // 60 * 60
