"""Kinds of values that options and arguments take."""

import re
from datetime import UTC, datetime
from typing import Any

import click

from fleet.errors import UsageError

_SPAN = re.compile(r"(\d{1,9})\s*(s|min|m|h|d|w)?")
_SHARE = re.compile(r"(\d{1,3})(?:\.(\d))?\s*%?")
_UNITS = {None: 1, "s": 1, "min": 60, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


class Span(click.ParamType[int]):
    """A length of time as whole seconds: 90, 90s, 10min, 2h, 7d, 4w."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The seconds."""
        if isinstance(value, int):
            return value
        found = _SPAN.fullmatch(value.strip())
        if found is None:
            self.fail(f"{value!r} is not a length of time; write 90s, 10min, 2h or 7d", param, ctx)
        return int(found[1]) * _UNITS[found[2]]


class Share(click.ParamType[int]):
    """A share as permille: 2%, 0.5%, or 2 for two percent."""

    name = "share"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The permille."""
        if isinstance(value, int):
            return value
        found = _SHARE.fullmatch(value.strip())
        permille = int(found[1]) * 10 + int(found[2] or 0) if found else 1001
        if permille > 1000:
            self.fail(f"{value!r} is no share; write 2%, 0.5% or 2", param, ctx)
        return permille


class Instant(click.ParamType[int]):
    """A moment as seconds since 1970 UTC: an ISO 8601 date or time (UTC unless it says otherwise), or 2h = 2 h ago."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The seconds since 1970."""
        if isinstance(value, int):
            return value
        if _SPAN.fullmatch(value.strip()):
            return int(datetime.now(UTC).timestamp()) - Span().convert(value, param, ctx)
        try:
            found = datetime.fromisoformat(value.strip())
        except ValueError:
            self.fail(
                f"{value!r} is no moment; write 2026-11-22, 2026-11-22T06:00Z, or 2h for two hours ago", param, ctx
            )
        return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())


def split_words(words: tuple[str, ...]) -> tuple[list[str], dict[str, str]]:
    """(nodes, {name: value}) of words of which those with a `=` are pairs; a name given twice is refused."""
    nodes = [word for word in words if "=" not in word]
    pairs: dict[str, str] = {}
    for word in words:
        name, sign, value = word.partition("=")
        if sign and name in pairs:
            raise UsageError(f"{name} is given twice", hint="give it once")
        if sign:
            pairs[name] = value
    return nodes, pairs


def plain_value(text: str) -> bool | int | str:
    """What an argument of a command means: true, false, a whole number, or the text itself."""
    if text in ("true", "false"):
        return text == "true"
    return int(text) if re.fullmatch(r"-?\d{1,18}", text, re.ASCII) else text
