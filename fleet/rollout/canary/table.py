"""The integers of every metric, for every node and window: all that the verdict is made of.

A table is plain JSON: {"air": {"begin_s", "windows", "nodes": {id: {"first", "until"}}, "controls": [id, ...],
"metrics": {name: {id: [integer or null, ...]}}}}. `first` is the first window of a node's new program that counts.
"""

from collections.abc import Sequence
from typing import Any

from fleet.model import Kind
from fleet.rollout.canary import windows
from fleet.rollout.canary.metrics import METRICS
from fleet.rollout.canary.samples import Samples, Subject
from fleet.rollout.canary.windows import WINDOW_S, Glance

Table = dict[str, Any]


def build(samples: Samples) -> dict[str, Table]:
    """One table for each product of which a node has the new program."""
    made = {}
    for kind in Kind:
        treated = [one for one in samples.subjects if one.kind is kind and one.switch_s is not None]
        if treated:
            made[kind.value] = _table(kind, treated, samples.subjects)
    return made


def _table(kind: Kind, treated: Sequence[Subject], subjects: Sequence[Subject]) -> Table:
    controls = [one for one in subjects if one.kind is kind and one.switch_s is None]
    reference = windows.reference_s(controls, [one for one in subjects if one.kind is not kind or one in treated])
    switches = [one.switch_s or 0 for one in treated]
    until = max(windows.closed_s(one.track, reference) for one in treated)
    until = min(until, max(switches) + (windows.PRESENT + 2 * windows.GUARD) * WINDOW_S)
    grid = windows.grid(min(switches) - (windows.PAST + windows.GUARD + 1) * WINDOW_S, until)
    nodes = {one.node: _place(one, grid, reference) for one in sorted(treated, key=_name)}
    values: dict[str, dict[str, list[int | None]]] = {metric.name: {} for metric in METRICS[kind]}
    for one in sorted([*treated, *controls], key=_name):
        glances = _glances(one, grid, reference)
        for metric in METRICS[kind]:
            values[metric.name][one.node] = [
                metric.measure(glance) if glance and at % metric.every == 0 else None
                for at, glance in enumerate(glances)
            ]
    return {
        "begin_s": grid.start,
        "windows": len(grid),
        "nodes": nodes,
        "controls": sorted(one.node for one in controls),
        "metrics": values,
    }


def _place(one: Subject, grid: range, reference: int) -> dict[str, int]:
    """Where in the grid the past of a node ends and its new program begins, and up to where it can be judged."""
    switch_s = one.switch_s or 0
    past = (switch_s - grid.start) // WINDOW_S - windows.GUARD
    first = -(-(switch_s - grid.start) // WINDOW_S) + windows.GUARD
    until = min((windows.closed_s(one.track, reference) - grid.start) // WINDOW_S, len(grid), first + windows.PRESENT)
    return {"switch_s": switch_s, "past": max(0, past), "first": first, "until": max(0, until)}


def _glances(one: Subject, grid: range, reference: int) -> list[Glance | None]:
    """The windows of a node that are over, and in which it could have told something."""
    end_s = windows.closed_s(one.track, reference)
    begin_s = one.track.intervals[0].t_s if one.track.intervals else end_s  # what was before is not known
    return [Glance(one.track, at) if begin_s <= at and at + WINDOW_S <= end_s else None for at in grid]


def _name(one: Subject) -> str:
    return one.node
