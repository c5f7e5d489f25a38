"""Collects what the meter says and makes the samples of a lamp's record of it."""

from node.core.stats import Stats
from node.light.faults import level_of
from protocol import channels as c
from protocol.records import FLAG_MISSING, Sample

TYPE_CHECKING = False
if TYPE_CHECKING:
    from node.drivers.cse7766 import Cse7766
    from node.light.control import Control
    from node.light.counters import Counts

MEANS = (c.V, c.I, c.P_ACTIVE, c.Q, c.S, c.PF)


class Report:
    """The running interval of a lamp."""

    def __init__(self) -> None:
        self._means = {channel: Stats() for channel in MEANS}
        self._told: "tuple[int, int, int] | None" = None

    def add(self, meter: "Cse7766") -> None:
        """What the meter says now."""
        values = (
            meter.voltage_mv,
            meter.current_dma,
            meter.power_dw,
            meter.reactive_dvar,
            meter.apparent_dva,
            meter.factor_pm,
        )
        for index, channel in enumerate(MEANS):
            value = values[index]
            if value is not None:
                self._means[channel].add(value)

    def is_news(self, control: "Control") -> bool:
        """True when the lamp has arrived at another level, or at the same for another reason, since the last record."""
        return not control.is_fading and self._told != _state(control)

    def close(
        self, control: "Control", power_dw: "int | None", rated_dw: int, counts: "Counts", full: bool
    ) -> "dict[int, Sample]":
        """The samples of the interval that ends, and a new interval. Levels are those of its end."""
        self._told = _state(control)
        samples = {channel: stats.sample(full=full) for channel, stats in self._means.items()}
        for stats in self._means.values():
            stats.clear()
        samples[c.LEVEL_TARGET] = Sample(control.target)
        samples[c.LEVEL_ACTUAL] = Sample(control.level)
        samples[c.LEVEL_REASON] = Sample(control.reason)
        if power_dw is None:
            samples[c.LEVEL_FEEDBACK] = Sample(None, FLAG_MISSING)
        else:
            samples[c.LEVEL_FEEDBACK] = Sample(level_of(power_dw, rated_dw))
        samples[c.E_ACTIVE] = Sample(counts.energy_wh)
        samples[c.LAMP_S] = Sample(counts.lamp_s)
        samples[c.STARTS] = Sample(counts.starts)
        samples[c.SUPPLY_LOSS] = Sample(counts.supply_loss)
        return samples


def _state(control: "Control") -> "tuple[int, int, int]":
    return control.target, control.level, control.reason
