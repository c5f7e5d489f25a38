"""Waiting for something that another process writes into the database."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
EVERY_S = 0.2  # soon enough for a person, and no load for the database


def until(probe: Callable[[], T | None], timeout_s: float, every_s: float = EVERY_S) -> T | None:
    """The first answer of `probe` that is not None; None when there was none within `timeout_s`."""
    end = time.monotonic() + timeout_s
    while True:
        found = probe()
        if found is not None or time.monotonic() >= end:
            return found
        time.sleep(min(every_s, max(0.0, end - time.monotonic())))
