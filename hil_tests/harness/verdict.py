"""Whose fault it is. What is raised as `InfrastructureError` is reported as the bench's and fails no product."""

from fleet.errors import FleetError


class InfrastructureError(Exception):
    """The bench did not do its part: board, cable, power, port, broker. The text says what to look at."""


class QuarantineError(Exception):
    """Only boards that are set aside could have done it."""


class ProductError(AssertionError):
    """The node did something wrong outside the assertions of a test: it crashed, or was mute after a good flash."""


def bench_fault(doing: str, error: FleetError) -> InfrastructureError:
    """A fault of the host's side, with its cause and hint in one line."""
    hint = f" ({error.hint})" if error.hint else ""
    return InfrastructureError(f"{doing}: {error}{hint}")
