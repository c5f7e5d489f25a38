"""The edge of the program: every error becomes a message on stderr and an exit code, here and nowhere else."""

import errno
import gc
import itertools
import json
import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import Any

import click

from fleet.cli.base import is_plain
from fleet.cli.visible import escaped, visible
from fleet.errors import FleetError, PartlyFailedError

FAILED = 1
USAGE = 2
INTERRUPTED = 130
GC_EVERY = 50_000  # objects between two looks for cycles, of which we make few: long lists take a quarter less
_HINTS = {
    errno.ENOENT: "create the directory first, or name another place",
    errno.ENOTDIR: "name another place",
    errno.EACCES: "run this as the owner of the fleet, or name another place",
    errno.EROFS: "name another place",
    errno.ENOSPC: "make room, or name another place",
}


def run(command: click.Command, args: Sequence[str], name: str) -> int:
    """Run a command line; returns its exit code."""
    gc.set_threshold(GC_EVERY)
    try:
        return _run(command, args, name)
    except BrokenPipeError:  # the reader of our output has had enough, as in `fleet node list | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def _run(command: click.Command, args: Sequence[str], name: str) -> int:
    wants_json = _wants_json(args)
    try:
        result = command.main(list(args), prog_name=name, standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.message, err=True)
        return USAGE
    except click.ClickException as error:
        hint = f"{error.ctx.command_path} --help" if isinstance(error, click.UsageError) and error.ctx else ""
        code = "usage" if error.exit_code == USAGE else "failed"
        _report(wants_json, {"code": code, "message": error.format_message(), "hint": hint})
        return error.exit_code
    except FleetError as error:
        _report(wants_json, _tree(error))
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        if wants_json:
            _report(wants_json, {"code": "interrupted", "message": "interrupted", "hint": ""})
        else:
            click.echo("Interrupted.", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        raise
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        hint = _HINTS.get(error.errno or 0, "")
        _report(wants_json, {"code": "failed", "message": f"{where}{error.strerror or error}", "hint": hint})
        return FAILED


def _tree(error: FleetError) -> dict[str, Any]:
    tree: dict[str, Any] = {"code": error.code, "message": error.message, "hint": error.hint}
    if error.cause:
        tree["cause"] = error.cause
    if isinstance(error, PartlyFailedError):
        tree["failed"] = {
            name: _tree(why) if isinstance(why, FleetError) else why for name, why in error.failed.items()
        }
    return tree


def _report(as_json: bool, tree: dict[str, Any]) -> None:
    """What failed, why, and what to try, each on lines of its own; the same as one object for a script."""
    if as_json:
        click.echo(escaped(json.dumps({"error": tree}, ensure_ascii=False)), err=True)
        return
    tree, plain = _visible(tree), is_plain(sys.stderr)
    lines = [f"Error: {tree['message']}"]
    lines += [f"  {line}" for line in tree.get("cause", "").splitlines()]
    for name, why in tree.get("failed", {}).items():
        lines += _reasons(name, why)
    if tree["hint"]:
        lines.append(f"Hint: {tree['hint']}")
    if sys.stderr.isatty():
        wide = shutil.get_terminal_size().columns
        lines = [part for line in lines for part in _wrapped(line, wide)]
    click.echo("\n".join(line if plain else _coloured(line) for line in lines), err=True, color=not plain)


def _wrapped(line: str, wide: int) -> list[str]:
    """A line as it fits a terminal, the rest of it indented; words are left whole, so that they can be copied."""
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    wide = max(40, wide)
    return textwrap.wrap(line, wide, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _coloured(line: str) -> str:
    for title, colour in (("Error:", "red"), ("Hint:", "cyan")):
        if line.lstrip().startswith(title):
            return line.replace(title, click.style(title[:-1], fg=colour, bold=True) + ":", 1)
    return line


def _visible(tree: Any) -> Any:
    """The tree with every text of it as it may go to a terminal."""
    if isinstance(tree, dict):
        return {visible(name): _visible(value) for name, value in tree.items()}
    return visible(tree)


def _reasons(name: str, why: Any) -> list[str]:
    """Why one of several failed: a text, or what, why, and what to try."""
    if isinstance(why, str):
        return [f"  {name}: {why}"]
    lines = [
        f"  {name}: {why['message'].removeprefix(f'{name}: ')}",
        *(f"    {line}" for line in why.get("cause", "").splitlines()),
    ]
    return [*lines, f"    Hint: {why['hint']}"] if why["hint"] else lines


def _wants_json(args: Sequence[str]) -> bool:
    """Whether the command line asks for JSON, even when the rest of it cannot be understood."""
    before = list(args[: args.index("--")]) if "--" in args else list(args)
    pairs = itertools.pairwise([*before, ""])
    joined = {"--json", "-ojson", "--output=json"}
    return any(one in joined or (one in ("-o", "--output") and two == "json") for one, two in pairs)
