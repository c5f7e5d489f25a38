"""Tables of a TOML file as frozen dataclasses: a field is a key, and its metadata says what it means and may hold.

Errors name the place and the key, say what was expected, and guess what was meant.
"""

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, fields
from datetime import date, datetime
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from fleet.errors import ConfigError

T = TypeVar("T")


def key(text: str, form: str = "", low: int = 0, high: int = 0, path: bool = False) -> dict[str, Any]:
    """The metadata of one key: what it means, and what a value must look like.

    `form` is a regular expression for a text, or for each of several; `low` and `high` bound a number. A `path` that is
    relative counts from the directory of the file; an empty one and a URL stay as they are.
    """
    return {"text": text, "form": form, "low": low, "high": high, "path": path}


def read(where: str, kind: type[T], tree: Any, base: Path) -> T:
    """The dataclass `kind` from a parsed table of a file in `base`; ConfigError names `where` and the key."""
    if not isinstance(tree, Mapping):
        raise ConfigError(f"{where} must be a table", cause=f"it is {_shown(tree)}")
    rows = {row.name: row for row in fields(kind)}  # type: ignore[arg-type]  # every kind is a dataclass
    refuse_unknown(where, tree, rows)
    missing = [name for name, row in rows.items() if row.default is MISSING and name not in tree]
    if missing:
        raise ConfigError(f"{where} has no {missing[0]}", hint=f"{missing[0]}: {rows[missing[0]].metadata['text']}")
    hints = get_type_hints(kind)
    return kind(**{name: _value(f"{where}: {name}", hints[name], rows[name], tree[name], base) for name in tree})


def refuse_unknown(where: str, names: Iterable[str], known: Iterable[str]) -> None:
    """ConfigError for the first name that is not known, with the one that was probably meant."""
    choice = list(known)
    for name in names:
        if name not in choice:
            near = difflib.get_close_matches(name, choice, 1)
            hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(choice)}"
            raise ConfigError(f"{where}: {name} is not a key", hint=hint)


def _value(where: str, kind: Any, row: "Field[Any]", value: Any, base: Path) -> Any:
    fault = _fault(kind, value, row.metadata)
    if fault:
        raise ConfigError(f"{where} must be {fault}", cause=f"it is {_shown(value)}", hint=row.metadata["text"])
    if row.metadata["path"] and value and "://" not in value:
        return str(base / value)
    return tuple(value) if isinstance(value, list) else value


def _fault(kind: Any, value: Any, limits: Mapping[str, Any]) -> str:
    """What `value` should have been, or nothing."""
    if kind is bool:
        return "" if isinstance(value, bool) else "true or false"
    if kind is int:
        right = type(value) is int and limits["low"] <= value <= limits["high"]
        return "" if right else f"a whole number from {limits['low']} to {limits['high']}"
    if kind is date:
        right = isinstance(value, date) and not isinstance(value, datetime)
        return "" if right else "a date such as 2026-11-22, without quotes"
    if get_origin(kind) is tuple and get_args(kind) == (str, ...):
        right = isinstance(value, list) and all(_fits(limits["form"], item) for item in value)
        return "" if right else f"a list of texts{_of_form(limits['form'])}"
    if kind is str:
        return "" if _fits(limits["form"], value) else f"text{_of_form(limits['form'])}"
    return ""  # a table of its own: whoever asked for it reads it


def _fits(form: str, value: Any) -> bool:
    return isinstance(value, str) and (not form or re.fullmatch(form, value) is not None)


def _of_form(form: str) -> str:
    return f" of the form {form}" if form else ""


def _shown(value: Any) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)[:200]
