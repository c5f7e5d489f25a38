"""The options that commands share, as decorators, and the question before something is lost."""

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from fleet.cli.output import FORMATS, Output
from fleet.errors import FleetError, UsageError

F = TypeVar("F", bound=Callable[..., Any])
DEFAULT = Path(".fleet")


def _directory(ctx: click.Context, _: click.Parameter, value: Path | None) -> Path:
    found: Path | None = value or ctx.find_root().params.get("fleet")
    return found or DEFAULT


def fleet_option(function: F) -> F:
    """`--fleet DIR`: the command gets `directory`, a Path."""
    return click.option(
        "--fleet",
        "directory",
        metavar="DIR",
        envvar="FLEET_DIR",
        type=click.Path(file_okay=False, readable=False, path_type=Path),  # config.load says it better
        callback=_directory,
        help="The fleet; else FLEET_DIR, else ./.fleet.",
    )(function)


def output_option(function: F) -> F:
    """`-o FORMAT` and `--json`: the command gets `out`, an Output."""

    @click.option(
        "-o",
        "--output",
        "form",
        metavar="FORMAT",
        type=click.Choice(FORMATS),
        default="table",
        help=f"{', '.join(FORMATS[:-1])} or {FORMATS[-1]}; default {FORMATS[0]}.",
    )
    @click.option("--json", "as_json", is_flag=True, help="The same as -o json.")
    @functools.wraps(function)
    def command(*args: Any, form: str, as_json: bool, **kwargs: Any) -> Any:
        return function(*args, out=Output("json" if as_json else form), **kwargs)

    return command  # type: ignore[return-value]  # the same command with its parameter `out` filled in


def where_option(function: F) -> F:
    """`--where EXPRESSION`: the command gets `where`, a text for `fleet.selection`."""
    return click.option(
        "--where", metavar="FILTER", default="", help="Only nodes that fit: 'kind=air and version<1.4'."
    )(function)


def yes_option(function: F) -> F:
    """`--yes`: the command gets `yes`."""
    return click.option("-y", "--yes", is_flag=True, help="Do it without asking.")(function)


def dry_run_option(function: F) -> F:
    """`--dry-run`: the command gets `dry_run`."""
    return click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")(function)


def confirm(question: str, yes: bool) -> None:
    """Go on when `yes`, or when the person at the terminal agrees; a script without --yes is refused, never asked."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(question, cause="this needs a yes, and there is nobody to ask", hint="add --yes")
    if not click.confirm(question, err=True):
        raise FleetError("nothing was changed", cause="the answer was no")
