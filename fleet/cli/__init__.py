"""`fleet`: the command line. One module per noun; a command parses, calls one function of the layers below, prints."""

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from fleet import __version__
from fleet.cli import edge
from fleet.cli.base import WIDTH, LazyGroup

SECTIONS = {
    "Start": {
        "init": "Create a fleet: configuration, keys and database.",
        "serve": "Run the broker, and store what nodes send.",
        "doctor": "Find out whether a fleet is well.",
        "backup": "Write configuration, keys and database to one file.",
        "completion": "Print the completion script of a shell.",
    },
    "Bench": {
        "board": "Flash, provision, watch and examine boards at serial ports.",
        "hil": "Test nodes on the boards of a bench, real or virtual.",
    },
    "Nodes": {"node": "List, show, order, configure, update, accept and retire nodes."},
    "Releases": {"release": "Build, sign, verify, publish, compare and withdraw releases."},
    "Rollouts": {"rollout": "Plan, start, watch, halt and undo rollouts."},
    "Data": {"data": "Look at measured values, and export them."},
    "Access": {
        "key": "Make the keys that nodes trust, and say who may sign what.",
        "audit": "Show who did or decided what, and why; verify the log.",
    },
}


@click.group(
    cls=LazyGroup,
    package=__name__,
    sections=SECTIONS,
    context_settings={"max_content_width": WIDTH, "help_option_names": ["-h", "--help"]},
)
@click.option(
    "--fleet",
    metavar="DIR",
    type=click.Path(file_okay=False, readable=False, path_type=Path),
    help="The fleet's directory.",
)
@click.version_option(__version__, message="%(prog)s %(version)s")
def command(fleet: Path | None) -> None:
    """Manage a fleet of air-quality and street-lighting nodes.

    A fleet is a directory with its configuration, keys and database: --fleet DIR, else FLEET_DIR, else ./.fleet.
    """


def main(args: Sequence[str] | None = None) -> int:
    """Run a command line (default: this process's); returns the exit code of docs/reference/cli.md."""
    return edge.run(command, sys.argv[1:] if args is None else args, "fleet")
