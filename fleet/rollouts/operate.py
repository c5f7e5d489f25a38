"""Use case: an operator's word to a rollout, with the service running or not.

The decision is made and written here, in the operator's process; the service delivers it, and goes on from there.
"""

from fleet.config import Config
from fleet.rollout.model import Command, Step
from fleet.rollouts.driver import Driver
from fleet.store import Store


def operate(store: Store, config: Config, rollout: "int | str", command: Command, now_s: int) -> Step:
    """What the word leads to; a step that changes nothing has no notes, no changes and no actions.

    NotFoundError for a rollout that does not exist, ConflictError when others were faster again and again.
    """
    return Driver(store, config).order(rollout, command, now_s)
