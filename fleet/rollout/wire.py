"""Plans, members and decisions as bytes, for the log, the database and the hash that approvals are bound to.

Canonical CBOR (RFC 8949, 4.2.1): equal values have equal bytes, on any machine. A dataclass is a map from the names of
its fields to their values. What is empty, zero or false is left out whatever the default of the field is, and comes
back as that: a default that changes some day changes nothing that was written.
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

import cbor2

T = TypeVar("T")
Convert = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class _Codec:
    """How values of one type are written and read; `empty` makes the one that is left out, None = none is."""

    write: Convert
    read: Convert
    empty: Callable[[], Any] | None


def encode(value: Any) -> bytes:
    """The bytes of a dataclass of `plan.py` or `model.py`."""
    return cbor2.dumps(_of(type(value)).write(value), canonical=True)


def decode(kind: type[T], data: bytes) -> T:
    """The value of that type in `data`; ValueError when there is none."""
    try:
        return cast(T, _of(kind).read(cbor2.loads(data)))
    except (cbor2.CBORDecodeError, ValueError, AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"no {kind.__name__}: {error}") from error


def _of(kind: type) -> _Codec:
    return _codec(cast(Hashable, kind))


@cache
def _codec(kind: Hashable) -> _Codec:
    """How values of a type are written; the type is one that `plan.py` and `model.py` use."""
    if is_dataclass(kind):
        return _record(cast(type, kind))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _Codec(lambda value: value.value, kind, None)
    origin, parts = get_origin(kind), get_args(kind)
    if origin is tuple:
        item = _codec(parts[0])
        return _Codec(lambda value: [item.write(one) for one in value], _several(tuple, item), tuple)
    if origin is frozenset:
        return _Codec(sorted, frozenset, frozenset)
    if origin is Mapping:
        return _Codec(dict, dict, dict)
    if origin is UnionType:
        return _optional(parts) if NoneType in parts else _one_of(parts)
    return _Codec(_same, _same, kind if kind in (int, str, bool, bytes) else None)


def _same(value: Any) -> Any:
    return value


def _several(kind: Callable[[Any], Any], item: _Codec) -> Convert:
    return lambda found: kind(item.read(one) for one in found)


def _optional(parts: tuple[Any, ...]) -> _Codec:
    inner = _codec(next(part for part in parts if part is not NoneType))
    return _Codec(inner.write, inner.read, NoneType)


def _one_of(parts: tuple[Any, ...]) -> _Codec:
    """One of several dataclasses: its name, then its fields."""
    named = {part.__name__: _codec(part) for part in parts}

    def write(value: Any) -> Any:
        name = type(value).__name__
        return [name, named[name].write(value)]

    return _Codec(write, lambda found: named[found[0]].read(found[1]), None)


def _record(kind: type) -> _Codec:
    hints = get_type_hints(kind)
    parts = [(one.name, _codec(hints[one.name])) for one in fields(kind)]
    rows = [(name, codec, codec.empty() if codec.empty else _NEVER) for name, codec in parts]

    def write(value: Any) -> Any:
        found = {}
        for name, codec, empty in rows:
            part = getattr(value, name)
            if part != empty:
                found[name] = codec.write(part)
        return found

    def read(found: Any) -> Any:
        known = {name: codec.read(found[name]) if name in found else _empty(kind, name, codec) for name, codec in parts}
        if len(found.keys() - known.keys()):
            raise KeyError(f"unknown fields of {kind.__name__}: {sorted(found.keys() - known.keys())}")
        return kind(**known)

    return _Codec(write, read, None)


_NEVER = object()  # equals no value


def _empty(kind: type, name: str, codec: _Codec) -> Any:
    if codec.empty is None:
        raise KeyError(f"{kind.__name__}.{name} is missing")
    return codec.empty()
