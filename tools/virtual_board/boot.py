"""What happens between a reset and the program: the ROM, the second stage bootloader, and what they print (pure).

Sources: ESP-IDF 5, components/bootloader_support (behaviour and texts), and ROM output of boards.
"""

import struct
import zlib
from dataclasses import dataclass
from enum import StrEnum

from tools.virtual_board import image, partitions
from tools.virtual_board.chips import MEGABYTE, Chip
from tools.virtual_board.flash import BLOCK, FlashChip
from tools.virtual_board.image import ImageError
from tools.virtual_board.partitions import Partition, TableError

_BOOTLOADER_ROOM = 0x7000
_SELECT = struct.Struct("<I20sII")  # otadata: sequence, label, state, CRC of the sequence
_NEW, _PENDING, _VALID, _INVALID, _ABORTED, _UNDEFINED = 0, 1, 2, 3, 4, 0xFFFFFFFF


class Cause(StrEnum):
    """Why the chip starts."""

    POWER_ON = "power-on"
    PIN = "pin"
    SOFTWARE = "software"
    WATCHDOG = "watchdog"
    BOOT_WATCHDOG = "boot-watchdog"
    DEEP_SLEEP = "deep-sleep"
    BROWN_OUT = "brown-out"


# machine.reset_cause() of MicroPython's ESP32 port (ports/esp32/machine... get_reset_cause)
MACHINE_CAUSE = {
    Cause.POWER_ON: 1,
    Cause.PIN: 1,  # EN resets the whole chip: nothing is left that could tell
    Cause.BROWN_OUT: 1,
    Cause.SOFTWARE: 2,
    Cause.BOOT_WATCHDOG: 3,
    Cause.WATCHDOG: 3,
    Cause.DEEP_SLEEP: 4,
}


class BootError(Exception):
    """Nothing can be started. `lines` are printed, then the chip resets and tries again."""

    def __init__(self, *lines: str) -> None:
        super().__init__(lines[-1])
        self.lines = lines


@dataclass(frozen=True)
class Boot:
    """The program that is started: its partition, and all of them as MicroPython sees them; `starts`: it gets as far
    as its first instruction."""

    app: Partition
    partitions: list[Partition]
    starts: bool


def first_lines(chip: Chip, cause: Cause, download: bool) -> str:
    """What the ROM prints at a reset, until it looks at the flash."""
    mode = chip.boot.download if download else chip.boot.app
    text = f"{chip.boot.banner}rst:{chip.boot.resets[cause]},boot:{mode}\r\n"
    return text + ("waiting for download\r\n" if download else "")


def load(chip: Chip, flash: FlashChip) -> Boot:
    """Decide what to start, and note it in otadata as the bootloader does; BootError, or PowerCut within a write."""
    head = int.from_bytes(flash.read(chip.bootloader_at, 4), "little")
    if head & 0xFF != image.MAGIC:
        raise BootError(f"invalid header: {head:#010x}")
    try:
        bootloader = image.check(flash.read, chip.bootloader_at, _BOOTLOADER_ROOM)
    except ImageError as error:
        raise BootError(*chip.boot.loaded[:1], f"csum err: {error}", "ets_main.c 384") from None
    if bootloader.chip_id != chip.image_id:  # machine code of another chip: nothing more is heard of it
        raise BootError(*chip.boot.loaded)
    try:
        table = partitions.parse(flash.read(partitions.TABLE_AT, partitions.TABLE_SIZE), flash.size)
    except TableError as error:
        raise BootError(
            *chip.boot.loaded,
            f"E (29) flash_parts: {error}",
            "E (30) boot: Failed to verify partition table",
            "E (32) boot: load partition table error!",
        ) from None
    app, starts = _choose(chip, flash, table)
    if bootloader.flash_size > flash.size:
        raise BootError(
            *chip.boot.loaded,
            f"E (60) spi_flash: Detected size({flash.size >> 10}k) smaller than the size in the binary image "
            f"header({bootloader.flash_size >> 10}k). Probe failed.",
        )
    return Boot(app, partitions.with_vfs(table, flash.size), starts)


def _choose(chip: Chip, flash: FlashChip, table: list[Partition]) -> tuple[Partition, bool]:
    """The first app that is valid: the one that otadata wants, then those before it, the factory app, those behind."""
    factory = [row for row in table if (row.type, row.subtype) == (partitions.APP, partitions.FACTORY)]
    slots = sorted(
        (row for row in table if row.type == partitions.APP and row.subtype & 0xF0 == partitions.OTA_0),
        key=lambda row: row.subtype,
    )
    wanted = _wanted_slot(flash, table, len(slots)) if slots else None
    order = factory + slots if wanted is None else [*slots[wanted::-1], *factory, *slots[wanted + 1 :]]
    lines: list[str] = []
    for row in order:
        try:
            found = image.check(flash.read, row.offset, row.size)
        except ImageError as error:
            lines.append(f"E (40) esp_image: {error}")
            continue
        if found.chip_id == chip.image_id:
            if row in slots and not factory:
                _note_first(flash, table, row.subtype - partitions.OTA_0)
            return row, found.starts
        lines.append(f"E (40) boot_comm: mismatch chip ID, expected {chip.image_id}, found {found.chip_id}")
    raise BootError(*chip.boot.loaded, *lines, "E (60) boot: No bootable app partitions in the partition table")


def _wanted_slot(flash: FlashChip, table: list[Partition], slots: int) -> int | None:
    """The slot that otadata selects; None for the factory app (or the first slot, where there is none).

    A new image is tried once: what was pending at a reset is aborted (CONFIG_BOOTLOADER_APP_ROLLBACK_ENABLE, which
    MicroPython's builds have).
    """
    copies = _copies(table)
    for at in copies:
        if _entry(flash, at)[1] == _PENDING:
            _set_state(flash, at, _ABORTED)
    valid = [(sequence, at) for at in copies for sequence, state in [_entry(flash, at)] if _selectable(sequence, state)]
    if not valid:
        return None
    sequence, at = max(valid)
    if _entry(flash, at)[1] == _NEW:
        _set_state(flash, at, _PENDING)
    return (sequence - 1) % slots


def _note_first(flash: FlashChip, table: list[Partition], slot: int) -> None:
    """Where otadata is blank, as on a board that was just flashed, the slot that starts is noted as valid."""
    copies = _copies(table)
    if copies and not any(_entry(flash, at)[0] for at in copies):
        sequence = slot + 1
        flash.erase(copies[0], BLOCK)
        flash.program(copies[0], _SELECT.pack(sequence, b"\xff" * 20, _VALID, sequence_crc(sequence)))


def _copies(table: list[Partition]) -> list[int]:
    """Where the two entries of otadata are; nothing without that partition."""
    rows = [row for row in table if (row.type, row.subtype) == (partitions.DATA, partitions.OTADATA)]
    return [rows[0].offset + BLOCK * number for number in range(2)] if rows else []


def _entry(flash: FlashChip, at: int) -> tuple[int, int]:
    """(sequence, state) of a copy of otadata; (0, ...) when it is blank or its CRC is wrong."""
    sequence, _, state, crc = _SELECT.unpack(flash.read(at, _SELECT.size))
    return (sequence if crc == sequence_crc(sequence) and sequence != 0xFFFFFFFF else 0), state


def sequence_crc(sequence: int) -> int:
    """The check word of a sequence number (esp_rom_crc32_le(UINT32_MAX, ...))."""
    return zlib.crc32(sequence.to_bytes(4, "little"), 0xFFFFFFFF)


def _selectable(sequence: int, state: int) -> bool:
    return sequence != 0 and state not in (_INVALID, _ABORTED)


def _set_state(flash: FlashChip, at: int, state: int) -> None:
    sequence, label, _, crc = _SELECT.unpack(flash.read(at, _SELECT.size))
    flash.erase(at, BLOCK)
    flash.program(at, _SELECT.pack(sequence, label, state, crc))


def physical_size(text: str) -> int:
    """Bytes of a flash size as esptool writes it ("4MB"); ValueError for what no virtual board has."""
    sizes = {f"{number}MB": number * MEGABYTE for number in (1, 2, 4, 8, 16)}
    if text.upper() not in sizes:
        raise ValueError(f"flash size {text}: one of {', '.join(sizes)}")
    return sizes[text.upper()]
