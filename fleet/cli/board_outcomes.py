"""What several boards came to, as rows and as an exit code."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fleet.errors import FleetError, PartlyFailedError

if TYPE_CHECKING:
    from fleet.boards.many import Outcome

AGAIN = "run the same again when that is mended: boards that are done are left alone"


def told(error: FleetError) -> dict[str, str]:
    """An error as a value of a row."""
    return {"code": error.code, "message": error.message, "cause": error.cause, "hint": error.hint}


def refuse_alone(outcomes: "Sequence[Outcome[Any]]") -> None:
    """Raise the error of the only board: its exit code says more than a table of one failure."""
    if len(outcomes) == 1 and outcomes[0].error is not None:
        raise outcomes[0].error


def refuse_some(outcomes: "Sequence[Outcome[Any]]", hint: str = "") -> None:
    """Raise PartlyFailedError with the errors of those that failed, when some did."""
    failed: dict[str, str | FleetError] = {one.port.url: one.error for one in outcomes if one.error is not None}
    if failed:
        raise PartlyFailedError(f"{len(failed)} of {len(outcomes)} boards failed", failed, hint)


def megabytes(size: int) -> str:
    """The size of a flash chip as it is printed on it."""
    return f"{size >> 20} MB"
