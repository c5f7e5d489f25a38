"""The registers that a loader reads and writes: constants and eFuses, plain memory, and those that do something."""

from collections.abc import Callable

from tools.virtual_board.chips import CRYSTAL_HZ, MAGIC_AT, Chip
from tools.virtual_board.loader.protocol import Fault, RefusedError
from tools.virtual_board.loader.spi import SpiFlash

_WRITTEN_MAX = 4096  # registers that the host may have written
_START = 1 << 18  # in the CMD register of the SPI controller: do the user command
_WATCHDOG_ON = 1 << 31
_WORD = 0xFFFFFFFF


class Registers:
    """One chip's. `baud()` is the rate that the host speaks at, as the ROM measured it; `on_watchdog()` is called when
    the host starts the watchdog to reset the chip."""

    def __init__(
        self, chip: Chip, mac: bytes, spi: SpiFlash, baud: Callable[[], int], on_watchdog: Callable[[], None]
    ) -> None:
        self._chip = chip
        self._spi = spi
        self._baud = baud
        self._on_watchdog = on_watchdog
        self._fixed = {MAGIC_AT: chip.magic, **chip.efuses(mac)}
        self._memory = dict(chip.constants)

    def read(self, address: int) -> int:
        """The word at `address`; 0 where nothing is known."""
        if address == self._chip.uart_divider:
            return CRYSTAL_HZ // max(self._baud(), 1)
        return self._fixed.get(address, self._memory.get(address, 0))

    def write(self, address: int, value: int, mask: int) -> None:
        """Write the bits of `mask`; RefusedError when too many different registers were written."""
        if address not in self._memory and len(self._memory) >= _WRITTEN_MAX:
            raise RefusedError(Fault.FAILED)
        word = (self._memory.get(address, 0) & ~mask | value & mask) & _WORD
        if address == self._chip.spi.base and word & _START:
            self._execute()
            word &= ~_START
        if address == self._chip.efuse_command:  # every command is done at once; a burn changes nothing
            word = 0
        self._memory[address] = word
        if address == self._chip.watchdog and word & _WATCHDOG_ON:
            self._on_watchdog()

    def _execute(self) -> None:
        """The user command that the SPI registers describe."""
        spi = self._chip.spi
        address = self._memory.get(spi.address, 0)
        self._memory[spi.data] = self._spi.command(
            self._memory.get(spi.user2, 0) & 0xFF,
            address >> 8 if spi.address_at_top else address,  # three bytes of address
            self._memory.get(spi.data, 0),
        )
