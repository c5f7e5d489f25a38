"""The chips that a virtual board can be: the one place to add a chip to."""

from tools.virtual_board.chips import esp32, esp32c3, esp32s3
from tools.virtual_board.chips.chip import CRYSTAL_HZ, MAGIC_AT, MEGABYTE, Chip, SpiRegisters

CHIPS: dict[str, Chip] = {chip.name: chip for chip in (esp32.CHIP, esp32s3.CHIP, esp32c3.CHIP)}

__all__ = ["CHIPS", "CRYSTAL_HZ", "MAGIC_AT", "MEGABYTE", "Chip", "SpiRegisters"]
