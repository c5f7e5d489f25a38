"""Files that say what many boards are to become: CSV with a header, or TOML with a [[board]] for each.

The whole file is checked before anything is done, and every mistake is named with its line and column.
"""

import csv
import difflib
import io
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fleet.boards import spec
from fleet.boards.spec import NodeSpec
from fleet.errors import FleetError, NotFoundError, UsageError

MAX_FILE = 1 << 20  # bytes
MAX_ROWS = 10_000
_MISTAKES = 20  # are told at once
_UNIQUE = ("node", "mac", "port")
_BOARD = re.compile(r"\s*\[\[\s*board\s*\]\]")
_TABLE = re.compile(r"\s*\[\s*(\w+)")


@dataclass(frozen=True)
class _Row:
    """The texts of one board and where each stands."""

    values: Mapping[str, str]
    line: int
    where: Callable[[str], str]


def read(path: Path, defaults: NodeSpec) -> list[NodeSpec]:
    """What the boards in a file are to become, over `defaults`.

    NotFoundError, or UsageError with every mistake, its line and column. Passwords are never part of a message.
    """
    text = _text(path)
    return parse(text, path.suffix.lower() == ".toml", path.name, defaults)


def parse(text: str, is_toml: bool, name: str, defaults: NodeSpec) -> list[NodeSpec]:
    """The same for the contents of a file that is called `name`."""
    faults: list[str] = []
    found: list[NodeSpec] = []
    try:
        for row in _toml(text) if is_toml else _csv(text):
            if len(found) + len(faults) >= MAX_ROWS:
                raise UsageError(f"more than {MAX_ROWS} boards")
            _take(row, defaults, found, faults)
    except UsageError as error:
        faults.append(error.message)
    faults += _twice(found)
    if faults:
        more = [f"and {len(faults) - _MISTAKES} more"] if len(faults) > _MISTAKES else []
        cause = "\n".join([*faults[:_MISTAKES], *more])
        hint = "correct them and run it again: nothing was done"
        raise UsageError(f"{name} has {_count(len(faults), 'mistake')}", hint=hint, cause=cause)
    if not found:
        raise UsageError(f"{name} names no board", hint="a header and a line for each board, or [[board]] tables")
    return found


def _take(row: _Row, defaults: NodeSpec, found: list[NodeSpec], faults: list[str]) -> None:
    try:
        _refuse_unknown(row)
        made = spec.of(row.values, row.where).over(defaults)
        if not made.node:
            raise UsageError(f"line {row.line}: no node")
        if not (made.mac or made.port):
            raise UsageError(f"line {row.line}: neither mac nor port")
        if made.wifi_psk and not made.wifi_ssid:
            raise UsageError(f"{row.where('wifi_psk')} belongs to no network: name wifi_ssid too")
        found.append(replace(made, where=f"line {row.line}"))
    except UsageError as error:
        faults.append(error.message)


def _refuse_unknown(row: _Row) -> None:
    for name in row.values:
        if name not in spec.READERS and not name.startswith(spec.TAG):
            near = difflib.get_close_matches(name, spec.READERS, 1)
            also = f"did you mean {near[0]}?" if near else f"a tag is written {spec.TAG}{name}"
            raise UsageError(f"{row.where(name)} is not known; {also}")


def _twice(found: list[NodeSpec]) -> Iterator[str]:
    """Boards that share what only one can have."""
    for name in _UNIQUE:
        seen: dict[str, str] = {}
        for row in found:
            value = getattr(row, name)
            if value and value in seen:
                yield f"{row.where}: {name} {value} is in {seen[value]} too"
            elif value:
                seen[value] = row.where


def _csv(text: str) -> Iterator[_Row]:
    """Rows of a CSV file (RFC 4180), which may have ; in place of , as some spreadsheets write it."""
    first = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=";" if first.count(";") > first.count(",") else ",")
    try:
        header = [name.strip() for name in next(reader, [])]
        _check_header(header)
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            line = reader.line_num
            if len(cells) > len(header):
                raise UsageError(f"line {line}: {len(cells)} cells under {len(header)} headings")
            pairs = zip(header, (cell.strip() for cell in cells), strict=False)
            yield _Row({name: cell for name, cell in pairs if cell}, line, _csv_place(line, header))
    except csv.Error as error:
        raise UsageError(f"line {reader.line_num}: {error}") from None


def _check_header(header: list[str]) -> None:
    for name in header:
        if header.count(name) > 1:
            raise UsageError(f"line 1: the heading {name!r} stands there {header.count(name)} times")


def _csv_place(line: int, header: list[str]) -> Callable[[str], str]:
    return lambda name: f"line {line}, column {header.index(name) + 1}: {name}"


def _toml(text: str) -> Iterator[_Row]:
    """The [[board]] tables of a TOML file over its [defaults]."""
    try:
        tree = tomllib.loads(text, parse_float=str)
    except (ValueError, RecursionError) as error:  # a number or a nesting beyond what its reader takes, too
        raise UsageError(str(error)) from None
    for name in tree:
        if name not in ("board", "defaults"):
            raise UsageError(f"{_line_of(text, name)}{name} is not known here; there are [defaults] and [[board]]")
    defaults, boards = tree.get("defaults", {}), tree.get("board", [])
    if not isinstance(defaults, dict) or not isinstance(boards, list) or not all(isinstance(b, dict) for b in boards):
        raise UsageError("write [defaults] once, and [[board]] for every board")
    places = _places(text)
    shared = places.pop(0)
    common = _flat(defaults, _toml_place(shared, 0))
    for number, board in enumerate(boards):
        line, own = places[number] if number < len(places) else (0, {})
        where = _toml_place((line, {**shared[1], **own}), number + 1)
        yield _Row({**common, **_flat(board, where)}, line, where)


def _flat(table: Mapping[str, Any], where: Callable[[str], str]) -> dict[str, str]:
    """Every value as its text, tags as `tag.NAME`."""
    found = {}
    for name, value in table.items():
        if name in ("tags", "tag") and isinstance(value, dict):
            found.update({f"{spec.TAG}{key}": str(item) for key, item in value.items()})
        elif isinstance(value, list) and all(isinstance(item, str) for item in value):
            found[name] = " ".join(value)
        elif isinstance(value, (str, int)) and not isinstance(value, bool):
            found[name] = str(value)
        else:
            raise UsageError(f"{where(name)} must be text")
    return found


_Places = tuple[int, dict[str, tuple[int, int]]]


def _places(text: str) -> list[_Places]:
    """Where the keys stand: (line of the heading, {key: (line, column of its value)}), [defaults] first."""
    found: list[_Places] = [(1, {})]
    shared = found[0]
    into = shared[1]
    for number, line in enumerate(text.splitlines(), 1):
        if _BOARD.match(line):
            into = {}
            found.append((number, into))
        elif heading := _TABLE.match(line):
            into = shared[1] if heading[1] == "defaults" else into
        elif key := re.match(r"\s*\"?([\w.]+)\"?\s*=\s*", line):
            into.setdefault(key[1], (number, key.end() + 1))
    return found


def _toml_place(places: _Places, number: int) -> Callable[[str], str]:
    def where(name: str) -> str:
        plain = name.removeprefix(spec.TAG)
        at = next((places[1][key] for key in (name, plain, "tags") if key in places[1]), None)
        if at is not None:
            return f"line {at[0]}, column {at[1]}: {plain if name not in spec.READERS else name}"
        return f"line {places[0]}: {name}" if places[0] else f"board {number}: {name}"

    return where


def _line_of(text: str, name: str) -> str:
    rows = enumerate(text.splitlines(), 1)
    return next((f"line {number}: " for number, line in rows if re.match(rf"\s*\[*\s*{re.escape(name)}\b", line)), "")


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
        text = data.decode("utf-8-sig")
    except FileNotFoundError:
        raise NotFoundError(f"there is no file {path}") from None
    except OSError as error:
        raise FleetError(f"cannot read {path}", cause=error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8", cause=f"byte {error.start}") from None
    if len(data) > MAX_FILE:
        raise UsageError(f"{path} is larger than {MAX_FILE} bytes")
    return text


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number != 1 else ''}"
