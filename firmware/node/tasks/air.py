"""Builds the air product: sensors on the board's buses, one sampling task."""

import asyncio

from node.drivers.registry import driver
from node.tasks.sampling import Sampling

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from node.core.context import Context
    from node.drivers.sensor import SleepMs
    from node.tasks.supervise import Row

BUS = "sensors"
FITTED = (("bme280", 0x76), ("sen66", 0x6B))  # the pressure comes first: the other part is compensated with it
_BUDGET_MS = 20000  # a start of the slowest sensor with all its retries takes 3 s


class Air:
    """The product. In safe mode it does nothing: whatever crashed may be here."""

    def __init__(self, ctx: "Context", safe: bool, sleep_ms: "SleepMs") -> None:
        bus = ctx.board.i2c(BUS)
        parts = [driver("sensor", part)(bus, sleep_ms, address) for part, address in FITTED]
        self.sampling = Sampling(parts, ctx.clock, ctx.journal, ctx.settings_get, ctx.log, sleep_ms)
        self.tasks: "list[Row]" = [] if safe else [("sampling", self.sampling.run, _BUDGET_MS, True)]
        self.commands: "dict[str, Callable[[dict[str, Any]], dict[str, Any]]]" = {}
        self._safe = safe

    @property
    def sensor_errors(self) -> int:
        """Failed sensor readings since boot."""
        return self.sampling.errors

    def healthy(self) -> bool:
        """True once a record was written. A broken sensor does not count: no update can mend it."""
        return self._safe or self.sampling.records > 0

    def working(self) -> int:
        """A bit for each sensor that answers."""
        return sum([1 << index for index, fitted in enumerate(self.sampling.fitted) if fitted.watch.answers])

    def may_restart(self) -> bool:
        """True at any time: a restart costs a few seconds of one record."""
        return True

    def close(self) -> None:
        """The node restarts on purpose: there is nothing to save here."""


def build(ctx: "Context", safe: bool, sleep_ms: "SleepMs | None" = None) -> Air:
    """The product of an air node; `sleep_ms` is asyncio's unless a test brings its own."""
    return Air(ctx, safe, sleep_ms or asyncio.sleep_ms)
