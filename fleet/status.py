"""Whether the service of a fleet runs, as its own figures in the database tell."""

from collections.abc import Mapping
from typing import Any

from fleet.store import Store

LATE_S = 15  # the service writes its figures every 2 s; a long transaction may delay them
_LOOK_BACK_S = 86400


def newest_figures(store: Store, now_s: int) -> tuple[int, Mapping[str, Any]] | None:
    """(age in seconds, figures) that the service wrote last, or None when there are none of the last day."""
    found = store.journal.newest_figures((now_s - _LOOK_BACK_S) * 1000)
    return None if found is None else (max(0, now_s - found[0] // 1000), found[1])


def service_runs(store: Store, now_s: int) -> bool:
    """Whether the service was alive within the last LATE_S seconds."""
    return store.journal.newest_figures((now_s - LATE_S) * 1000) is not None
