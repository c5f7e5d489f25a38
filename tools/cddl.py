"""A validator for the part of CDDL (RFC 8610) that lumenair.cddl uses; anything else in a schema is a SchemaError.

Why not a package: zcbor 0.9 does not import with cbor2 6 and reads a dialect; pycddl 0.6 lets `int / [int, 1..4]` pass
for any array. The tests let pycddl read the same file, so that it is CDDL not only to us.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from protocol import cbor
from protocol.errors import DecodeError

_TOKEN = re.compile(r"\s*(\.\.|\.[a-z]+|=>|[=/:,?*()\[\]{}]|-?\d+|[a-z][a-z0-9-]*)")
_NAME = re.compile(r"[a-z][a-z0-9-]*")
_CONTROLS = (".size", ".ge", ".le", ".cbor")
_MANY = 1 << 32

Test = Callable[[Any], bool]


class SchemaError(Exception):
    """The text is not in the part of CDDL that is understood here."""


@dataclass(frozen=True)
class Entry:
    """One entry of an array or map: how often, under which key (None in arrays), what."""

    low: int
    high: int
    key: int | Test | None
    value: Test


def is_integer(value: Any) -> bool:
    """An integer of 64 bits, and no truth value."""
    return type(value) is int and -(1 << 64) <= value < 1 << 64


_PRELUDE: dict[str, Test] = {
    "uint": lambda value: is_integer(value) and value >= 0,
    "nint": lambda value: is_integer(value) and value < 0,
    "int": is_integer,
    "bool": lambda value: type(value) is bool,
    "null": lambda value: value is None,
    "bstr": lambda value: type(value) is bytes,
    "tstr": lambda value: type(value) is str,
}


class Schema:
    """The rules of a schema. `matches(rule, value)` says whether a decoded value has the shape of the rule."""

    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(re.sub(r";.*", "", text)))
        self._at = 0
        self._rules: dict[str, Test] = dict(_PRELUDE)
        self._used: set[str] = set()
        while self._at < len(self._tokens):
            self._rule()
        missing = self._used - set(self._rules)
        if missing:
            raise SchemaError(f"no rule for {', '.join(sorted(missing))}")

    def matches(self, rule: str, value: Any) -> bool:
        """True when `value` has the shape of `rule`."""
        return self._rules[rule](value)

    def rules(self) -> set[str]:
        """The names of the rules that the text defines."""
        return set(self._rules) - set(_PRELUDE)

    def _peek(self, ahead: int = 0) -> str:
        at = self._at + ahead
        return self._tokens[at] if at < len(self._tokens) else ""

    def _next(self) -> str:
        self._at += 1
        return self._peek(-1)

    def _expect(self, token: str) -> None:
        found = self._next()
        if found != token:
            raise SchemaError(f"{token} expected, {found} found")

    def _rule(self) -> None:
        name = self._next()
        self._expect("=")
        if name in self._rules or not _NAME.fullmatch(name):
            raise SchemaError(f"rule {name} has no good name or is there twice")
        self._rules[name] = self._type()

    def _type(self) -> Test:
        choices = [self._control()]
        while self._peek() == "/":
            self._next()
            choices.append(self._control())
        return choices[0] if len(choices) == 1 else lambda value: any(choice(value) for choice in choices)

    def _control(self) -> Test:
        base = self._primary()
        if not self._peek().startswith(".") or self._peek() == "..":
            return base
        control = self._next()
        if control == ".cbor":
            inner = self._primary()
            return lambda value: base(value) and _decodes(value, inner)
        if control not in _CONTROLS:
            raise SchemaError(f"control {control} is not understood")
        low, high = self._bounds()
        if control == ".size":
            return lambda value: base(value) and low <= _size(value) <= high
        if control == ".ge":
            return lambda value: base(value) and value >= low
        return lambda value: base(value) and value <= low

    def _bounds(self) -> tuple[int, int]:
        """A number, a range, or one of them in parentheses."""
        inside = self._peek() == "("
        if inside:
            self._next()
        low = high = int(self._next())
        if self._peek() == "..":
            self._next()
            high = int(self._next())
        if inside:
            self._expect(")")
        return low, high

    def _primary(self) -> Test:
        word = self._peek()
        if word == "[":
            entries = self._group("]")
            return lambda value: type(value) is list and _array(entries, value)
        if word == "{":
            entries = self._group("}")
            return lambda value: type(value) is dict and _map(entries, value)
        if re.fullmatch(r"-?\d+", word):
            low, high = self._bounds()
            return lambda value: is_integer(value) and low <= value <= high
        if not _NAME.fullmatch(word):
            raise SchemaError(f"a type expected, {word} found")
        self._next()
        self._used.add(word)
        return lambda value: self._rules[word](value)

    def _group(self, end: str) -> list[Entry]:
        self._next()
        entries = []
        while self._peek() != end:
            low, high = self._occurrence()
            key = self._key(end)
            entries.append(Entry(low, high, key, self._type()))
            if self._peek() == ",":
                self._next()
        self._next()
        return entries

    def _occurrence(self) -> tuple[int, int]:
        if self._peek() == "?":
            self._next()
            return 0, 1
        low = int(self._next()) if self._peek(1) == "*" else 0
        if self._peek() != "*":
            return 1, 1
        self._next()
        high = int(self._next()) if self._peek().isdigit() else _MANY
        return low, high

    def _key(self, end: str) -> int | Test | None:
        if self._peek(1) == ":":
            key = self._next()
            self._next()
            return int(key) if end == "}" else None  # a label in an array is a comment
        if end == "]":
            return None
        test = self._control()
        self._expect("=>")
        return test


def _tokens(text: str) -> Iterator[str]:
    at = 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise SchemaError(f"not understood: {text[at : at + 20]!r}")
        yield match[1]
        at = match.end()


def _size(value: bytes | str) -> int:
    return len(value.encode() if isinstance(value, str) else value)


def _decodes(data: bytes, inner: Test) -> bool:
    try:
        return inner(cbor.decode(data))
    except DecodeError:
        return False


def _array(entries: list[Entry], items: list[Any]) -> bool:
    if not entries:
        return not items
    head = entries[0]
    count = 0
    while count < min(head.high, len(items)) and head.value(items[count]):
        count += 1
    return any(_array(entries[1:], items[taken:]) for taken in range(count, head.low - 1, -1))


def _map(entries: list[Entry], found: dict[Any, Any]) -> bool:
    left = dict(found)
    for entry in entries:
        if type(entry.key) is int:  # a literal key cuts: what stands under it must fit (RFC 8610 section 3.5.4)
            if not (entry.value(left.pop(entry.key)) if entry.key in left else entry.low == 0):
                return False
        elif callable(entry.key):
            taken = [key for key, value in left.items() if entry.key(key) and entry.value(value)][: entry.high]
            if len(taken) < entry.low:
                return False
            for key in taken:
                del left[key]
    return not left
