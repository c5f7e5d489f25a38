"""What a chip in download mode answers on its serial port: the ROM loader and the flasher stub."""

from tools.virtual_board.loader.loader import Loader
from tools.virtual_board.loader.protocol import SYNC_BEGIN
from tools.virtual_board.loader.registers import Registers
from tools.virtual_board.loader.spi import SpiFlash

__all__ = ["SYNC_BEGIN", "Loader", "Registers", "SpiFlash"]
