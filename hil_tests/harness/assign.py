"""Which test runs on which board. Pure, so that every process of a run comes to the same answer.

What a test needs stands in its markers; each test gets one board, and tests are spread over the boards that fit.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from fleet.hil import power
from fleet.hil.inventory import Board

BOARD_FIXTURES = frozenset({"board", "node"})


@dataclass(frozen=True)
class Needs:
    """What a test asks of a board; empty = anything. `switch`: its power can be taken away."""

    kinds: tuple[str, ...] = ()
    chips: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    fixtures: tuple[str, ...] = ()
    switch: bool = False


@dataclass(frozen=True)
class Seat:
    """The boards that a test may run on, the one it is meant for first.

    `why` there is none; `aside`: those that could are in quarantine.
    """

    boards: tuple[Board, ...] = ()
    why: str = ""
    aside: bool = False


def seats(chosen: Sequence[Board], needs: Sequence[Needs], quarantined: bool = False) -> list[Seat]:
    """A seat for each of these tests, in their order. `quarantined`: boards that are set aside do as well."""
    usable = [board for board in chosen if quarantined or board.quarantine is None]
    load: Counter[str] = Counter()
    found = []
    for need in needs:
        fit = [board for board in usable if _fits(board, need)]
        fit.sort(key=lambda board: load[board.id])  # stable: in the order of the bench where the load is the same
        if fit:
            load[fit[0].id] += 1
        found.append(Seat(tuple(fit)) if fit else _none(chosen, need))
    return found


def _fits(board: Board, need: Needs) -> bool:
    return (
        (not need.kinds or board.kind in need.kinds)
        and (not need.chips or board.chip in need.chips)
        and {*need.tags} <= {*board.tags}
        and {*need.fixtures} <= {*board.fixtures}
        and (not need.switch or power.driver(board).cuts)
    )


def _none(chosen: Sequence[Board], need: Needs) -> Seat:
    """A seat without a board, and why."""
    aside = [board.id for board in chosen if _fits(board, need)]
    return Seat((), f"in quarantine: {', '.join(aside)}", True) if aside else Seat((), _why(chosen, need))


def _why(usable: Sequence[Board], need: Needs) -> str:
    """What the bench lacks, in words."""
    missing = {*need.fixtures} - {name for board in usable for name in board.fixtures}
    if missing:
        return f"no fixture {', '.join(sorted(missing))} on this bench"
    if need.switch and not any(power.driver(board).cuts for board in usable):
        return "no board of this bench has a switch for its power"
    words = [*need.kinds, *need.chips, *need.tags, *need.fixtures]
    return f"no board that is {', '.join(words)}" if words else "no board"
