"""Dataclasses out of JSON that anybody may have written: a run may come from another machine or version."""

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from fleet.hil.results.model import BROKEN, OUTCOMES, QUARANTINED, READY, UNUSED

T = TypeVar("T")
_MOST = 1e15  # of a number: JSON readers agree on it, and a page can show it
_CHOICES: Mapping[str, Sequence[str]] = {"outcome": OUTCOMES, "state": (UNUSED, READY, BROKEN, QUARANTINED)}
_TIMES = ("started", "ended")
_hints = functools.cache(get_type_hints)


def known(kind: type[T], tree: Any) -> T:
    """The dataclass `kind` from what it knows of a tree; TypeError says which value is wrong.

    Values that are dataclasses themselves are the caller's: they stay away.
    """
    if not isinstance(tree, Mapping):
        raise TypeError(f"{kind.__name__} is no object")
    hints = _hints(kind)  # type: ignore[arg-type]  # every class can be hashed
    found = {}
    for row in fields(kind):  # type: ignore[arg-type]  # every kind is a dataclass
        hint = hints[row.name]
        if row.name not in tree or (get_origin(hint) is tuple and get_args(hint)[0] is not str):
            continue
        value = tree[row.name]
        if not (_fits(hint, value) and _makes_sense(row.name, value)):
            raise TypeError(f"{row.name} is {str(value)[:100]!r}")
        found[row.name] = tuple(value) if isinstance(value, list) else value
    return kind(**found)


def _fits(hint: Any, value: Any) -> bool:
    """Whether a value of JSON is of the type of a field."""
    if isinstance(hint, UnionType):
        return value is None or _fits(get_args(hint)[0], value)
    if get_origin(hint) is tuple:
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    if hint in (int, float):
        number = isinstance(value, (int, float) if hint is float else int) and not isinstance(value, bool)
        return number and abs(value) <= _MOST and math.isfinite(value)
    return isinstance(value, get_origin(hint) or hint)


def _makes_sense(name: str, value: Any) -> bool:
    """Whether a text is one of those that there are, or a time."""
    if name in _TIMES and value:
        try:
            datetime.fromisoformat(value)
        except ValueError:
            return False
    return value in _CHOICES.get(name, (value,))
