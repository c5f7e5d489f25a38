"""The errors of the drivers.

DriverError
├── BusError       the device does not acknowledge, or the bus is stuck: wiring, address or power
├── CrcError       bytes arrived damaged: wiring, length or pull-ups of the bus
├── NotReadyError  the device stayed busy beyond the time that its data sheet gives
└── IdentityError  another part answers at this address
"""


class DriverError(Exception):
    """Base of every error that a driver raises on purpose; the text says what to check."""

    CODE = 0  # what an event carries instead of the text


class BusError(DriverError):
    """No acknowledge, or a bus that is held down."""

    CODE = 1


class CrcError(DriverError):
    """A check byte that does not fit its data."""

    CODE = 2


class NotReadyError(DriverError):
    """Still busy after the longest time of the data sheet."""

    CODE = 3


class IdentityError(DriverError):
    """The identity register holds something else."""

    CODE = 4
