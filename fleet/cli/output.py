"""The one output layer: plain rows in; a table, JSON, YAML, names or CSV out.

A View says which keys a result has, in which order, and how a person sees them. Machines get exactly those keys:
what a View lists is a stable interface, and `version` rises when a key changes its meaning or goes away.
Results go to stdout. Everything else (notes, progress) goes to stderr, and only with the format `table`.
"""

import csv
import json
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, TextIO

import click

from fleet.cli import human
from fleet.cli.base import is_plain
from fleet.cli.visible import escaped, visible

FORMATS = ("table", "json", "yaml", "name", "csv")
ENDLESS = 10_000  # columns off a terminal: what a pipe reads must not be cut
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """One key of a result. Without a title it is not in the table. `show` makes its text, `colour` names its colour.

    On a narrow terminal the columns that `wrap` give way with more lines; the others are cut only when all else fails.
    """

    key: str
    title: str = ""
    show: Callable[[Any], str] | None = None
    right: bool = False
    colour: Callable[[Any], str] | None = None
    wrap: bool = False


@dataclass(frozen=True)
class View:
    """What a command answers: `name` is the key of the rows in JSON and YAML, `id` the key of `-o name`."""

    name: str
    columns: tuple[Column, ...]
    id: str
    version: int = 1


class Output:
    """Where a command puts its result, in the format that was asked for."""

    def __init__(self, form: str = "table", stdout: TextIO | None = None, now_s: int | None = None) -> None:
        self.form = form
        self.stdout = stdout or sys.stdout
        self.now_s = int(time.time()) if now_s is None else now_s
        self.plain = is_plain(self.stdout)
        self.width = shutil.get_terminal_size().columns if self.stdout.isatty() else ENDLESS
        self._columns_shown = False

    def rows(self, view: View, rows: Iterable[Row], empty: str = "") -> None:
        """All rows at once; `empty` is what a person reads when there are none."""
        found = [_of(view, row) for row in rows]
        if self.form in ("json", "yaml"):
            self._document({"schema_version": view.version, view.name: [_machine(row) for row in found]})
        elif self.form == "name":
            self.lines(visible(str(row[view.id])) for row in found)
        elif self.form == "csv":
            self._csv(view, found, heading=True)
        elif found:
            self._table(view, found)
        else:
            self.note(empty)

    def record(self, view: View, row: Row, sections: Sequence[tuple[str, View, Iterable[Row]]] = ()) -> None:
        """One thing in full, with tables of what belongs to it: (title, view, rows)."""
        one = _of(view, row)
        parts = [(title, inner, [_of(inner, item) for item in rows]) for title, inner, rows in sections]
        if self.form in ("json", "yaml"):
            lists = {inner.name: [_machine(item) for item in items] for _, inner, items in parts}
            self._document({"schema_version": view.version, view.name: {**_machine(one), **lists}})
        elif self.form == "name":
            self.lines([visible(str(one[view.id]))])
        elif self.form == "csv":
            self._csv(view, [one], heading=True)
        else:
            self._card(view, one)
            for title, inner, items in parts:
                if items:
                    self.lines(["", self.style(title, bold=True)])
                    self._table(inner, items)

    def item(self, view: View, row: Row) -> None:
        """One more row of a stream that may never end: one line each, with `json` an object per line."""
        one = _of(view, row)
        if self.form == "json":
            line = json.dumps({"schema_version": view.version, **_machine(one)}, ensure_ascii=False)
            self.lines([escaped(line)])
        elif self.form == "yaml":
            self.stdout.write("---\n")
            self._document({"schema_version": view.version, **_machine(one)})
        elif self.form == "name":
            self.lines([visible(str(one[view.id]))])
        elif self.form == "csv":
            self._csv(view, [one], heading=not self._columns_shown)
        else:
            self._line([self._text(column, one) for column in view.columns if column.title])
        self._columns_shown = True
        self.stdout.flush()

    def _line(self, cells: Sequence[str]) -> None:
        """One line; on a terminal that is too narrow the last cell goes on below itself."""
        head = "".join(f"{cell}  " for cell in cells[:-1])
        indent = len(click.unstyle(head))
        first, *more = textwrap.wrap(cells[-1], max(20, self.width - indent)) or [""]
        self.lines([head + first, *(" " * indent + text for text in more)])

    def note(self, text: str) -> None:
        """A remark for a person: what happened, what to do next."""
        if self.form == "table" and text:
            click.echo(visible(text), err=True)

    def lines(self, lines: Iterable[str]) -> None:
        """Lines of text, as they are."""
        for line in lines:
            self.stdout.write(f"{line}\n")

    def style(self, text: str, colour: str = "", bold: bool = False) -> str:
        """`text` in colour where colour belongs."""
        return text if self.plain or not (colour or bold) else click.style(text, fg=colour or None, bold=bold or None)

    def age(self, then: datetime | None) -> str:
        """How long ago; `-` for never."""
        return "-" if then is None else human.span(max(0, self.now_s - int(then.timestamp())))

    def _text(self, column: Column, row: Row) -> str:
        value = row[column.key]
        text = column.show(value) if column.show and value is not None else self._plain_text(value)
        return self.style(visible(text), column.colour(value) if column.colour else "")

    def _plain_text(self, value: Any) -> str:
        if isinstance(value, datetime):
            return self.age(value)
        if value is None or value == "":
            return "-"
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, Mapping):
            return pairs(value)
        return _cell(value)

    def _table(self, view: View, rows: Sequence[Row]) -> None:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="" if self.plain else "bold")
        columns = [column for column in view.columns if column.title]
        for column in columns:
            table.add_column(column.title, justify="right" if column.right else "left", no_wrap=not column.wrap)
        for row in rows:
            table.add_row(*(Text.from_ansi(self._text(column, row)) for column in columns))
        console = Console(file=self.stdout, width=self.width, no_color=self.plain, highlight=False, emoji=False)
        with console.capture() as captured:
            console.print(table)
        self.lines(line.rstrip() for line in captured.get().splitlines())

    def _card(self, view: View, row: Row) -> None:
        columns = [column for column in view.columns if column.title]
        wide = max(len(column.title) for column in columns)
        for column in columns:
            title = self.style(f"{column.title:<{wide}}", bold=True)
            text = self._text(column, row)
            folded = [text] if "\033" in text else textwrap.wrap(text, max(20, self.width - wide - 2))
            first, *more = folded or ["-"]
            self.lines([f"{title}  {first}", *(f"{'':<{wide}}  {line}" for line in more)])

    def _csv(self, view: View, rows: Sequence[Row], heading: bool) -> None:
        writer = csv.writer(self.stdout, lineterminator="\n")
        if heading:
            writer.writerow([column.key for column in view.columns])
        writer.writerows([[visible(_cell(row[column.key])) for column in view.columns] for row in rows])

    def _document(self, tree: Mapping[str, Any]) -> None:
        if self.form == "json":
            self.stdout.write(escaped(json.dumps(tree, indent=2, ensure_ascii=False)) + "\n")
        else:
            import yaml  # here, since nothing else needs it and it takes 15 ms

            yaml.safe_dump(tree, self.stdout, sort_keys=False, allow_unicode=True)


def pairs(values: Mapping[str, Any]) -> str:
    """`level=100, seconds=60`; `-` for nothing."""
    return ", ".join(f"{key}={_cell(item)}" for key, item in values.items()) or "-"


def moment(seconds: int | None) -> datetime | None:
    """The time of a count of seconds since 1970 UTC; None and 0 mean unknown."""
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


def iso(then: datetime) -> str:
    """RFC 3339 in UTC to the second: `2026-11-22T06:46:50Z`."""
    return then.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _of(view: View, row: Row) -> Row:
    """The keys of the view, all of them and no other."""
    return {column.key: row[column.key] for column in view.columns}


_PLAIN = frozenset({str, int, bool})


def _machine(value: Any) -> Any:
    """A value as JSON and YAML hold it."""
    if value is None or type(value) in _PLAIN:  # nearly every value of a long list
        return value
    if isinstance(value, Mapping):
        return {str(key): _machine(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_machine(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, Decimal):  # at most 15 digits (SPEC 5: 48 bits), which the nearest double prints again
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, bytes):
        return value.hex()
    return value if isinstance(value, int) else str(value)


def _cell(value: Any) -> str:
    """A value as one cell of CSV."""
    if type(value) is str:
        return value
    plain = _machine(value)
    if plain is None:
        return ""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(plain, bool):
        return "true" if plain else "false"
    return plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)
