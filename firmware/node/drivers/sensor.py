"""What every sensor driver is: channels, a period, and three coroutines. The sampler knows nothing else of a part.

A driver takes its bus and an async `sleep_ms` as arguments, so it runs on any clock; it never sleeps otherwise.
Values are integers in the scale of their channel (protocol.channels), None where the sensor has none yet.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable
    from typing import Callable, Protocol

    SleepMs = Callable[[int], Awaitable[None]]

    class Bus(Protocol):
        """The part of machine.I2C that drivers use; both raise OSError when the device does not acknowledge."""

        def writeto(self, __address: int, __data: "bytes | bytearray | memoryview") -> int:
            """Write all of it."""

        def readfrom_into(self, __address: int, __into: "bytearray | memoryview") -> None:
            """Fill it."""


class Sensor:
    """Base of the drivers; a part overrides what it has."""

    PART = ""
    CHANNELS: "tuple[int, ...]" = ()
    WARM_MS: "tuple[int, ...]" = ()  # per channel: values younger than this after start() are suspect
    PERIOD_MS = 1000

    def __init__(self) -> None:
        self.values: "list[int | None]" = [None] * len(self.CHANNELS)

    async def start(self) -> None:
        """Bring the part from any state to measuring; raises DriverError."""

    async def sample(self) -> bool:
        """True when `values` hold a new measurement; raises DriverError."""
        return False

    async def status(self) -> int:
        """The fault bits (protocol.channels.STATUS_*) that the part reports; raises DriverError."""
        return 0

    async def set_pressure(self, pascal: int) -> None:
        """Tell the part the ambient pressure, where it compensates for it; raises DriverError."""
