"""Where nodes hang: from their tags `lat` and `lon` to whole numbers, and which lamps are neighbours."""

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping

from fleet.errors import UsageError

LAT, LON = "lat", "lon"
CROWD = 400  # lamps within the square of a neighbourhood: more hang in no street, and comparing them takes for ever
_METRE_UDEG = 9  # a degree of latitude has 111.2 km: a metre has 9 millionths
_DECIMAL = re.compile(r"([+-]?)(\d{1,3})(?:\.(\d{1,12}))?")
_POLE_UDEG = 90_000_000

Place = tuple[int, int]  # latitude and longitude, millionths of a degree


def place_of(tags: Mapping[str, str]) -> Place | None:
    """The place that tags say; None without one. UsageError for one that is not on earth."""
    if LAT not in tags or LON not in tags:
        return None
    lat, lon = _micro(tags[LAT]), _micro(tags[LON])
    if lat is None or lon is None or abs(lat) > _POLE_UDEG or abs(lon) > 2 * _POLE_UDEG:
        raise UsageError(
            f"lat={tags[LAT]} lon={tags[LON]} is no place", hint="write degrees, as in lat=52.5163 lon=13.3777"
        )
    return lat, lon


def neighbours(lamps: Mapping[str, Place], within_m: int) -> dict[str, tuple[str, ...]]:
    """{lamp: those nearer than `within_m`, sorted} of lamps that have any. UsageError for a crowd."""
    if within_m <= 0:
        return {}
    flat = {node: _flat(place) for node, place in lamps.items()}  # millionths of a degree of latitude, both ways
    side = within_m * _METRE_UDEG
    cells: defaultdict[Place, list[str]] = defaultdict(list)
    for node, (north, east) in flat.items():
        cells[north // side, east // side].append(node)
    found: defaultdict[str, list[str]] = defaultdict(list)
    for (row, column), here in cells.items():
        if len(here) > CROWD:
            raise UsageError(
                f"{len(here)} lamps hang within {within_m} m of {here[0]}",
                hint="correct their tags lat and lon, or plan with places.neighbour_m = 0",
            )
        around = [cells.get((row + north, column + east), ()) for north in (-1, 0, 1) for east in (-1, 0, 1)]
        _near(here, [node for nodes in around for node in nodes], flat, side * side, found)
    return {node: tuple(sorted(near)) for node, near in found.items()}


def _near(
    here: Iterable[str], there: list[str], flat: Mapping[str, Place], limit: int, found: Mapping[str, list[str]]
) -> None:
    for node in here:
        north, east = flat[node]
        for other in there:
            at = flat[other]
            if other != node and (at[0] - north) ** 2 + (at[1] - east) ** 2 < limit:
                found[node].append(other)


def _flat(place: Place) -> Place:
    """A plane on which both ways are as long; good within a neighbourhood, and the same on every computer."""
    lat, lon = place
    return lat, lon * round(1000 * math.cos(math.radians(lat // 10_000 / 100))) // 1000


def _micro(text: str) -> int | None:
    found = _DECIMAL.fullmatch(text.strip())
    if found is None:
        return None
    whole = int(found[2]) * 1_000_000 + int((found[3] or "").ljust(6, "0")[:6])
    return -whole if found[1] == "-" else whole
