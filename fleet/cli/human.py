"""How numbers look to a person. Scripts get the plain value instead."""

from collections.abc import Sequence
from decimal import Decimal
from typing import TypeVar

Number = TypeVar("Number", int, Decimal)
_AGES = ((86400 * 2, 86400, "d"), (3600 * 2, 3600, "h"), (60 * 2, 60, "min"), (0, 1, "s"))
_SIZES = ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB"))
_BARS = "▁▂▃▄▅▆▇█"


def span(seconds: int) -> str:
    """A length of time in its largest unit of which there are at least two: `45 s`, `90 s`, `3 min`, `47 h`, `2 d`."""
    for least, unit, name in _AGES:
        if seconds >= least:
            return f"{seconds // unit} {name}"
    return "0 s"


def size(count: int) -> str:
    """Bytes with three digits at most behind their unit: `999 B`, `1.2 kB`, `12 MB`."""
    for least, name in _SIZES:
        if count >= least:
            return f"{count / least:.1f} {name}" if count < 10 * least else f"{count // least} {name}"
    return f"{count} B"


def number(count: int) -> str:
    """A whole number in groups of three: `1 234 567`."""
    return f"{count:,}".replace(",", " ")


def sparkline(values: Sequence[Number | None]) -> str:
    """One character per value, between the least and the greatest; a gap where a value is missing."""
    known = [value for value in values if value is not None]
    if not known:
        return " " * len(values)
    low = min(known)
    reach = max(known) - low
    bars = (_BARS[int((value - low) * (len(_BARS) - 1) / reach)] if reach else _BARS[0] for value in known)
    return "".join(" " if value is None else next(bars) for value in values)
