"""The module `machine` of the ESP32 port."""

import errno

from tools.virtual_board.device.board import HARD_RESET, WDT_RESET
from tools.virtual_board.device.buses import I2C, UART, SoftI2C
from tools.virtual_board.device.pins import ADC, PWM, Pin, Pins, Signal, bind
from tools.virtual_board.device.retained import UNIX_2000

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tools.virtual_board.device.board import Board

_FREQUENCIES = (20000000, 40000000, 80000000, 160000000, 240000000)
_DEEPSLEEP_RESET = 4


class Machine:
    """`machine`, to be put into sys.modules."""

    __name__ = "machine"
    PWRON_RESET = 1
    HARD_RESET = HARD_RESET
    WDT_RESET = WDT_RESET
    DEEPSLEEP_RESET = _DEEPSLEEP_RESET
    SOFT_RESET = 5
    PIN_WAKE = 2
    EXT0_WAKE = 2
    EXT1_WAKE = 3
    TIMER_WAKE = 4
    TOUCHPAD_WAKE = 5
    ULP_WAKE = 6
    SLEEP = 2
    DEEPSLEEP = 4
    Signal = Signal
    ADC = ADC

    def __init__(self, board: "Board") -> None:
        self._board = board
        self._freq = _FREQUENCIES[3]
        outputs = board.setup.wiring["pwm"]
        board.pins = Pins({pin: board.bench.pwm["lamp"] for pin in outputs if "lamp" in board.bench.pwm})
        self.Pin = bind(Pin, board)
        self.PWM = bind(PWM, board)
        self.I2C = bind(I2C, board)
        self.SoftI2C = bind(SoftI2C, board)
        self.UART = bind(UART, board)
        self.RTC = bind(RTC, board)
        self.WDT = bind(WDT, board)
        self.Timer = bind(Timer, board)
        if board.setup.watchdog_ms:
            board.dog = Dog(board, board.setup.watchdog_ms)

    def reset(self) -> None:
        """Restart the chip."""
        self._board.end("reset", HARD_RESET)

    def soft_reset(self) -> None:
        """Restart the program."""
        raise SystemExit

    def reset_cause(self) -> int:
        """*_RESET."""
        return self._board.setup.cause

    def wake_reason(self) -> int:
        """What ended the deep sleep; 0 when there was none. Only the timer can, here."""
        return self.TIMER_WAKE if self._board.setup.cause == _DEEPSLEEP_RESET else 0

    def unique_id(self) -> bytes:
        """The MAC address."""
        return self._board.setup.mac

    def freq(self, hertz: "int | None" = None) -> "int | None":
        """Clock of the processor; it does not change how fast this simulation computes."""
        if hertz is None:
            return self._freq
        if hertz not in _FREQUENCIES:
            raise ValueError("frequency must be 20MHz, 40MHz, 80Mhz, 160MHz or 240MHz")
        self._freq = hertz
        return None

    def deepsleep(self, time_ms: int = 0) -> None:
        """Switch off until `time_ms` have passed (0: for ever), then start as after a reset."""
        self._board.end("sleep", _DEEPSLEEP_RESET, max(time_ms, 0))

    def lightsleep(self, time_ms: int = 0) -> None:
        """Wait with everything kept; 0 is for ever, as no pin wakes the chip here."""
        self._board.timeline.sleep(time_ms or 1 << 40)

    sleep = lightsleep

    def idle(self) -> None:
        """Wait for the next interrupt."""
        self._board.timeline.sleep(1)

    def bootloader(self) -> None:
        """The port cannot enter the loader by itself."""
        raise OSError(errno.EOPNOTSUPP)

    def disable_irq(self) -> int:
        """Nothing interrupts the program here."""
        return 0

    def enable_irq(self, state: int) -> None:
        """Nothing to do."""


class RTC:
    """`machine.RTC`."""

    board: "Any" = None

    def __init__(self, id: int = 0) -> None:  # noqa: A002
        pass

    def memory(self, data: "Any" = None) -> "bytes | None":
        """Up to 2048 bytes that survive every reset but a power cut."""
        if data is None:
            found: bytes = self.board.retained.memory
            return found
        self.board.retained.keep(data.encode() if isinstance(data, str) else bytes(data))
        return None

    def datetime(self, moment: "tuple[int, ...] | None" = None) -> "tuple[int, ...] | None":
        """(year, month, day, weekday, hour, minute, second, microsecond)."""
        import time  # the board's

        if moment is None:
            year, month, day, hour, minute, second, weekday = time.gmtime()[:7]
            return (year, month, day, weekday, hour, minute, second, 0)
        year, month, day, _, hour, minute, second = moment[:7]
        seconds = int(time.mktime((year, month, day, hour, minute, second, 0, 0)))  # type: ignore[arg-type]
        self.board.retained.set(seconds + UNIX_2000)
        return None

    def init(self, moment: "tuple[int, ...]") -> None:
        """Set it."""
        self.datetime(moment)


class Dog:
    """The one watchdog of a board. It bites in virtual time; tools/virtual_board/watchdog.py sees what never waits."""

    def __init__(self, board: "Any", timeout_ms: int) -> None:
        self._board = board
        self.timeout_ms = 0
        self._alarm = board.timeline.alarm(self._bite)
        self._fed_ms = 0
        self.start(timeout_ms)

    def start(self, timeout_ms: int) -> None:
        """Wait so long from now on."""
        self.timeout_ms = timeout_ms
        self.feed()
        self._alarm.set(self._fed_ms + timeout_ms)

    def feed(self) -> None:
        """Start the time-out again."""
        self._fed_ms = self._board.timeline.now_ms()
        self._board.counters.fed(self.timeout_ms)

    def _bite(self) -> None:
        due_ms = self._fed_ms + self.timeout_ms
        if due_ms > self._board.timeline.now_ms():
            self._alarm.set(due_ms)  # it was fed meanwhile
        else:
            self._board.end("reset", WDT_RESET)


class WDT:
    """`machine.WDT`: once started it cannot be stopped, only given another time-out."""

    board: "Any" = None

    def __init__(self, id: int = 0, timeout: int = 5000) -> None:  # noqa: A002
        if id != 0:
            raise ValueError("WDT({}) doesn't exist".format(id))
        if timeout <= 0:
            raise ValueError("WDT timeout too short")
        if self.board.dog is None:
            self.board.dog = Dog(self.board, timeout)
        self.board.dog.start(timeout)

    def feed(self) -> None:
        """Start the time-out again."""
        self.board.dog.feed()


class Timer:
    """`machine.Timer`: calls back while the program waits, not within its computing."""

    ONE_SHOT = 0
    PERIODIC = 1
    board: "Any" = None

    def __init__(self, id: int = -1, **options: "Any") -> None:  # noqa: A002
        self._alarm = self.board.timeline.alarm(self._ring)
        self._callback: "Callable[[Timer], None] | None" = None
        self._period_ms = 0
        self._mode = self.PERIODIC
        if options:
            self.init(**options)

    def init(
        self,
        mode: int = 1,
        period: int = -1,
        freq: float = -1,
        callback: "Callable[[Timer], None] | None" = None,
        **options: "Any",
    ) -> None:
        """Start it: every `period` ms or `freq` times a second."""
        self._mode = mode
        self._callback = callback
        self._period_ms = max(1, int(1000 / freq) if freq > 0 else period)
        self._alarm.set(self.board.timeline.now_ms() + self._period_ms)

    def deinit(self) -> None:
        """Stop it."""
        self._alarm.stop()

    def value(self) -> int:
        """Milliseconds since it started or last rang."""
        left: int = self._alarm.due_ms - self.board.timeline.now_ms()
        return max(self._period_ms - left, 0)

    def _ring(self) -> None:
        if self._mode == self.PERIODIC:
            self._alarm.set(self.board.timeline.now_ms() + self._period_ms)
        if self._callback is not None:
            self._callback(self)
