"""LittleFS images as MicroPython reads them: the file system of a node, built and read on the host."""

from collections.abc import Mapping
from typing import Any

from littlefs import LittleFS

from fleet.flashing.firmware import Firmware
from protocol.identity import PATH, Identity

BLOCK = 4096  # bytes that one erase sets
SIZE = 512 * BLOCK  # the vfs partition of a 4 MB board
SLOT = "/a/"  # where a program is flashed; updates over the air alternate with /b/

# extmod/vfs_lfsx.c of MicroPython. On disk only the size and number of blocks matter, and name_max <= 255.
_AS_MICROPYTHON: dict[str, Any] = {
    "block_size": BLOCK,
    "read_size": 32,
    "prog_size": 32,
    "cache_size": 128,
    "lookahead_size": 32,
    "block_cycles": 100,
    "name_max": 255,
}


def files_of(firmware: Firmware, identity: Identity | None = None) -> dict[str, bytes]:
    """{absolute path: contents} of a node; without an identity, one that waits for it."""
    files = {"/" + name: data for name, data in firmware.stage.items()}
    files.update({SLOT + name: data for name, data in firmware.slot.items()})
    return files if identity is None else {**files, PATH: identity.encode()}


def build(files: Mapping[str, bytes], size: int = SIZE) -> bytes:
    """A LittleFS image of `size` bytes that holds `files`."""
    fs = LittleFS(block_count=size // BLOCK, **_AS_MICROPYTHON)
    for path, data in files.items():
        fs.makedirs(path.rpartition("/")[0] or "/", exist_ok=True)
        with fs.open(path, "wb") as file:
            file.write(data)
    return bytes(fs.context.buffer)


def read(image: bytes) -> dict[str, bytes]:
    """{absolute path: contents} of every file in a LittleFS image."""
    fs = LittleFS(block_count=len(image) // BLOCK, mount=False, **_AS_MICROPYTHON)
    fs.context.buffer = bytearray(image)
    fs.mount()
    found = {}
    for folder, _, names in fs.walk("/"):
        for name in names:
            path = f"{folder.rstrip('/')}/{name}"
            with fs.open(path, "rb") as file:
                found[path] = file.read()
    return found
