"""The parts of click that every command shares: lazily loaded groups, examples in the help, its layout and colours.

A module of this package holds one command or group, named `command`, and imports only click and its neighbours here at
its top. What a command needs beyond that it imports when it runs: `fleet --help` and shell completion stay fast.
"""

import importlib
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO

import click

WIDTH = 80  # columns of help at most, and of the reference page


def is_plain(stream: TextIO) -> bool:
    """Whether `stream` gets neither colour nor anything that moves: it is no terminal, or NO_COLOR or CI is set."""
    return not stream.isatty() or bool(os.environ.get("NO_COLOR")) or bool(os.environ.get("CI"))


class HelpFormatter(click.HelpFormatter):
    """Headings in bold, names in colour; click takes both away again where they do not belong."""

    def write_heading(self, heading: str) -> None:
        """A section's title."""
        super().write_heading(click.style(heading, bold=True))

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        """Names and what they mean, in two columns."""
        super().write_dl([(click.style(name, fg="cyan"), text) for name, text in rows], col_max, col_spacing)


class Context(click.Context):
    """click's context with our layout."""

    formatter_class = HelpFormatter

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if is_plain(sys.stdout):
            self.color = False


class Command(click.Command):
    """A command with examples: full command lines, which the tests parse."""

    context_class = Context

    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The examples, one per line and never wrapped, so that they can be copied."""
        if self.examples:
            with formatter.section("Examples"):
                for example in self.examples:
                    formatter.write(f"{'':>{formatter.current_indent}}{example}\n")


class Group(click.Group):
    """A group whose commands are of our kind, in the order in which they were added."""

    context_class = Context
    command_class = Command

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the help."""
        return list(self.commands)


class LazyGroup(Group):
    """A group that imports `<package>.<name>` when a command is run, and not for the help.

    `sections` is {title: {name: first line of the command's own help}}, in the order of the help.
    """

    def __init__(self, *args: Any, package: str = "", sections: Mapping[str, Mapping[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.package = package
        self.sections = sections

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order of the help."""
        return [name for names in self.sections.values() for name in names]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now; None when there is none of that name."""
        if cmd_name not in self.list_commands(ctx):
            return None
        command: click.Command = importlib.import_module(f"{self.package}.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """click's own, but a wrong name is compared with all names and not with those loaded so far."""
        try:
            return super().resolve_command(ctx, args)
        except click.NoSuchCommand as error:
            raise click.NoSuchCommand(error.command_name, possibilities=self.list_commands(ctx), ctx=ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands, by section, aligned over all of them."""
        wide = max(map(len, self.list_commands(ctx)))
        for title, names in self.sections.items():
            with formatter.section(title):
                formatter.write_dl([(f"{name:<{wide}}", text) for name, text in names.items()])
