"""What is looked at. A new metric is one function, one row in its family's table, and the row is in METRICS."""

from collections.abc import Mapping

from fleet.model import Kind
from fleet.rollout.canary.metrics.base import Metric, Worse
from fleet.rollout.canary.metrics.health import HEALTH
from fleet.rollout.canary.metrics.lamp import LAMP
from fleet.rollout.canary.metrics.levels import LEVELS
from fleet.rollout.canary.metrics.link import LINK
from fleet.rollout.canary.metrics.particles import PARTICLES
from fleet.rollout.canary.metrics.records import RECORDS

__all__ = ["METRICS", "Metric", "Worse", "named"]

_AIR = (*RECORDS, *PARTICLES, *LEVELS, *HEALTH, *LINK)
_LIGHT = (*RECORDS, *LAMP, *HEALTH, *LINK)
METRICS: Mapping[Kind, tuple[Metric, ...]] = {Kind.AIR: _AIR, Kind.LIGHT: _LIGHT}


def named(kind: Kind, name: str) -> Metric:
    """The metric of that name; KeyError when this program has none."""
    return {metric.name: metric for metric in METRICS[kind]}[name]
