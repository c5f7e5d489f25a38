"""Reads the meter of a lamp, counts its energy, watches for faults, writes the records of a light node."""

from node.core.interval import Interval
from node.drivers.cse7766 import FAULT_CALIBRATION, FAULT_STORAGE, FRAME
from node.light.faults import Faults, Reading
from node.light.report import Report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from node.board.door import SerialDoor
    from node.core.clock import Clock
    from node.core.journal import Journal
    from node.drivers.cse7766 import Cse7766
    from node.drivers.sensor import SleepMs
    from node.light.control import Control
    from node.light.counters import Counters

_PERIOD_MS = 1000  # the chip repeats itself 16 times meanwhile, and counts its pulses by itself
_SILENT_MS = 3000  # a meter that has sent no good frame for this long says nothing
_NEWS_MS = 10000  # shortest time between two records that tell a new level
_BUFFER = 256
_TAIL = 2 * FRAME - 1  # holds a whole frame, wherever it begins


class Metering:
    """The task. `records` counts what it wrote since boot."""

    def __init__(
        self,
        meter: "Cse7766",
        uart: "SerialDoor",
        control: "Control",
        counters: "Counters",
        clock: "Clock",
        journal: "Journal",
        setting: "Callable[[str], Any]",
        sleep_ms: "SleepMs",
    ) -> None:
        self.records = 0
        self._meter = meter
        self._uart = uart
        self._control = control
        self._counters = counters
        self._clock = clock
        self._journal = journal
        self._setting = setting
        self._sleep_ms = sleep_ms
        self._buffer = bytearray(_BUFFER)
        self._view = memoryview(self._buffer)
        self._faults = Faults()
        self._report = Report()
        self._interval = Interval(clock)
        self._frame_ms = self._record_ms = clock.uptime_ms()

    @property
    def errors(self) -> int:
        """Damaged frames since boot."""
        return self._meter.errors

    @property
    def sound(self) -> int:
        """A bit for each rule of light/faults.py that finds no fault."""
        return self._faults.sound

    async def run(self, beat: "Callable[[], None]") -> None:
        """Read and judge once a second, for ever."""
        while True:
            beat()
            now = self._clock.uptime_ms()
            self._read(now)
            self._judge(now)
            await self._sleep_ms(_PERIOD_MS)

    def _read(self, now: int) -> None:
        """Drain the UART; parse the end of each piece: its values are current, and pulses add up by themselves."""
        count: "int | None" = _BUFFER
        while count == _BUFFER:
            count = self._uart.readinto(self._buffer)
            start = max(0, (count or 0) - _TAIL)
            self._meter.restart()
            if count and self._meter.feed(self._view[start:count], count - start):
                self._frame_ms = now
        if self._meter.energy_uj:
            self._counters.energy(self._meter.energy_uj)
            self._meter.energy_uj = 0

    def _judge(self, now: int) -> None:
        meter, control = self._meter, self._control
        wrong = self._wrong(now)
        if wrong is None:
            self._report.add(meter)
        reading = Reading(
            control.level,
            control.is_settled(now),
            self._setting("lamp_dw"),
            meter.power_dw if wrong is None else None,
            meter.voltage_mv if wrong is None else None,
            wrong,
        )
        for code, phase, attrs in self._faults.update(reading, now // 1000):
            self._journal.event(code, phase, attrs)
        self._record(now, reading)

    def _wrong(self, now: int) -> "str | None":
        """What is wrong with the meter, or None."""
        if now - self._frame_ms > _SILENT_MS:
            return "no frame"
        if self._meter.fault & FAULT_CALIBRATION:
            return "not calibrated"
        return "coefficients lost" if self._meter.fault & FAULT_STORAGE else None

    def _record(self, now: int, reading: Reading) -> None:
        news = self._report.is_news(self._control) and now - self._record_ms >= _NEWS_MS
        ended = self._interval.tick(1 if news else self._setting("report_s"))
        if not ended:
            return
        counters = self._counters
        if news or now + _PERIOD_MS * 60 >= counters.due_ms:
            counters.save(now)  # so that the record tells the latest, and never more than flash remembers
        full = self._setting("stats")
        samples = self._report.close(self._control, reading.power_dw, reading.rated_dw, counters.saved, full)
        self._journal.record(samples, ended[0], ended[1], ended[2])
        self._record_ms = now
        self.records += 1
