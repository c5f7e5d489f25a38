"""Waiting for a rollout from another process, by looking at the database; and what its end means for a script."""

from collections.abc import Callable

from fleet import poll
from fleet.config import Config
from fleet.errors import FleetError, PartlyFailedError, TimedOutError
from fleet.rollout.model import Phase
from fleet.rollouts import standing
from fleet.rollouts.standing import Standing
from fleet.store import Store

LOOK_S = 1.0  # between two looks: soon enough for people


def watch(
    store: Store,
    config: Config,
    rollout: int,
    timeout_s: float,
    clock: Callable[[], int],
    tell: Callable[[Standing], None],
    enough: Callable[[Standing], bool],
) -> Standing:
    """How it stands when that is `enough`, or after `timeout_s`. `tell` hears of every change, of the first look too.

    A look at nothing new costs one short query.
    """
    told = -1
    found: list[Standing] = []

    def probe() -> Standing | None:
        nonlocal told
        version = store.rollouts.heads()[rollout][0]
        if version != told:
            found[:] = [standing.standing(store, config, rollout, clock())]
            told = version
            tell(found[0])
        return found[0] if enough(found[0]) else None

    return poll.until(probe, timeout_s, LOOK_S) or found[0]


def is_settled(found: Standing) -> bool:
    """Whether it ended, or an operator has to decide and nothing is under way."""
    return found.is_over or (found.head.phase is Phase.HALTED and not any(wave.in_flight for wave in found.waves))


def require_done(store: Store, found: Standing) -> None:
    """Nothing when every node proved it, otherwise FleetError.

    PartlyFailedError when it finished without some, TimedOutError while it goes on, FleetError when it was halted or
    aborted.
    """
    number, head = found.view.id, found.head
    hint = f"`fleet rollout status {number}` tells more"
    proved, everybody = standing.outcome(found)
    share = f"{proved} of {everybody} nodes proved it"
    if head.phase in (Phase.HALTED, Phase.ABORTED):
        raise FleetError(f"rollout {number} was {head.phase}", hint=hint, cause=f"{head.reason}; {share}".lstrip("; "))
    if head.phase is not Phase.FINISHED:
        raise TimedOutError(f"rollout {number} goes on: {share}", hint=hint, cause=f"it is {head.phase}")
    if proved < everybody:
        failed = standing.failed(store, number)
        raise PartlyFailedError(f"rollout {number} has finished: {share}", failed, hint)
