"""Quality flags of one-minute means after QARTOD (IOC 54:V3). Values are judged, never changed."""

from node.core.integers import median3
from protocol import channels as c
from protocol.records import FLAG_FAIL, FLAG_NOT_EVALUATED, FLAG_PASS, FLAG_SUSPECT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from node.core.stats import Stats

    Limits = tuple[int, int, int, int, int, int, int, int, int]

_MINUTE_S = 60
_MEMORY_S = 600  # older values say nothing about a spike or a rate

# fail below, fail above, suspect below, suspect above | spike (absolute, % of the median) | rate per minute |
# flat line (minutes at one value, minutes at zero). In the scale of the channel; 0 = this test is not made.
_PM = (0, 10000, 0, 2500, 500, 100, 1000, 60, 10)
_T = (-4000, 8500, -2500, 4500, 300, 0, 200, 120, 120)
_RH = (0, 10000, 500, 10000, 1500, 0, 1000, 120, 120)
_INDEX = (10, 5000, 10, 5000, 0, 0, 0, 0, 0)
LIMITS: "dict[int, Limits]" = {
    c.PM1: _PM,
    c.PM25: _PM,
    c.PM4: _PM,
    c.PM10: _PM,
    c.T_IN: _T,
    c.T_AMB: _T,
    c.RH_IN: _RH,
    c.RH_AMB: _RH,
    c.VOC_IDX: _INDEX,
    c.NOX_IDX: _INDEX,
    c.CO2: (350, 40000, 390, 2000, 200, 0, 300, 30, 30),
    c.P: (85000, 110000, 93000, 103000, 200, 0, 100, 180, 180),
}

# What a status bit says about the channels it touches
_PARTICLES = (c.PM1, c.PM25, c.PM4, c.PM10)
CONTEXT = (
    (c.STATUS_FAN, _PARTICLES, FLAG_FAIL),
    (c.STATUS_PM, _PARTICLES, FLAG_FAIL),
    (c.STATUS_FAN_SPEED, _PARTICLES, FLAG_SUSPECT),
    (c.STATUS_CONDENSING, _PARTICLES, FLAG_SUSPECT),  # droplets are counted as particles
    (c.STATUS_RHT, (c.T_IN, c.RH_IN), FLAG_FAIL),
    (c.STATUS_GAS, (c.VOC_IDX, c.NOX_IDX), FLAG_FAIL),
    (c.STATUS_CO2, (c.CO2,), FLAG_FAIL),
)


def context_flag(channel: int, status: int) -> int:
    """What the status bits of an interval make of a channel."""
    flag = FLAG_PASS
    for bit, touched, worse in CONTEXT:
        if status & bit and channel in touched:
            flag = max(flag, worse)
    return flag


def range_flag(limits: "Limits", mean: int) -> int:
    """Gross range and climatology."""
    if not limits[0] <= mean <= limits[1]:
        return FLAG_FAIL
    return FLAG_PASS if limits[2] <= mean <= limits[3] else FLAG_SUSPECT


class Judge:
    """Knows what one channel did lately, and flags its next mean. Flags rank by their number: the worst one stands."""

    def __init__(self, channel: int) -> None:
        self._limits = LIMITS.get(channel)
        self.forget()

    def forget(self) -> None:
        """Nothing is known: the sensor was away."""
        self._last: "int | None" = None
        self._before: "int | None" = None
        self._gap_s = 0  # from the last value to this one
        self._flat_s = 0

    def flag(self, stats: "Stats", seconds: int) -> int:
        """The flag of an interval of that length, from its statistics; missing values are not its business."""
        mean = stats.mean
        if mean is None:
            self.forget()
            return FLAG_PASS
        limits = self._limits
        if limits is None:
            return FLAG_NOT_EVALUATED
        self._gap_s = max(seconds, _MINUTE_S)
        flag = range_flag(limits, mean)
        if self._is_spike(limits, mean) or self._is_fast(limits, mean) or self._is_flat(limits, stats, mean, seconds):
            flag = max(flag, FLAG_SUSPECT)
        self._before = self._last
        self._last = mean
        return flag

    def _is_spike(self, limits: "Limits", mean: int) -> bool:
        """Away from the median of the last three by more than the limit, absolute and relative."""
        if not limits[4] or self._last is None or self._before is None or 2 * self._gap_s > _MEMORY_S:
            return False
        middle = median3(self._before, self._last, mean)
        away = abs(mean - middle)
        return away > limits[4] and away * 100 > abs(middle) * limits[5]

    def _is_fast(self, limits: "Limits", mean: int) -> bool:
        if not limits[6] or self._last is None or self._gap_s > _MEMORY_S:
            return False
        return abs(mean - self._last) * _MINUTE_S > limits[6] * self._gap_s

    def _is_flat(self, limits: "Limits", stats: "Stats", mean: int, seconds: int) -> bool:
        if stats.low == stats.high and mean == self._last:
            self._flat_s += seconds
        else:
            self._flat_s = 0
        minutes = limits[8] if mean == 0 else limits[7]
        return minutes > 0 and self._flat_s >= minutes * _MINUTE_S
