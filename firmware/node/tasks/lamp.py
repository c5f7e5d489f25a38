"""Keeps the lamp at its level. Whatever ends this task, it leaves the lamp at full brightness."""

from node.light.faults import Debounce
from protocol.channels import REASON_FAIL_BRIGHT
from protocol.events import LAMP_FAIL_BRIGHT
from protocol.messages import LOG_ERROR
from protocol.records import PHASE_END, PHASE_START

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

    from node.core.clock import Clock
    from node.core.journal import Journal
    from node.drivers.pwm_lamp import PwmLamp
    from node.drivers.sensor import SleepMs
    from node.light.control import Control
    from node.light.counters import Counters

_PERIOD_MS = 1000
_FADE_MS = 100  # between two steps of a fade
_UNKNOWN_S = 60  # the time is often unknown for a moment after a start: that is no event
_TAG = "lamp"


class LampTask:
    """The task. `steps` counts since boot."""

    def __init__(
        self,
        lamp: "PwmLamp",
        control: "Control",
        counters: "Counters",
        clock: "Clock",
        journal: "Journal",
        log: "Callable[[int, str, str], None]",
        sleep_ms: "SleepMs",
    ) -> None:
        self.steps = 0
        self._lamp = lamp
        self._control = control
        self._counters = counters
        self._clock = clock
        self._journal = journal
        self._log = log
        self._sleep_ms = sleep_ms
        self._unknown = Debounce(_UNKNOWN_S)
        self._failed = False

    async def run(self, beat: "Callable[[], None]") -> None:
        """Step for ever."""
        try:
            while True:
                self.step()
                beat()
                await self._sleep_ms(_FADE_MS if self._control.is_fading else _PERIOD_MS)
        except Exception as error:
            self._tell_failure(error)
            raise
        finally:
            self._lamp.set(self._control.fail_bright(self._clock.uptime_ms()))

    def step(self) -> None:
        """Decide and act once."""
        now = self._clock.uptime_ms()
        level = self._control.step(self.minute(), now)
        self._lamp.set(level)
        self._counters.lamp(level > 0, now)
        if self._counters.is_due(now):
            self._counters.save(now)
        self.steps += 1
        self._tell(now // 1000)

    def minute(self) -> "int | None":
        """Minute of the UTC day, None until the clock was set by something better than a lower bound."""
        now = self._clock.utc_s()
        return None if now is None or self._clock.anchor_s is None else now // 60 % 1440

    def _tell(self, now_s: int) -> None:
        if self._failed:
            self._failed = False
            self._journal.event(LAMP_FAIL_BRIGHT, PHASE_END, {1: "task runs again"})
        phase = self._unknown.update(self._control.reason == REASON_FAIL_BRIGHT, now_s)
        if phase is not None:
            self._journal.event(LAMP_FAIL_BRIGHT, phase, {1: "time unknown" if phase == PHASE_START else "time known"})

    def _tell_failure(self, error: Exception) -> None:
        name = error.__class__.__name__
        self._log(LOG_ERROR, _TAG, "{}: at full brightness until it runs again".format(name))
        if not self._failed:
            self._failed = True
            self._journal.event(LAMP_FAIL_BRIGHT, PHASE_START, {1: name})
