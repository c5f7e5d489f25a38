"""`esp32.Partition`: the rows of the partition table as block devices, and which application is started next.

otadata are two sectors of ESP-IDF (esp_flash_partitions.h): sequence, label, state, CRC of the sequence; the higher
sequence counts, and (sequence - 1) modulo the number of slots is the slot.
"""

import binascii
import errno
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tools.sim.flash import Buffer
    from tools.virtual_board.device.chip import Region

_SECTOR = 4096
_ENTRY = "<I20sII"
_ENTRY_SIZE = 32
_NEW = 0
_PENDING = 1
_VALID = 2
_OTADATA = 0x00
_FACTORY = 0x00
_OTA_0 = 0x10
_IMAGE_MAGIC = 0xE9
_INVALID_ARG = -0x102  # ESP_ERR_*
_NOT_FOUND = -0x105
_VALIDATE_FAILED = -0x1503


def crc(sequence: int) -> int:
    """The check word of an entry."""
    return binascii.crc32(struct.pack("<I", sequence), 0xFFFFFFFF)


class OtaData:
    """The two entries in `region`; `slots` is the number of application slots."""

    def __init__(self, region: "Region", slots: int) -> None:
        self._region = region
        self._slots = slots

    def entries(self) -> "list[tuple[int, int]]":
        """(sequence, state) of both; the sequence is 0 where there is none."""
        found = []
        for sector in (0, 1):
            raw = bytearray(_ENTRY_SIZE)
            self._region.readblocks(0, raw, sector * _SECTOR)
            sequence, _, state, check = struct.unpack(_ENTRY, raw)
            good = sequence != 0xFFFFFFFF and check == crc(sequence)
            found.append((sequence if good else 0, state))
        return found

    def choose(self, slot: int) -> None:
        """That slot is started from now on; it has to confirm itself."""
        entries = self.entries()
        sequence = max(entries)[0]
        active = entries.index(max(entries))
        wanted = sequence + 1
        while (wanted - 1) % self._slots != slot:
            wanted += 1
        self._write(1 - active if sequence else 0, wanted, _NEW)

    def confirm(self) -> None:
        """The slot that runs is good."""
        entries = self.entries()
        newest = max(entries)
        if newest[0] and newest[1] in (_NEW, _PENDING):
            self._write(entries.index(newest), newest[0], _VALID)

    def forget(self) -> None:
        """No slot is chosen: the factory application is started."""
        self._region.erase(0)
        self._region.erase(1)

    def _write(self, sector: int, sequence: int, state: int) -> None:
        self._region.erase(sector)
        entry = struct.pack(_ENTRY, sequence, b"\xff" * 20, state, crc(sequence))
        self._region.writeblocks(0, entry, sector * _SECTOR)


class Partition:
    """One partition. Blocks have `block_size` bytes; one write without an offset erases what it covers."""

    BOOT = 0
    RUNNING = 1
    TYPE_APP = 0
    TYPE_DATA = 1
    board: "Any" = None

    def __init__(self, id: "Any", block_size: int = _SECTOR) -> None:  # noqa: A002 - as on the board
        if id == self.RUNNING:
            row = _running(self.board)
        elif id == self.BOOT:
            row = _chosen(self.board)
        else:
            row = self.board.partition(id)
        if row is None:
            raise OSError(errno.ENOENT)
        self._row = row
        self._region: "Region" = self.board.region(row, block_size)

    @classmethod
    def find(
        cls,
        type: int = 0,  # noqa: A002
        subtype: int = 0xFF,
        label: "str | None" = None,
        block_size: int = _SECTOR,
    ) -> "list[Partition]":
        """Every partition of that type; subtype 0xFF is any."""
        return [
            cls(row["name"], block_size)
            for row in cls.board.setup.partitions
            if row["type"] == type and subtype in (0xFF, row["subtype"]) and label in (None, row["name"])
        ]

    def info(self) -> "tuple[int, int, int, int, str, bool]":
        """(type, subtype, offset, size, label, encrypted)."""
        row = self._row
        return row["type"], row["subtype"], row["offset"], row["size"], row["name"], False

    def readblocks(self, block: int, buffer: "bytearray | memoryview", offset: int = 0) -> None:
        """Fill `buffer` from `offset` within `block`."""
        self._region.readblocks(block, buffer, offset)

    def writeblocks(self, block: int, buffer: "Buffer", offset: "int | None" = None) -> None:
        """Write `buffer`; with an offset nothing is erased before."""
        self._region.writeblocks(block, buffer, offset)

    def ioctl(self, request: int, argument: int = 0) -> int:
        """MicroPython's block device requests."""
        return self._region.ioctl(request, argument)

    def set_boot(self) -> None:
        """Start this application from the next reset on; OSError when it is none."""
        head = bytearray(1)
        self._region.readblocks(0, head)
        if self._row["type"] != self.TYPE_APP:
            raise OSError(_INVALID_ARG)
        if head[0] != _IMAGE_MAGIC:
            raise OSError(_VALIDATE_FAILED)
        otadata = _otadata(self.board)
        if self._row["subtype"] == _FACTORY:
            otadata.forget()
        else:
            otadata.choose(self._row["subtype"] - _OTA_0)

    def get_next_update(self) -> "Partition":
        """The slot that an update goes to: the one after this."""
        slots = _slots(self.board)
        if not slots:
            raise OSError(errno.ENOENT)
        names = [row["name"] for row in slots]
        own = self._row["name"]
        return type(self)(names[(names.index(own) + 1) % len(names)] if own in names else names[0])

    @classmethod
    def mark_app_valid_cancel_rollback(cls) -> None:
        """The application that runs is good: do not go back at the next reset."""
        _otadata(cls.board).confirm()


def _slots(board: "Any") -> "list[Any]":
    rows = [row for row in board.setup.partitions if row["type"] == 0 and row["subtype"] & 0xF0 == _OTA_0]
    return sorted(rows, key=lambda row: row["subtype"])


def _otadata(board: "Any") -> OtaData:
    for row in board.setup.partitions:
        if row["type"] == 1 and row["subtype"] == _OTADATA:
            return OtaData(board.region(row), max(1, len(_slots(board))))
    raise OSError(_NOT_FOUND)


def _running(board: "Any") -> "Any":
    """The row of the application that runs."""
    if board.setup.running is not None:
        return board.partition(board.setup.running)
    apps = [row for row in board.setup.partitions if row["type"] == 0]
    return apps[0] if apps else None


def _chosen(board: "Any") -> "Any":
    """The row of the application that otadata name."""
    try:
        sequence = max(_otadata(board).entries())[0]
    except OSError:
        sequence = 0
    slots = _slots(board)
    return slots[(sequence - 1) % len(slots)] if sequence and slots else _running(board)
