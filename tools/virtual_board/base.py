"""A base image for virtual boards: what a MicroPython download is (bootloader, partition table, app), without code.

`python -m tools.virtual_board.base --chip esp32 OUT.bin` writes one. The real program of a virtual board is the
MicroPython of this computer; what is in flash decides whether, from where and with which partitions it starts.
"""

import argparse
import random
import struct
import sys
from pathlib import Path

from tools.interpreter import version
from tools.virtual_board import image, partitions
from tools.virtual_board.boot import physical_size
from tools.virtual_board.chips import CHIPS, MEGABYTE, Chip
from tools.virtual_board.partitions import Partition

APP_SIZE = 256 << 10  # bytes of the app by default; a real one has about 1 700 000
_APP_AT = 0x10000
_SLOTS = {False: 0x180000, True: 0x270000}  # by whether the flash has 8 MB
_FACTORY = 0x1F0000
_DESCRIPTION = struct.Struct("<II8s32s32s16s16s32s32s80s")  # esp_app_desc_t
_DESCRIPTION_MAGIC = 0xABCD5432
_IDF = b"v5.4.2"
_SEED = 20
_PIECE = 64
# load addresses of (bootloader in RAM, app data in flash, app code in RAM)
_ADDRESSES = {
    "esp32": (0x3FFF0030, 0x3F400020, 0x40080000),
    "esp32s3": (0x3FCE3808, 0x3C000020, 0x40374000),
    "esp32c3": (0x3FCD5820, 0x3C000020, 0x40380000),
}


def rows(flash_size: int, ota: bool) -> list[Partition]:
    """MicroPython's tables: one app and no `vfs` row, or two slots (its partitions-4MiB, 4MiB-ota and 8MiB-ota)."""
    nvs = Partition("nvs", partitions.DATA, partitions.NVS, 0x9000, 0x4000 if ota else 0x6000)
    phy = Partition("phy_init", partitions.DATA, 1, 0xF000, 0x1000)
    if not ota:
        return [nvs, phy, Partition("factory", partitions.APP, partitions.FACTORY, _APP_AT, _FACTORY)]
    room = _room(flash_size, ota)
    slots = [
        Partition(f"ota_{number}", partitions.APP, partitions.OTA_0 + number, _APP_AT + number * room, room)
        for number in range(2)
    ]
    vfs = Partition("vfs", partitions.DATA, partitions.FAT, slots[-1].end, flash_size - slots[-1].end)
    return [nvs, Partition("otadata", partitions.DATA, partitions.OTADATA, 0xD000, 0x2000), phy, *slots, vfs]


def _room(flash_size: int, ota: bool) -> int:
    """Bytes of an app partition."""
    return _SLOTS[flash_size >= 8 * MEGABYTE] if ota else _FACTORY


def base_image(chip: str, flash_size: str = "4MB", ota: bool = False, size: int = APP_SIZE) -> bytes:
    """The file, to be written at the chip's bootloader offset; `size` is about that of the app in bytes.

    ValueError for an unknown chip or size. The same arguments give the same bytes.
    """
    if chip not in CHIPS:
        raise ValueError(f"chip {chip}: one of {', '.join(CHIPS)}")
    what = CHIPS[chip]
    bytes_of_flash = physical_size(flash_size)
    room = _room(bytes_of_flash, ota)
    if not 4096 <= size <= room - 4096:
        raise ValueError(f"an app of {size} bytes: from 4096 to {room - 4096}")
    start = what.bootloader_at
    table = partitions.build(rows(bytes_of_flash, ota))
    data = _bootloader(what, bytes_of_flash).ljust(partitions.TABLE_AT - start, b"\xff") + table
    return data.ljust(_APP_AT - start, b"\xff") + app_image(what, bytes_of_flash, size)


def _bootloader(chip: Chip, flash_size: int) -> bytes:
    address = _ADDRESSES[chip.name][0]
    return image.build(chip.image_id, flash_size, address, [(address, _filling(8192, chip.image_id))])


def app_image(chip: Chip, flash_size: int, size: int, micropython_version: str = "", entry: int | None = None) -> bytes:
    """An app image that says it is MicroPython `micropython_version` (default: the one of this computer).

    One whose `entry` is not in its code panics as soon as it is started.
    """
    _, data_at, code_at = _ADDRESSES[chip.name]
    description = _DESCRIPTION.pack(
        _DESCRIPTION_MAGIC,
        0,
        bytes(8),
        b"v" + (micropython_version or version()).encode(),
        b"micropython",
        b"00:00:00",
        b"Jan  1 2026",
        _IDF,
        bytes(32),
        bytes(80),
    )
    code = _filling(2048, chip.image_id + 1)
    data = description + _filling(size - len(description) - len(code), chip.image_id + 2)
    return image.build(
        chip.image_id, flash_size, code_at if entry is None else entry, [(data_at, data), (code_at, code)]
    )


def _filling(size: int, seed: int) -> bytes:
    """Bytes that compress about as well as machine code does (to 58 %)."""
    rng = random.Random(_SEED + seed)
    pieces = [
        rng.randbytes(_PIECE) + bytes([rng.randrange(256)]) * (_PIECE * 2 // 3) for _ in range(size // _PIECE + 1)
    ]
    return b"".join(pieces)[: size // 4 * 4]


def main(words: list[str]) -> int:
    """Write one; 0, or 2 for a wrong argument."""
    parser = argparse.ArgumentParser(prog="python -m tools.virtual_board.base", description=__doc__)
    parser.add_argument("out", type=Path, metavar="OUT.bin")
    parser.add_argument("--chip", choices=sorted(CHIPS), default="esp32")
    parser.add_argument("--flash-size", default="4MB", metavar="SIZE", help="in the image header (default: 4MB)")
    parser.add_argument("--ota", action="store_true", help="two app slots instead of one factory app")
    parser.add_argument("--size", type=int, default=APP_SIZE, metavar="BYTES", help="of the app")
    asked = parser.parse_args(words)
    try:
        data = base_image(asked.chip, asked.flash_size, asked.ota, asked.size)
    except ValueError as error:
        parser.error(str(error))
    asked.out.write_bytes(data)
    print(f"{asked.out}: {len(data)} bytes, to be written at {CHIPS[asked.chip].bootloader_at:#x}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
