"""Selecting nodes: `kind=air and site=mitte and version<1.4` over tags and reported attributes.

    expression := conjunction ("or" conjunction)*
    conjunction := negation ("and" negation)*
    negation := "not" negation | "(" expression ")" | comparison
    comparison := NAME | NAME ("=" | "!=" | "<" | "<=" | ">" | ">=" | "~") VALUE | NAME ["not"] "in" VALUE ("," VALUE)*

A value is a bare word or quoted; the values after `in` may stand in parentheses. A bare NAME holds when the attribute
is there and is neither false, zero nor empty. `~` is a shell pattern: `id~"air-*"`. Numbers compare as numbers and
versions as versions (1.9 < 1.10, 1.4 = 1.4.0, 1.4.0-rc1 < 1.4.0); other text must be equal and is ordered naturally.
A comparison with an attribute that a node lacks is false, so `!=` and `not` hold for it.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from fractions import Fraction
from typing import Any

from fleet.errors import UsageError

Value = str | int | bool | None
Attributes = Mapping[str, Value]

EXAMPLE = "kind=air and site=mitte and version<1.4"
MAX_LENGTH = 2000  # characters: far beyond what a person types, far below what costs time
MAX_DEPTH = 50  # nested parentheses and `not`

_TOKEN = re.compile(
    r"""\s*(?:(?P<quoted>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<op><=|>=|!=|[=<>~(),])|(?P<word>[^\s"'=<>!~(),]+))"""
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?")
_VERSION = re.compile(r"v?\d+(?:\.\d+)*(?:[-+][0-9A-Za-z.+-]*)?")
_PARTS = re.compile(r"\d+|\D+")
_KEYWORDS = ("and", "or", "not", "in")
_ORDER: dict[str, Callable[[int], bool]] = {
    "=": lambda order: order == 0,
    "in": lambda order: order == 0,
    "!=": lambda order: order != 0,
    "<": lambda order: order < 0,
    "<=": lambda order: order <= 0,
    ">": lambda order: order > 0,
    ">=": lambda order: order >= 0,
}


class SelectionError(UsageError):
    """The text is not a selection. `at` is the offset of the first character that does not fit."""

    def __init__(self, text: str, at: int, message: str) -> None:
        start = max(0, at - 50)
        pointer = f"{text[start : start + 72]}\n{' ' * (at - start)}^"
        super().__init__(f"--where: {message}", cause=pointer, hint=f"an example: {EXAMPLE}")
        self.at = at


@dataclass(frozen=True)
class And:
    """`a and b and ...`; without parts it selects every node."""

    parts: tuple["Selection", ...] = ()


@dataclass(frozen=True)
class Or:
    """`a or b or ...`."""

    parts: tuple["Selection", ...]


@dataclass(frozen=True)
class Not:
    """`not a`."""

    part: "Selection"


@dataclass(frozen=True)
class Comparison:
    """One comparison of one attribute. `op` is an operator, "in", or "" for a bare name; `at` its offset."""

    name: str
    op: str
    values: tuple[str, ...] = ()
    at: int = 0


Selection = And | Or | Not | Comparison
EVERY = And()


def matches(selection: Selection, attributes: Attributes) -> bool:
    """Whether a node with these attributes is selected."""
    match selection:
        case And(parts):
            return all(matches(part, attributes) for part in parts)
        case Or(parts):
            return any(matches(part, attributes) for part in parts)
        case Not(part):
            return not matches(part, attributes)
        case Comparison(name, op, values):
            found = attributes.get(name)
            return any(_holds(op, found, value) for value in values) if op else bool(found)


def comparisons(selection: Selection) -> Iterator[Comparison]:
    """Every comparison of an expression, to report names that no node has."""
    match selection:
        case And(parts) | Or(parts):
            for part in parts:
                yield from comparisons(part)
        case Not(part):
            yield from comparisons(part)
        case Comparison():
            yield selection


def parse(text: str) -> Selection:
    """The selection that `text` describes; raises SelectionError, which points at the place."""
    if len(text) > MAX_LENGTH:
        raise SelectionError(text, MAX_LENGTH, f"longer than {MAX_LENGTH} characters")
    return _Parser(text).whole()


def compare(found: Value, wanted: str) -> int | None:
    """-1, 0 or 1 as `found` is below, equal to or above `wanted`; None when the two cannot be compared."""
    if found is None:
        return None
    if isinstance(found, bool):
        return _sign(found, wanted == "true") if wanted in ("true", "false") else None
    if isinstance(found, int):
        return _sign(found, Fraction(wanted)) if _NUMBER.fullmatch(wanted) else None
    if found == wanted:
        return 0
    if _VERSION.fullmatch(found) and _VERSION.fullmatch(wanted):
        order = _sign(_version(found), _version(wanted))
        if order or "." in found + wanted:
            return order
    return _sign((_natural(found), found), (_natural(wanted), wanted))


def _holds(op: str, found: Value, wanted: str) -> bool:
    if op == "~":
        return found is not None and fnmatchcase(_text(found), wanted)
    order = compare(found, wanted)
    return op == "!=" if order is None else _ORDER[op](order)


def _text(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _sign(left: Any, right: Any) -> int:
    return int(left > right) - int(left < right)


def _version(text: str) -> tuple[object, ...]:
    """Sort key by semver.org 11: numbers first, a pre-release below its release, build data left out."""
    core, _, pre = text.removeprefix("v").partition("+")[0].partition("-")
    numbers = [int(part) for part in core.split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers), not pre, [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in pre.split(".")]


def _natural(text: str) -> list[tuple[int, int, str]]:
    """Sort key in which air-9 stands before air-10."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in _PARTS.findall(text)]


@dataclass(frozen=True)
class _Token:
    kind: str  # "word", "quoted", "op" or "end"
    text: str
    at: int

    def is_keyword(self, *words: str) -> bool:
        return self.kind == "word" and self.text.lower() in words


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    end = len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            at += len(text[at:]) - len(text[at:].lstrip())
            fault = "this quote is not closed" if text[at] in "\"'" else f"{text[at]!r} has no meaning here"
            raise SelectionError(text, at, fault)
        kind = str(match.lastgroup)
        found = match.group(kind)
        yield _Token(kind, re.sub(r"\\(.)", r"\1", found[1:-1]) if kind == "quoted" else found, match.start(kind))
        at = match.end()
    yield _Token("end", "", end)


class _Parser:
    """Recursive descent over the tokens of one text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = list(_tokens(text))
        self.next = 0
        self.depth = 0

    @property
    def token(self) -> _Token:
        return self.tokens[self.next]

    def fail(self, expected: str) -> SelectionError:
        found = f"not {self.token.text!r}" if self.token.kind != "end" else "but the text ends"
        return SelectionError(self.text, self.token.at, f"expected {expected}, {found}")

    def take(self) -> _Token:
        token = self.token
        self.next += 1
        return token

    def accept(self, text: str) -> bool:
        if self.token.kind == "op" and self.token.text == text:
            self.next += 1
            return True
        return False

    def whole(self) -> Selection:
        found = self.expression()
        if self.token.kind != "end":
            raise self.fail('"and", "or" or the end')
        return found

    def expression(self) -> Selection:
        parts = [self.conjunction()]
        while self.token.is_keyword("or"):
            self.next += 1
            parts.append(self.conjunction())
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def conjunction(self) -> Selection:
        parts = [self.negation()]
        while self.token.is_keyword("and"):
            self.next += 1
            parts.append(self.negation())
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def negation(self) -> Selection:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise SelectionError(self.text, self.token.at, f"nested deeper than {MAX_DEPTH}")
        try:
            if self.token.is_keyword("not"):
                self.next += 1
                return Not(self.negation())
            if self.accept("("):
                found = self.expression()
                if not self.accept(")"):
                    raise self.fail('"and", "or" or ")"')
                return found
            return self.comparison()
        finally:
            self.depth -= 1

    def comparison(self) -> Selection:
        token = self.token
        if token.kind != "word" or token.is_keyword(*_KEYWORDS) or not _NAME.fullmatch(token.text):
            raise self.fail("the name of an attribute or tag")
        self.next += 1
        if self.token.is_keyword("in"):
            self.next += 1
            return Comparison(token.text, "in", self.values(), token.at)
        if self.token.is_keyword("not"):
            self.next += 1
            if not self.token.is_keyword("in"):
                raise self.fail('"in"')
            self.next += 1
            return Not(Comparison(token.text, "in", self.values(), token.at))
        if self.token.kind == "op" and (self.token.text in _ORDER or self.token.text == "~"):
            return Comparison(token.text, self.take().text, (self.value(),), token.at)
        return Comparison(token.text, "", at=token.at)

    def values(self) -> tuple[str, ...]:
        bracket = self.accept("(")
        found = [self.value()]
        while self.accept(","):
            found.append(self.value())
        if bracket and not self.accept(")"):
            raise self.fail('"," or ")"')
        return tuple(found)

    def value(self) -> str:
        if self.token.kind not in ("word", "quoted") or self.token.is_keyword("and", "or", "not"):
            raise self.fail("a value")
        return self.take().text
