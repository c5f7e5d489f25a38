"""docs/reference/cli.md from the command tree: `python -m tools.cli_docs` writes it, `--check` fails when it is old."""

import importlib
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path

import click

import fleet.cli
from fleet import errors
from fleet.cli import base
from fleet.cli.output import View

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "cli.md"
HEAD = """\
# The command line

<!-- Written by `python -m tools.cli_docs` from the command tree; do not edit. -->

Results go to stdout, everything else (notes, progress, errors) to stderr. Nothing ever waits for an answer unless a
person sits at a terminal; `--yes` gives the answer beforehand. There is no colour and nothing that moves when the
output is no terminal, or when `NO_COLOR` or `CI` is set.

`-o json` (or `--json`) prints one JSON document with `schema_version` and nothing else; with it an error is one JSON
object on stderr: `{"error": {"code", "message", "hint"}}`. Commands that go on until they are stopped print one object
per line. `-o csv` and `-o yaml` have the same keys, `-o name` prints names alone, one per line, for other commands.
Times are RFC 3339 in UTC.

## Choosing nodes

Name them, or give `--where` an expression over tags and what nodes report:

| form | selects |
|---|---|
| `kind=air`, `site!=mitte` | equal, different; a node without the attribute is different |
| `version<1.4`, `boot>=7` | `<` `<=` `>` `>=`; versions compare as versions, numbers as numbers |
| `id~"air-*"` | a shell pattern: `*`, `?`, `[0-9]` |
| `site in mitte,wedding`, `site not in (mitte, wedding)` | one of several, none of several |
| `online`, `not street` | the attribute is there and neither false, zero nor empty |
| `a and b`, `a or b`, `not a`, `( )` | `not` binds first, then `and`, then `or` |

Every tag is an attribute; the others are ATTRIBUTES.
`seen` is the number of seconds since the node was last heard of.

## Exit codes

| code | name | meaning |
|---|---|---|
"""


def page() -> str:
    """The whole page."""
    from fleet.nodes import RESERVED

    names = ", ".join(f"`{name}`" for name in sorted(RESERVED))
    lines = [HEAD.replace("ATTRIBUTES", names) + "\n".join(_exit_codes()), "", "## Commands"]
    for path, command in commands():
        lines += ["", f"### {' '.join(path)}", "", "```text", help_text(path, command), "```"]
    lines += ["", "## Keys of the results", "", "| result | version | keys |", "|---|---|---|"]
    for view in sorted(views(), key=lambda view: (view.name, view.columns[0].key)):
        lines.append(f"| `{view.name}` | {view.version} | {', '.join(column.key for column in view.columns)} |")
    return "\n".join(lines) + "\n"


def commands() -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """(path, command) of the whole tree in the order of the help, groups before their members."""
    yield from _walk(("fleet",), fleet.cli.command)


def _walk(path: tuple[str, ...], command: click.Command) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        ctx = click.Context(command, info_name=path[-1])
        for name in command.list_commands(ctx):
            member = command.get_command(ctx, name)
            assert member is not None
            yield from _walk((*path, name), member)


def help_text(path: tuple[str, ...], command: click.Command) -> str:
    """What `--help` prints, at the width of the page and without colour."""
    ctx = base.Context(
        command, info_name=" ".join(path), terminal_width=base.WIDTH, help_option_names=["-h", "--help"], color=False
    )
    return click.unstyle(command.get_help(ctx)).strip()


def views() -> list[View]:
    """Every kind of result that a command prints."""
    modules = [importlib.import_module(f"fleet.cli.{info.name}") for info in pkgutil.iter_modules(fleet.cli.__path__)]
    return [value for module in modules for value in vars(module).values() if isinstance(value, View)]


def _exit_codes() -> Iterator[str]:
    yield "| 0 | ok | Done. |"
    kinds: list[type[errors.FleetError]] = [errors.FleetError, *errors.FleetError.__subclasses__()]
    for kind in sorted(kinds, key=lambda kind: kind.exit_code):
        if kind.__module__ == errors.__name__:
            meaning = (
                "what was asked was not done" if kind is errors.FleetError else (kind.__doc__ or "").split("\n")[0]
            )
            yield f"| {kind.exit_code} | {kind.code} | {meaning} |"
    yield "| 130 | interrupted | Ctrl-C. |"


def main(arguments: list[str]) -> int:
    """Write or check the page; the exit code."""
    text = page()
    if "--check" in arguments:
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
            print(f"{PAGE.name} is stale: run `make gen`", file=sys.stderr)
            return 1
        return 0
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
