"""MicroPython itself as a second component: the two application partitions of an ESP32, ota_0 and ota_1.

Every stock image has a bootloader that goes back (CONFIG_BOOTLOADER_APP_ROLLBACK_ENABLE): an image that did not confirm
itself before the next reset is never started again. Most stock images have one application partition only.
"""

from esp32 import Partition

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SECTOR = 4096
_ERASE = 6  # request of MicroPython's block device protocol
_NO_ROLLBACK = (-0x105, 1)  # ESP_ERR_NOT_FOUND: no otadata; ESP_FAIL: no choice was ever made. Nobody goes back


def other() -> "Base | None":
    """The partition that an update goes to, or None when there is none but the one that runs."""
    running = Partition(Partition.RUNNING)  # type: ignore[arg-type]  # the stubs know labels only
    try:
        spare = running.get_next_update()
    except OSError:
        return None
    return None if spare.info()[4] == running.info()[4] else Base(spare, running)


class Base:
    """The BaseDoor over `esp32.Partition`."""

    def __init__(self, spare: "Any", running: "Any") -> None:
        self.label: str = running.info()[4]
        self.size: int = min(spare.info()[3], running.info()[3])
        self._spare = spare
        self._running = running

    def write(self, at: int, data: "bytes | bytearray | memoryview") -> None:
        """Write within one sector; its beginning erases it."""
        if at % _SECTOR == 0:
            self._spare.ioctl(_ERASE, at // _SECTOR)
        self._spare.writeblocks(at // _SECTOR, data, at % _SECTOR)

    def read(self, at: int, into: memoryview) -> None:
        """Fill `into` from byte `at`."""
        self._spare.readblocks(at // _SECTOR, into, at % _SECTOR)

    def read_running(self, at: int, into: memoryview) -> None:
        """The same of the image that runs."""
        self._running.readblocks(at // _SECTOR, into, at % _SECTOR)

    def activate(self) -> None:
        """ESP-IDF checks the image before it is told to the bootloader."""
        self._spare.set_boot()

    @staticmethod
    def confirm() -> None:
        """Do not go back at the next reset."""
        try:
            Partition.mark_app_valid_cancel_rollback()
        except OSError as error:
            if error.errno not in _NO_ROLLBACK:
                raise
