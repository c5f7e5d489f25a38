"""Virtual boards as tests need them: with our firmware in flash, or with something that is wrong."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fleet.flashing import firmware, image
from protocol.identity import Identity
from tools.virtual_board.base import base_image
from tools.virtual_board.launch import BoardProcess

FLASH = 4 << 20
VFS = 2 << 20  # of a 4 MB board: the rest behind the program
BOOTLOADER = {"esp32": 0x1000, "esp32s3": 0, "esp32c3": 0}


@functools.cache
def program() -> firmware.Firmware:
    """Our firmware, compiled once."""
    return firmware.load()


def flash(chip: str = "esp32", files: Mapping[str, bytes] | None = None, identity: Identity | None = None) -> bytes:
    """A whole flash chip as `fleet board flash` leaves it; `files` instead of the firmware's."""
    found = bytearray(b"\xff" * FLASH)
    base = base_image(chip)
    found[BOOTLOADER[chip] : BOOTLOADER[chip] + len(base)] = base
    own = program().of(identity.kind if identity else "")
    found[VFS:] = image.build(image.files_of(own, identity) if files is None else files, FLASH - VFS)
    return bytes(found)


def board(directory: Path, contents: bytes | None, **options: Any) -> BoardProcess:
    """A board with that flash (None: erased), not started yet; `with` starts it."""
    directory.mkdir(parents=True, exist_ok=True)
    if contents is not None:
        (directory / "flash.bin").write_bytes(contents)
    return BoardProcess(directory, flash_size="4MB", **options)
