"""Use case: change what a node shall be configured to, and learn whether it took it.

Settings are known by name here (`protocol.settings`); the database and the wire know their ids.
"""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fleet import poll
from fleet.commands import CODES
from fleet.errors import FleetError, NotAllowedError, PartlyFailedError, TimedOutError, UsageError
from fleet.model import Standing
from fleet.nodes import config_status
from fleet.store import Store
from protocol import settings

PROBATION_S = 600
_WHOLE = re.compile(r"-?[0-9]{1,18}")
_TRUTH = {"true": True, "on": True, "yes": True, "false": False, "off": False, "no": False}


@dataclass(frozen=True)
class Change:
    """The desired configuration of one node before and after, {setting id: value that is not the default}."""

    node: str
    before: Mapping[int, Any]
    after: Mapping[int, Any]
    rev: int = 0  # of `before`

    @property
    def names(self) -> tuple[str, ...]:
        """The settings that differ."""
        both = sorted(self.before.keys() | self.after.keys())
        return tuple(row_of(key)[1] for key in both if self.before.get(key) != self.after.get(key))


def row_of(key: int | str) -> "settings.Row":
    """The row of a setting; UsageError names what looks like it."""
    row = settings.row_of(key)
    if row is None:
        near = difflib.get_close_matches(str(key), [known[1] for known in settings.SETTINGS], 1)
        hint = f"did you mean {near[0]}?" if near else "`fleet node config show` lists every setting"
        raise UsageError(f"there is no setting {key}", hint=hint)
    return row


def value_of(row: "settings.Row", text: str) -> Any:
    """The value that `text` means for that setting; UsageError says what is allowed."""
    _, name, kind, low, high, default, unit, _, meaning = row
    value: Any = text
    if kind is bool:
        value = _TRUTH.get(text.lower(), text)
    elif kind is int and _WHOLE.fullmatch(text):
        value = int(text)
    fault = settings.fault_of(row, value)
    if fault:
        allowed = "true or false" if kind is bool else f"{low} to {high}{'' if unit == '1' else f' {unit}'}"
        raise UsageError(f"{name}={text}: {fault}", hint=f"{meaning}: {allowed}, default {default}")
    return value


def plan(store: Store, nodes: Sequence[str], values: Mapping[str, str], back: Iterable[str]) -> list[Change]:
    """What setting `values` and taking `back` others to their default means for each node. Changes nothing."""
    parsed = {name: (row_of(name), text) for name, text in values.items()}
    wanted = {row[0]: value_of(row, text) for row, text in parsed.values()}
    default = {row_of(name)[0] for name in back} | {row[0] for row, _ in parsed.values() if wanted[row[0]] == row[5]}
    changes = []
    for node in nodes:
        if (standing := store.nodes.get(node).standing) is not Standing.ACCEPTED:
            raise NotAllowedError(f"{node} is {standing}", hint="only an accepted node takes a configuration")
        desired = store.configs.get(node)
        before = dict(desired.values) if desired else {}
        after = {key: value for key, value in {**before, **wanted}.items() if key not in default}
        changes.append(Change(node, before, after, desired.rev if desired else 0))
    return changes


def apply(store: Store, changes: Iterable[Change], now_s: int, probation_s: int = PROBATION_S) -> dict[str, int]:
    """Make the changes the desired configuration; returns {node: revision} of those that did change.

    NotAllowedError when somebody else changed one since `plan`; those before it are made.
    """
    return {
        change.node: store.configs.set(change.node, change.after, now_s, probation_s, change.rev).rev
        for change in changes
        if change.names
    }


def wait(store: Store, revisions: Mapping[str, int], timeout_s: float) -> None:
    """Return when every node has applied its revision.

    FleetError when nodes refuse it, TimedOutError when they are silent, PartlyFailedError when some do either.
    """

    def probe() -> dict[str, str] | None:
        found = {node: standing(store, node, rev) for node, rev in revisions.items()}
        return found if all(text != _SILENT for text in found.values()) else None

    found = poll.until(probe, timeout_s) or {node: standing(store, node, rev) for node, rev in revisions.items()}
    failed = {node: text for node, text in found.items() if text}
    if not failed:
        return
    if len(failed) < len(found):
        raise PartlyFailedError(f"{len(failed)} of {len(found)} nodes do not have it", failed)
    node, text = next(iter(failed.items()))
    if _SILENT in failed.values():
        raise TimedOutError(f"{node} {text}", hint="it gets the configuration as soon as it is connected")
    raise FleetError(f"{node} refused it: {text}", hint=f"`fleet node config show {node}` shows what is desired")


_SILENT = "has not confirmed it yet"


def standing(store: Store, node: str, rev: int) -> str:
    """ "" when the node applied revision `rev` or a later one, otherwise why not."""
    view = store.nodes.view(node)
    state = view.state
    if state is None or state.config_desired < rev:
        return _SILENT
    if state.config_applied >= rev:
        return ""
    if config_status(view) != "refused":
        return _SILENT
    text = CODES.get(state.config_error, f"code {state.config_error}")
    return f"{state.config_path}: {text}" if state.config_path else text
