"""`fleet release ...`: from sources to what nodes may install."""

import click

from fleet.cli import release_build, release_publish, release_show, release_sign
from fleet.cli.base import Group


@click.group("release", cls=Group)
def command() -> None:
    """Build, sign, verify, publish, compare and withdraw releases."""


command.add_command(release_build.command)
command.add_command(release_sign.command)
command.add_command(release_publish.verify)
command.add_command(release_publish.publish)
command.add_command(release_show.show_all)
command.add_command(release_show.show)
command.add_command(release_publish.yank)
