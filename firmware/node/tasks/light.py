"""Builds the light product: a lamp that is on before anything else happens, its meter, its commands."""

import asyncio

from node.core.commands import CommandError
from node.drivers.registry import driver
from node.light.arbiter import Arbiter
from node.light.control import FULL, Control
from node.light.counters import Counters
from node.tasks.lamp import LampTask
from node.tasks.metering import Metering
from protocol.channels import REASON_PROGRAM
from protocol.messages import E_ARGUMENT, RESET_POWER_ON

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from node.core.context import Context
    from node.drivers.sensor import SleepMs
    from node.tasks.supervise import Row

LAMP = "pwm_lamp"
METER = "cse7766"
_LAMP_BUDGET_MS = 10000
_METER_BUDGET_MS = 30000
_JUDGED_MS = 150000  # of uptime, until the rules of light/faults.py would have found a lamp that does not obey
_MAX_S = 604800  # longest override: a week


class Light:
    """The product. In safe mode it keeps the lamp, and nothing else."""

    def __init__(self, ctx: "Context", safe: bool, sleep_ms: "SleepMs") -> None:
        board, clock = ctx.board, ctx.clock
        power_cut = board.reset_cause() == RESET_POWER_ON
        now = clock.uptime_ms()
        arbiter = Arbiter(ctx.files, now // 1000)
        self.control = Control(arbiter, ctx.settings_get, board.random, power_cut, now)
        lamp = driver("lamp", LAMP)(board.pwm("lamp"), self.control.level)
        self.counters = Counters(ctx.files, power_cut, now)
        self._clock = clock
        self.lamp_task = LampTask(lamp, self.control, self.counters, clock, ctx.journal, ctx.log, sleep_ms)
        self.tasks: "list[Row]" = [("lamp", self.lamp_task.run, _LAMP_BUDGET_MS, True)]
        self.metering: "Metering | None" = None
        if not safe:
            meter = driver("meter", METER)()
            uart = board.uart("meter", meter.BAUD, meter.PARITY)
            self.metering = Metering(
                meter, uart, self.control, self.counters, clock, ctx.journal, ctx.settings_get, sleep_ms
            )
            self.tasks.append(("metering", self.metering.run, _METER_BUDGET_MS, True))
        self.commands: "dict[str, Callable[[dict[str, Any]], dict[str, Any]]]" = {
            "set_level": self._set_level,
            "clear_override": self._clear_override,
        }

    @property
    def sensor_errors(self) -> int:
        """Damaged frames of the meter since boot."""
        return self.metering.errors if self.metering else 0

    def healthy(self) -> bool:
        """True once the lamp is under control, and its meter had the time to say whether it obeys."""
        return self.lamp_task.steps > 0 and (self.metering is None or self._clock.uptime_ms() >= _JUDGED_MS)

    def working(self) -> int:
        """A bit for each rule of the lamp that finds no fault; none in safe mode."""
        return self.metering.sound if self.metering else 0

    def may_restart(self) -> bool:
        """True while the lamp is off as its programme says: a restart switches it on for a moment, and may last."""
        control = self.control
        return self.lamp_task.minute() is not None and control.reason == REASON_PROGRAM and not control.target

    def close(self) -> None:
        """The node restarts on purpose: keep the counters."""
        self.counters.save(self._clock.uptime_ms())

    def _set_level(self, args: "dict[str, Any]") -> "dict[str, Any]":
        """{level: 0..200 in 0.5 %, seconds: 1..604800}: hold that level for that long."""
        level = _argument(args, "level", 0, FULL)
        seconds = _argument(args, "seconds", 1, _MAX_S)
        self.control.arbiter.override(level, seconds, self._clock.uptime_s())
        return {"level": level, "seconds": seconds}

    def _clear_override(self, args: "dict[str, Any]") -> "dict[str, Any]":
        """End every override; tells how many there were."""
        return {"cleared": self.control.arbiter.clear(self._clock.uptime_s())}


def _argument(args: "dict[str, Any]", name: str, low: int, high: int) -> int:
    value = args.get(name)
    if type(value) is not int or not low <= value <= high:
        raise CommandError(E_ARGUMENT, "{} must be a whole number within {} .. {}".format(name, low, high))
    return value


def build(ctx: "Context", safe: bool, sleep_ms: "SleepMs | None" = None) -> Light:
    """The product of a light node; `sleep_ms` is asyncio's unless a test brings its own."""
    return Light(ctx, safe, sleep_ms or asyncio.sleep_ms)
