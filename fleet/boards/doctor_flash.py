"""Looks into a board through its loader: chip, size of the flash, and whether what is in it can run on that chip."""

from collections.abc import Iterator

from fleet.boards.finding import FAIL, OK, WARN, Finding
from fleet.errors import FleetError
from fleet.flashing import survey
from fleet.flashing.base import LEAST, is_too_old
from fleet.flashing.esptool import Esptool, Found
from fleet.flashing.survey import Survey

_FLASH = "flash it: fleet board flash --force"


def examine(loader: Esptool) -> Iterator[Finding]:
    """Every finding, in order; a loader that does not answer is the only one."""
    try:
        found = loader.look()
    except FleetError as error:
        yield Finding(FAIL, "loader", error.message, error.cause, error.hint)
        return
    size = f"{found.flash_size >> 20} MB of flash"
    yield Finding(OK, "loader", f"{found.chip.name}, MAC address {found.mac}, {size}")
    try:
        seen = survey.survey(loader, found)
    except FleetError as error:
        yield Finding(FAIL, "flash", error.message, error.cause, error.hint)
        return
    faults = list(_faults(found, seen))
    yield from faults
    if not any(fault.status == FAIL for fault in faults):
        yield Finding(
            WARN,
            "flash",
            "what is in the flash looks right",
            "the boot pin may be held down, or the program hangs",
            "release BOOT, press EN while fleet board monitor runs, and read what it says",
        )


def _faults(found: Found, seen: Survey) -> Iterator[Finding]:
    chip, size = found.chip.name, found.flash_size
    if not seen.bootloader:
        yield Finding(FAIL, "image", "there is no bootloader in the flash", "it is blank or overwritten", _FLASH)
        return
    if seen.bootloader != chip:
        yield _foreign("bootloader", seen.bootloader, chip)
    if seen.header_size > size:
        yield _size(f"the bootloader was made for {seen.header_size >> 20} MB of flash", size)
    if seen.table_fault:
        yield Finding(FAIL, "partitions", "there is no good partition table", seen.table_fault, _FLASH)
        return
    if seen.needs > size:
        yield _size(f"the partition table needs {seen.needs >> 20} MB of flash", size)
    yield from _program(seen, chip)
    if seen.files == survey.OTHER:
        hint = "save what matters with `esptool read-flash`, then fleet board flash --force"
        yield Finding(FAIL, "files", "the file system cannot be mounted", "it is no LittleFS, or damaged", hint)
    elif seen.files == survey.BLANK:
        yield Finding(WARN, "files", "the file system is empty", "", "flash our firmware: fleet board flash")


def _program(seen: Survey, chip: str) -> Iterator[Finding]:
    if not seen.program:
        yield Finding(FAIL, "image", "there is no program in the flash", "its place is blank or overwritten", _FLASH)
    elif seen.program != chip:
        yield _foreign("program", seen.program, chip)
    elif not seen.is_micropython:
        hint = "fleet board flash --force puts ours there; what is on the board is lost"
        yield Finding(FAIL, "image", "it is other firmware", "the program does not say that it is MicroPython", hint)
    elif is_too_old(seen.micropython):
        cause = f"the firmware needs {'.'.join(map(str, LEAST))} or newer"
        yield Finding(FAIL, "micropython", f"MicroPython {seen.micropython} is too old", cause, _FLASH)


def _foreign(what: str, its: str, chip: str) -> Finding:
    text = f"the {what} is for {its if its != '?' else 'another chip'}, and this chip is {chip}"
    return Finding(FAIL, "image", text, "", "flash an image for this chip: fleet board flash --chip auto --force")


def _size(text: str, size: int) -> Finding:
    hint = "flash a base image for this size: fleet board flash --force"
    return Finding(FAIL, "flash-size", f"{text}, and the chip has {size >> 20} MB", "", hint)
