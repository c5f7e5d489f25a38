"""`fleet board ...`: from a blank board to a node that reports."""

import click

from fleet.cli import board_doctor, board_erase, board_flash, board_list, board_monitor, board_provision
from fleet.cli.base import Group


@click.group("board", cls=Group)
def command() -> None:
    """Flash, provision, watch and examine boards at serial ports."""


command.add_command(board_list.command)
command.add_command(board_flash.command)
command.add_command(board_provision.command)
command.add_command(board_monitor.command)
command.add_command(board_doctor.command)
command.add_command(board_erase.command)
