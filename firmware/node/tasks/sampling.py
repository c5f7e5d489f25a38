"""Reads the sensors once a second and writes a record per interval. A sensor that fails does not hold up the others."""

from node.air.station import Station
from node.air.watch import Watch
from node.core.interval import Interval
from node.drivers.errors import DriverError, NotReadyError
from protocol import channels
from protocol.events import SENSOR_FAULT, SENSOR_STATUS
from protocol.messages import LOG_INFO, LOG_WARNING
from protocol.records import PHASE_END, PHASE_START

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from node.core.clock import Clock
    from node.core.journal import Journal
    from node.drivers.sensor import Sensor, SleepMs

_PERIOD_MS = 1000
_STATUS_MS = 10000  # between two readings of a sensor's status
_TAG = "air"


class Fitted:
    """One sensor with what is known of it."""

    def __init__(self, part: "Sensor") -> None:
        self.part = part
        self.watch = Watch(part.PERIOD_MS)
        self.status = 0
        self.status_ms = 0  # when it is to be read again


class Sampling:
    """The task. `records` counts what it wrote since boot."""

    def __init__(
        self,
        parts: "list[Sensor]",
        clock: "Clock",
        journal: "Journal",
        setting: "Callable[[str], Any]",
        log: "Callable[[int, str, str], None]",
        sleep_ms: "SleepMs",
    ) -> None:
        self.fitted = [Fitted(part) for part in parts]
        self.records = 0
        self._clock = clock
        self._journal = journal
        self._setting = setting
        self._log = log
        self._sleep_ms = sleep_ms
        self._station = Station([channel for part in parts for channel in part.CHANNELS])
        self._interval = Interval(clock)

    @property
    def errors(self) -> int:
        """Failed readings since boot."""
        return sum([fitted.watch.errors for fitted in self.fitted])

    async def run(self, beat: "Callable[[], None]") -> None:
        """Sample for ever, on a grid of seconds. A new run goes on in the interval that the last one left."""
        next_ms = self._clock.uptime_ms()
        while True:
            beat()
            ended = self._interval.tick(self._setting("interval_s"))
            if ended:
                self._write(ended)
            for fitted in self.fitted:
                await self._visit(fitted)
                beat()
            now = self._clock.uptime_ms()
            next_ms += _PERIOD_MS
            if next_ms <= now:
                next_ms = now + _PERIOD_MS - (now - next_ms) % _PERIOD_MS  # skip what was missed, stay on the grid
            await self._sleep_ms(next_ms - now)

    async def _visit(self, fitted: Fitted) -> None:
        """Start the sensor or read it, if it is time."""
        watch, part = fitted.watch, fitted.part
        now = self._clock.uptime_ms()
        if now < watch.due_ms:
            return
        starting = not watch.running
        stale = False
        try:
            if starting:
                await part.start()
                watch.started(self._clock.uptime_ms())
                fitted.status_ms = 0
                return
            watch.due_ms = now + watch.period_ms(self._setting("interval_s")) - _PERIOD_MS // 2
            fresh = await part.sample()
            stale = not fresh and watch.is_stale(now)
            if stale:
                raise NotReadyError("no new value")
            await self._read_status(fitted, now)
        except DriverError as error:
            self._failed(fitted, error, starting or stale)
            return
        self._station.status |= fitted.status
        if fresh:
            self._take(fitted, now)
            await self._compensate(part)

    async def _read_status(self, fitted: Fitted, now: int) -> None:
        if now >= fitted.status_ms:
            fitted.status = await fitted.part.status()
            fitted.status_ms = now + _STATUS_MS

    def _take(self, fitted: Fitted, now: int) -> None:
        watch, part = fitted.watch, fitted.part
        age = now - watch.started_ms
        for index, channel in enumerate(part.CHANNELS):
            self._station.add(channel, part.values[index], age >= part.WARM_MS[index])
        if watch.succeeded(now):
            self._log(LOG_INFO, _TAG, "{} works again".format(part.PART))
            self._journal.event(SENSOR_FAULT, PHASE_END, {1: part.PART})

    async def _compensate(self, source: "Sensor") -> None:
        """Tell the other sensors the pressure that this one measured."""
        if channels.P not in source.CHANNELS:
            return
        pressure = source.values[source.CHANNELS.index(channels.P)]
        for fitted in self.fitted:
            if pressure is not None and fitted.watch.running and fitted.part is not source:
                try:
                    await fitted.part.set_pressure(pressure)
                except DriverError as error:
                    self._failed(fitted, error, False)

    def _failed(self, fitted: Fitted, error: DriverError, fatal: bool) -> None:
        fitted.status = 0
        if fitted.watch.failed(self._clock.uptime_ms(), fatal):
            text = str(error)
            self._log(LOG_WARNING, _TAG, "{}: {}".format(fitted.part.PART, text))
            self._journal.event(SENSOR_FAULT, PHASE_START, {1: fitted.part.PART, 2: text})

    def _write(self, ended: "tuple[int, int, int]") -> None:
        """The record of the interval that ended, with everything that the sensors have."""
        t, tq, seconds = ended
        interval_s = self._setting("interval_s")
        expected = {}
        for fitted in self.fitted:
            for channel in fitted.part.CHANNELS:
                expected[channel] = fitted.watch.expected(seconds, interval_s)
        self._journal.record(self._station.close(seconds, expected, self._setting("stats")), t, tq, seconds)
        self.records += 1
        change = self._station.turn()
        if change:
            self._journal.event(SENSOR_STATUS, change[0], {1: change[1], 2: change[2]})
