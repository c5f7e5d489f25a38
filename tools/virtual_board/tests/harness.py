"""What the tests of this folder share: a loader without a board, and the tools as a shell has them."""

import struct
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tools.interpreter import ROOT
from tools.virtual_board import slip
from tools.virtual_board.chips import CHIPS
from tools.virtual_board.flash import FlashChip
from tools.virtual_board.loader import Loader, Registers, SpiFlash
from tools.virtual_board.loader.protocol import checksum

MAC = bytes.fromhex("240ac4000001")
MEGABYTE = 1 << 20
TOOL_S = 120


@dataclass
class Bench:
    """A loader on a small flash; `ask` gives (value, data, status) of one command."""

    directory: Path
    chip: str = "esp32"
    size: int = MEGABYTE
    left: list[bool] = field(default_factory=list)
    watchdogs: int = 0

    def __post_init__(self) -> None:
        chip = CHIPS[self.chip]
        self.flash = FlashChip(self.directory / "flash.bin", self.size, self.directory / "operations.bin")
        self.flash.begin()
        registers = Registers(chip, MAC, SpiFlash(self.size), lambda: 115200, self._watchdog)
        self.sent = bytearray()
        self.loader = Loader(chip, self.flash, registers, self.sent.extend, self.left.append)

    def _watchdog(self) -> None:
        self.watchdogs += 1

    def feed(self, op: int, data: bytes = b"", check: int = 0) -> list[bytes]:
        self.sent.clear()
        self.loader.feed(slip.encode(struct.pack("<BBHI", 0, op, len(data), check) + data))
        return slip.Decoder(1 << 20).feed(bytes(self.sent))

    def ask(self, op: int, data: bytes = b"", check: int = 0) -> tuple[int, bytes, bytes]:
        frame = self.feed(op, data, check)[0]
        width = 2 if self.loader.stub and op != 0x06 else 4
        direction, answered, size, value = struct.unpack("<BBHI", frame[:8])
        assert (direction, answered, size) == (1, op, len(frame) - 8)
        return value, frame[8:-width], frame[-width:]

    def words(self, op: int, *values: int) -> tuple[int, bytes, bytes]:
        return self.ask(op, struct.pack(f"<{len(values)}I", *values))

    def block(self, op: int, sequence: int, data: bytes, spoil: int = 0) -> bytes:
        """The status of one block of data."""
        head = struct.pack("<IIII", len(data), sequence, 0, 0)
        return self.ask(op, head + data, checksum(data) ^ spoil)[2]

    def read_reg(self, address: int) -> int:
        return self.words(0x0A, address)[0]

    def write_reg(self, address: int, value: int, mask: int = 0xFFFFFFFF) -> bytes:
        return self.words(0x09, address, value, mask, 0)[2]

    def run_stub(self) -> None:
        """Upload something, start it: from here on the loader is the stub."""
        self.words(0x05, 4, 1, 4, 0x40080000)
        self.block(0x07, 0, b"stub")
        assert self.feed(0x06, struct.pack("<II", 0, 0x40080000))[1] == b"OHAI"


def tool(name: str) -> str:
    """The program of that name in this environment."""
    return str(Path(sys.executable).parent / name)


def run(*words: str, timeout_s: float = TOOL_S) -> subprocess.CompletedProcess:
    """A command as a shell runs it: the program of this environment, its exit code, its words."""
    return subprocess.run(
        [tool(words[0]), *words[1:]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        stdin=subprocess.DEVNULL,
    )


def told(done: subprocess.CompletedProcess) -> str:
    return done.stdout + done.stderr
