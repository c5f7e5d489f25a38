"""USB serial bridges as boards have them: what each is, which driver it needs, and those that have none.

Identifiers are those of the Linux drivers (drivers/usb/serial) and of Espressif's and WCH's data sheets.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SYSFS = Path("/sys/bus/usb/devices")


@dataclass(frozen=True)
class Bridge:
    """A kind of bridge. `driver` is the module of Linux."""

    name: str
    driver: str


_CP210X, _CH34X, _FTDI, _ACM = "cp210x", "ch341", "ftdi_sio", "cdc_acm"
BRIDGES = {
    (0x10C4, 0xEA60): Bridge("Silicon Labs CP2102", _CP210X),
    (0x10C4, 0xEA63): Bridge("Silicon Labs CP2102N", _CP210X),
    (0x10C4, 0xEA70): Bridge("Silicon Labs CP2105", _CP210X),
    (0x10C4, 0xEA71): Bridge("Silicon Labs CP2108", _CP210X),
    (0x1A86, 0x7523): Bridge("WCH CH340", _CH34X),
    (0x1A86, 0x7522): Bridge("WCH CH340K", _CH34X),
    (0x1A86, 0x5523): Bridge("WCH CH341", _CH34X),
    (0x1A86, 0x55D3): Bridge("WCH CH343", _ACM),
    (0x1A86, 0x55D4): Bridge("WCH CH9102", _ACM),
    (0x0403, 0x6001): Bridge("FTDI FT232R", _FTDI),
    (0x0403, 0x6010): Bridge("FTDI FT2232, as on an ESP-Prog", _FTDI),
    (0x0403, 0x6011): Bridge("FTDI FT4232", _FTDI),
    (0x0403, 0x6014): Bridge("FTDI FT232H", _FTDI),
    (0x0403, 0x6015): Bridge("FTDI FT231X", _FTDI),
    (0x067B, 0x2303): Bridge("Prolific PL2303", "pl2303"),
    (0x303A, 0x0002): Bridge("ESP32-S2, native USB", _ACM),
    (0x303A, 0x1001): Bridge("ESP32-S3 or C3, native USB (Serial/JTAG)", _ACM),
    (0x303A, 0x4001): Bridge("MicroPython on the native USB of an ESP32-S2 or S3", _ACM),
}


@dataclass(frozen=True)
class Device:
    """A device on the USB that is a bridge; `has_port` says whether a driver made a serial port of it."""

    vid: int
    pid: int
    where: str  # such as 1-2.4
    has_port: bool

    @property
    def bridge(self) -> Bridge:
        """What it is."""
        return BRIDGES[self.vid, self.pid]


def bridges(sysfs: Path = SYSFS) -> Iterator[Device]:
    """Every bridge that the kernel sees, with a port or without; none where there is no such place."""
    for folder in sorted(sysfs.glob("*")):
        try:
            vid, pid = (int((folder / name).read_text(), 16) for name in ("idVendor", "idProduct"))
        except (OSError, ValueError):  # an interface, not a device
            continue
        if (vid, pid) in BRIDGES:
            yield Device(vid, pid, folder.name, any(folder.glob("*:*/tty*")))
