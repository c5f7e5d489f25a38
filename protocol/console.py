"""Reads the report line of a board among everything else that its serial console says (SPEC 12). Host side only."""

import json

from protocol.report import CLAIMING, DAMAGED, NODE, PREFIX, UNPROVISIONED, report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["FIELDS", "MAX_LINE", "PREFIX", "STATES", "parse", "report"]

MAX_LINE = 512  # bytes
_DIGITS = ("manifest", "mac")  # all of their hexadecimal digits, or none
STATES = (NODE, CLAIMING, UNPROVISIONED, DAMAGED)
_U32 = 0xFFFFFFFF

# (name, type, largest value or length)
FIELDS = (
    ("node", str, 32),  # node id, "" when it has none
    ("fw", str, 32),  # version of the program
    ("manifest", str, 64),  # SHA-256 of the manifest of the program that runs in hexadecimal, or ""
    ("slot", str, 8),  # of the program that runs
    ("boot", int, _U32),  # boot number
    ("kind", str, 8),  # "air" or "light"
    ("board", str, 32),  # name of its pin map
    ("mac", str, 12),  # of the chip in hexadecimal
    ("state", str, 16),  # node, claiming, unprovisioned or damaged
    ("cause", int, 255),  # RESET_*
    ("waiting", int, _U32),  # entries that are not acknowledged yet
)


def parse(line: str) -> "dict[str, Any] | None":
    """Every field of the report in `line`, defaults filled in, unknown names left out; None for any other line."""
    line = line.strip()
    if len(line) > MAX_LINE or not line.startswith(PREFIX):
        return None
    try:
        found = json.loads(line[len(PREFIX) :])
    except (ValueError, RuntimeError):  # no JSON, or brackets beyond what a reader of JSON can nest
        return None
    if not isinstance(found, dict):
        return None
    result: "dict[str, Any]" = {}
    for name, kind, most in FIELDS:
        value = found.get(name, kind())
        if not _fits(value, kind, most) or (name in _DIGITS and not _is_digits(value, most)):
            return None
        result[name] = value
    return result if result["state"] in STATES else None


def _fits(value: "Any", kind: "Any", most: int) -> bool:
    """True for a number in range, and for a text in bounds that cannot move a terminal's cursor."""
    if type(value) is not kind:
        return False
    if kind is int:
        return bool(0 <= value <= most)
    return len(value) <= most and all(" " <= char <= "~" for char in value)


def _is_digits(value: str, count: int) -> bool:
    return len(value) in (0, count) and all(char in "0123456789abcdef" for char in value)
