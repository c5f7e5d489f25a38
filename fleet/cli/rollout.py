"""`fleet rollout ...`: from a plan to a fleet that runs it."""

import click

from fleet.cli import (
    rollout_evidence,
    rollout_operate,
    rollout_plan,
    rollout_rehearse,
    rollout_replay,
    rollout_start,
    rollout_status,
    rollout_watch,
)
from fleet.cli.base import Group


@click.group("rollout", cls=Group)
def command() -> None:
    """Plan, start, watch, halt and undo rollouts."""


command.add_command(rollout_plan.command)
command.add_command(rollout_rehearse.rehearse)
command.add_command(rollout_start.start)
command.add_command(rollout_start.approve)
command.add_command(rollout_operate.pause)
command.add_command(rollout_operate.resume)
command.add_command(rollout_operate.halt)
command.add_command(rollout_operate.abort)
command.add_command(rollout_operate.retry)
command.add_command(rollout_operate.promote)
command.add_command(rollout_operate.undo)
command.add_command(rollout_status.status)
command.add_command(rollout_watch.watch)
command.add_command(rollout_evidence.evidence)
command.add_command(rollout_replay.replay)
command.add_command(rollout_replay.whatif)
command.add_command(rollout_status.show_all)
