"""Collects what the sensors measured and makes the samples of a record of it."""

from node.air.quality import Judge, context_flag
from node.core.stats import Stats
from protocol import channels as c
from protocol.records import FLAG_PASS, FLAG_SUSPECT, PHASE_END, PHASE_INSTANT, PHASE_START, Sample

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

HUMID_CPCT = 7000  # inlet humidity above which particle masses are inflated by water
CONDENSING_CPCT = 9400  # T - dew point < 1 K (Magnus: 93.2 % at 5 degree, 94.2 % at 30 degree)
_FAULT_BITS = c.STATUS_FAN | c.STATUS_PM | c.STATUS_GAS | c.STATUS_CO2 | c.STATUS_RHT | c.STATUS_FAN_SPEED | c.STATUS_AB
_SHARE = 75  # % of the expected values that make a mean complete


class Quantity:
    """One channel of one sensor within the running interval."""

    def __init__(self, channel: int) -> None:
        self.channel = channel
        self.stats = Stats()
        self.judge = Judge(channel)
        self.warm = True  # every value came from a warm sensor


class Station:
    """All channels of a node. `status` holds the bits of the running interval."""

    def __init__(self, channels: "Sequence[int]") -> None:
        self._quantities = {channel: Quantity(channel) for channel in channels}
        self.status = 0
        self._told = 0

    def add(self, channel: int, value: "int | None", warm: bool) -> None:
        """A value as the sensor gave it; not `warm`: too soon after its start to be trusted."""
        if not warm:
            self.status |= c.STATUS_WARM_UP
        if value is None:
            return
        quantity = self._quantities[channel]
        quantity.stats.add(value)
        quantity.warm = quantity.warm and warm
        if channel == c.RH_IN or channel == c.RH_AMB:
            if value > HUMID_CPCT:
                self.status |= c.STATUS_HUMID
            if value > CONDENSING_CPCT:
                self.status |= c.STATUS_CONDENSING

    def close(self, seconds: int, expected: "dict[int, int]", full: bool) -> "dict[int, Sample]":
        """The samples of the interval that ends, and a new interval. `expected` is the number of values per channel."""
        samples = {}
        for channel, quantity in self._quantities.items():
            stats = quantity.stats
            flag = max(quantity.judge.flag(stats, seconds), context_flag(channel, self.status))
            if not quantity.warm or stats.n * 100 < expected[channel] * _SHARE:
                flag = max(flag, FLAG_SUSPECT)
            samples[channel] = stats.sample(flag, full)
            stats.clear()
            quantity.warm = True
        samples[c.STATUS] = Sample(self.status, FLAG_PASS)
        return samples

    def turn(self) -> "tuple[int, int, int] | None":
        """(phase, bits, bits before) when the sensors' fault bits changed against the interval before; clears them."""
        now = self.status & _FAULT_BITS
        before = self._told
        self.status = 0
        self._told = now
        if now == before:
            return None
        return (PHASE_START if not before else PHASE_INSTANT if now else PHASE_END), now, before
