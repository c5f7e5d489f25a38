"""GPIO: machine.Pin, Signal, PWM, ADC. A lamp that is wired to an output sees what the output does."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tools.virtual_board.device.board import Board

FULL = 65535
_DEFAULT_HZ = 5000
_HIGHEST = 48  # GPIO of the ESP32-S3


def bind(kind: "Any", board: "Board") -> "Any":
    """The class `kind` for one board: its objects find it as `self.board`."""
    return type(kind.__name__, (kind,), {"board": board})


class Pins:
    """What every object of one board has to share about its pins: levels, and what is wired to them."""

    def __init__(self, lamps: "dict[int, Any]") -> None:
        self.levels: "dict[int, int]" = {}
        self.lamps = lamps

    def drive(self, pin: int, duty: int) -> None:
        """The output gives `duty` of FULL."""
        if pin in self.lamps:
            self.lamps[pin].duty_u16(duty)


class Pin:
    """`machine.Pin`. An input that nobody drives reads as its pull resistor says, 0 without one."""

    IN = 1
    OUT = 3
    OPEN_DRAIN = 7
    PULL_DOWN = 1
    PULL_UP = 2
    DRIVE_0 = 0
    DRIVE_1 = 1
    DRIVE_2 = 2
    DRIVE_3 = 3
    IRQ_RISING = 1
    IRQ_FALLING = 2
    WAKE_LOW = 4
    WAKE_HIGH = 5
    board: "Any" = None

    def __init__(self, id: "Any", mode: int = -1, pull: "int | None" = -1, **options: "Any") -> None:  # noqa: A002
        self.id: int = id.id if isinstance(id, Pin) else int(id)
        if not 0 <= self.id <= _HIGHEST:
            raise ValueError("invalid pin")
        self._mode = mode
        self._handler: "Callable[[Any], None] | None" = None
        self.init(mode, pull, **options)

    def init(
        self, mode: int = -1, pull: "int | None" = -1, value: "Any" = None, drive: int = 2, hold: bool = False
    ) -> None:
        """Change what is given."""
        if mode != -1:
            self._mode = mode
        if pull == self.PULL_UP:
            self.board.pins.levels.setdefault(self.id, 1)
        if value is not None:
            self.value(value)

    def value(self, value: "Any" = None) -> "int | None":
        """The level; with an argument, set it."""
        levels: "dict[int, int]" = self.board.pins.levels
        if value is None:
            return levels.get(self.id, 0)
        levels[self.id] = 1 if value else 0
        if self._mode in (self.OUT, self.OPEN_DRAIN):
            self.board.pins.drive(self.id, FULL if value else 0)
        return None

    __call__ = value

    def on(self) -> None:
        """High."""
        self.value(1)

    def off(self) -> None:
        """Low."""
        self.value(0)

    def toggle(self) -> None:
        """The other level."""
        self.value(not self.value())

    def irq(self, handler: "Any" = None, trigger: int = 3, wake: "Any" = None) -> "Any":
        """Nothing outside changes a pin here: the handler is kept, and never called."""
        self._handler = handler
        return self

    def __repr__(self) -> str:
        return "Pin({})".format(self.id)


class Signal:
    """`machine.Signal`: a pin whose meaning may be inverted."""

    def __init__(self, pin: "Any", invert: bool = False) -> None:
        self._pin = pin
        self._invert = invert

    def value(self, value: "Any" = None) -> "int | None":
        """Whether it is active; with an argument, set it."""
        if value is None:
            return int(bool(self._pin.value()) != self._invert)
        self._pin.value(bool(value) != self._invert)
        return None

    __call__ = value

    def on(self) -> None:
        """Active."""
        self.value(1)

    def off(self) -> None:
        """Inactive."""
        self.value(0)


class PWM:
    """`machine.PWM`. Duty cycles are kept in 1/65535 and do not depend on the frequency."""

    board: "Any" = None

    def __init__(self, dest: "Any", **options: "Any") -> None:
        self._pin: int = dest.id if isinstance(dest, Pin) else int(dest)
        self._freq = _DEFAULT_HZ
        self._duty = FULL // 2
        self.init(**options)

    def init(self, freq: int = -1, duty: int = -1, duty_u16: int = -1, duty_ns: int = -1, invert: bool = False) -> None:
        """Change what is given."""
        if freq > 0:
            self._freq = freq
        if duty >= 0:
            duty_u16 = duty * FULL // 1023
        if duty_ns >= 0:
            duty_u16 = duty_ns * self._freq * FULL // 1000000000
        if duty_u16 > FULL:
            raise ValueError("duty_u16 must be from 0 to 65535")
        if duty_u16 >= 0:
            self._duty = FULL - duty_u16 if invert else duty_u16
        self.board.pins.drive(self._pin, self._duty)

    def freq(self, value: "int | None" = None) -> "int | None":
        """Hertz."""
        if value is None:
            return self._freq
        self.init(freq=value)
        return None

    def duty_u16(self, value: "int | None" = None) -> "int | None":
        """On-time in 1/65535 of the period."""
        if value is None:
            return self._duty
        self.init(duty_u16=value)
        return None

    def duty(self, value: "int | None" = None) -> "int | None":
        """On-time in 1/1023 of the period."""
        if value is None:
            return self._duty * 1023 // FULL
        self.init(duty=value)
        return None

    def duty_ns(self, value: "int | None" = None) -> "int | None":
        """On-time in nanoseconds."""
        if value is None:
            return self._duty * 1000000000 // (FULL * self._freq)
        self.init(duty_ns=value)
        return None

    def deinit(self) -> None:
        """The pin is an input again: whatever it drove goes by its own resistors, a lamp to full light."""
        self.board.pins.drive(self._pin, FULL)


class ADC:
    """`machine.ADC`: nothing is wired to an analogue input, so it reads half of the range of 3.3 V."""

    ATTN_0DB = 0
    ATTN_2_5DB = 1
    ATTN_6DB = 2
    ATTN_11DB = 3
    WIDTH_9BIT = 9
    WIDTH_10BIT = 10
    WIDTH_11BIT = 11
    WIDTH_12BIT = 12

    def __init__(self, pin: "Any", atten: int = 0) -> None:
        self._pin = pin

    def init(self, **options: "Any") -> None:
        """Nothing to change."""

    def atten(self, value: int) -> None:
        """Nothing to change."""

    def width(self, value: int) -> None:
        """Nothing to change."""

    def read_u16(self) -> int:
        """16 bits."""
        return FULL // 2

    def read(self) -> int:
        """12 bits."""
        return self.read_u16() >> 4

    def read_uv(self) -> int:
        """Microvolts."""
        return 1650000
