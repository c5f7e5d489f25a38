"""Whether values lie where those of other nodes do: a wrong scale, offset or channel. Weather hits controls alike."""

from collections.abc import Callable
from statistics import median_low

from fleet.rollout.canary.metrics.base import Metric, Worse, octaves
from fleet.rollout.canary.windows import Glance
from protocol import channels as c

_OFFSET = 10  # 1 ug/m3: below that, a factor between two masses is noise


def level(channel: int) -> Callable[[Glance], int | None]:
    """The median of a channel in a window."""

    def measure(glance: Glance) -> int | None:
        known = [one.values[channel][0] for one in glance.intervals if channel in one.values]
        values = [mean for mean in known if mean is not None]
        return median_low(values) if values else None

    return measure


def mass(glance: Glance) -> int | None:
    """The median of PM2.5 in thousandths of an octave."""
    found = level(c.PM25)(glance)
    return None if found is None else octaves(max(found, 0) + _OFFSET)


def _row(name: str, label: str, unit: str, effect: int, measure: Callable[[Glance], int | None]) -> Metric:
    return Metric(name, label, unit, effect, measure, Worse.AWAY, alone=False)


LEVELS = (
    _row("pm25", "PM2.5 away from others", "octaves/1000", 1600, mass),
    _row("t_amb", "temperature away from others", "Cel/100", 800, level(c.T_AMB)),
    _row("rh_amb", "humidity away from others", "%/100", 3000, level(c.RH_AMB)),
    _row("p", "pressure away from others", "Pa", 1500, level(c.P)),
    _row("co2", "CO2 away from others", "ppm", 400, level(c.CO2)),
)
