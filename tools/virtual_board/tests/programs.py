"""A program on a flash image, run without a board around it: what it says, and how its runs end."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from fleet.flashing import image
from tools.virtual_board.program import End, Program, ProgramSetup

FLASH = 4 << 20
VFS = 0x200000
PROMPT = ">>> "
PATIENCE_S = 30.0
STEP_S = 0.005
EPOCH_S = 1767225600
PARTITIONS = (
    {"name": "nvs", "type": 1, "subtype": 2, "offset": 0x9000, "size": 0x6000},
    {"name": "factory", "type": 0, "subtype": 0, "offset": 0x10000, "size": 0x1F0000},
)
OTA = (
    {"name": "nvs", "type": 1, "subtype": 2, "offset": 0x9000, "size": 0x4000},
    {"name": "otadata", "type": 1, "subtype": 0, "offset": 0xD000, "size": 0x2000},
    {"name": "ota_0", "type": 0, "subtype": 0x10, "offset": 0x10000, "size": 0xF0000},
    {"name": "ota_1", "type": 0, "subtype": 0x11, "offset": 0x100000, "size": 0xF0000},
    {"name": "vfs", "type": 1, "subtype": 0x81, "offset": VFS, "size": FLASH - VFS},
)


class Rig:
    """`files` are {path: text} of the file system, None leaves it blank; the rest are fields of ProgramSetup."""

    def __init__(self, directory: Path, files: dict[str, str] | None, **fields: Any) -> None:
        flash = directory / "flash.bin"
        data = bytearray(b"\xff" * FLASH)
        if files is not None:
            data[VFS:] = image.build({path: text.encode() for path, text in files.items()}, FLASH - VFS)
        flash.write_bytes(data)
        fields.setdefault("utc_s", EPOCH_S)
        fields.setdefault("partitions", PARTITIONS)
        mac = bytes.fromhex("240ac4000001")
        self.setup = ProgramSetup(directory=directory, chip=fields.pop("chip", "esp32"), mac=mac, flash=flash, **fields)
        self.said = ""
        self.ends: list[End] = []
        self.program = Program(self.setup, self._said, self.ends.append)

    def write(self, at: int, data: bytes) -> None:
        """Put something else into the flash, before the program starts."""
        with self.setup.flash.open("r+b") as flash:
            flash.seek(at)
            flash.write(data)

    def _said(self, data: bytes) -> None:
        self.said += data.decode(errors="replace")

    async def until(self, met: Callable[[], Any], patience_s: float = PATIENCE_S) -> None:
        deadline = time.monotonic() + patience_s
        while not met():
            assert time.monotonic() < deadline, f"it did not come to that; it said:\n{self.said}"
            await asyncio.sleep(STEP_S)

    async def says(self, text: str, count: int = 1) -> None:
        """Wait until it has said `text` so often."""
        await self.until(lambda: self.said.count(text) >= count)

    async def ended(self, count: int = 1) -> End:
        await self.until(lambda: len(self.ends) >= count)
        return self.ends[count - 1]

    async def typed(self, text: str, wanted: str) -> None:
        """Type, then wait for something new."""
        before = self.said.count(wanted)
        self.program.feed(text.encode())
        await self.says(wanted, before + 1)

    async def again(self, cause: int, **changed: Any) -> None:
        """Start the next run from where the last one ended."""
        self.said = ""
        self.program = Program(replace(self.program.setup, **changed), self._said, self.ends.append)
        await self.program.start(cause)


def play(rig: Rig, script: Callable[[Rig], Awaitable[None]], cause: int = 1) -> str:
    """Start the program, run `script` beside it, end it; everything that it said."""

    async def main() -> None:
        await rig.program.start(cause)
        try:
            await script(rig)
        finally:
            await rig.program.kill()

    asyncio.run(main())
    return rig.said


def to_prompt(rig: Rig) -> str:
    return play(rig, lambda rig: rig.says(PROMPT))
