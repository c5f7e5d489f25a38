"""`esp32.Partition`: the rows of the partition table as block devices, and which application is started next.

otadata are two sectors of ESP-IDF (esp_flash_partitions.h): sequence, label, state, CRC of the sequence; the higher
sequence counts, and (sequence - 1) modulo the number of slots is the slot.
"""

import binascii
import errno
import struct
from hashlib import sha256

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tools.sim.flash import Buffer
    from tools.virtual_board.device.chip import Region

_SECTOR = 4096
_ENTRY = "<I20sII"
_ENTRY_SIZE = 32
_NEW = 0
_VALID = 2
_INVALID = 3
_ABORTED = 4
_OTADATA = 0x00
_FACTORY = 0x00
_OTA_0 = 0x10
_IMAGE_MAGIC = 0xE9
_HEADER = 24  # bytes of an image
_SEGMENTS_AT = 1  # in it: their number,
_CHIP_AT = 12  # the id of the chip,
_HASHED_AT = 23  # and whether a SHA-256 ends the image
_SHA256 = 32
_CHIPS = {"esp32": 0, "esp32c3": 5, "esp32s3": 9}
_FAIL = 1  # ESP_FAIL, which MicroPython turns round as all that has no errno
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

    def active(self) -> "int | None":
        """The entry that counts: of those that were not given up that of the higher sequence."""
        found = None
        entries = self.entries()
        for sector, (sequence, state) in enumerate(entries):
            usable = sequence and state not in (_INVALID, _ABORTED)
            if usable and (found is None or sequence > entries[found][0]):
                found = sector
        return found

    def choose(self, slot: int) -> None:
        """That slot is started from now on; it has to confirm itself. The entry that counts now is left as it is."""
        active = self.active()
        if active is None:
            self._write(0, slot + 1, _NEW)
            return
        wanted = (slot + 1) % self._slots
        while wanted < self.entries()[active][0]:
            wanted += self._slots
        self._write(1 - active, wanted, _NEW)

    def confirm(self) -> None:
        """The slot that runs is good; OSError when none was ever chosen."""
        active = self.active()
        if active is None:
            raise OSError(_FAIL)
        sequence, state = self.entries()[active]
        if state != _VALID:
            self._write(active, sequence, _VALID)

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
        """Start this application from the next reset on; OSError when it is none, damaged, or for another chip."""
        if self._row["type"] != self.TYPE_APP:
            raise OSError(_INVALID_ARG)
        if not self._is_image():
            raise OSError(_VALIDATE_FAILED)
        otadata = _otadata(self.board)
        if self._row["subtype"] == _FACTORY:
            otadata.forget()
        else:
            otadata.choose(self._row["subtype"] - _OTA_0)

    def _is_image(self) -> bool:
        """As ESP-IDF checks one, but for the one byte that its SHA-256 makes superfluous."""
        head = bytearray(_HEADER)
        self._region.readblocks(0, head)
        if (head[0], head[_CHIP_AT], head[_HASHED_AT]) != (_IMAGE_MAGIC, _CHIPS[self.board.setup.chip], 1):
            return False
        end, part = _HEADER, bytearray(8)
        for _ in range(head[_SEGMENTS_AT]):
            if end + _SHA256 > self._row["size"]:
                return False
            self._region.readblocks(0, part, end)
            end += 8 + struct.unpack("<II", part)[1]
        end = end // 16 * 16 + 16
        if end + _SHA256 > self._row["size"]:
            return False
        stored = bytearray(_SHA256)
        self._region.readblocks(0, stored, end)
        return self._digest(end) == stored

    def _digest(self, end: int) -> bytes:
        """The SHA-256 of the first `end` bytes."""
        hashed = sha256()
        view = memoryview(bytearray(_SECTOR))
        for begin in range(0, end, _SECTOR):
            piece = view[: min(_SECTOR, end - begin)]
            self._region.readblocks(0, piece, begin)
            hashed.update(piece)
        return hashed.digest()

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
        otadata = _otadata(board)
    except OSError:
        return _running(board)
    active, slots = otadata.active(), _slots(board)
    if active is None or not slots:
        return _running(board)
    return slots[(otadata.entries()[active][0] - 1) % len(slots)]
