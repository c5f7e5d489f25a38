"""What the loaders, esptool and espefuse can tell one chip from another by."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class SpiRegisters:
    """Addresses of the SPI controller that the flash is attached to (TRM, chapter "SPI Controller")."""

    base: int  # CMD; ADDR follows at +4
    user: int
    user2: int
    miso_bits: int
    data: int  # W0 to W15
    address_at_top: bool  # the address is in the upper bits of ADDR

    @property
    def address(self) -> int:
        """ADDR."""
        return self.base + 4


@dataclass(frozen=True)
class BootText:
    """What the ROM prints at a reset."""

    banner: str
    resets: dict[str, str]  # cause (boot.POWER_ON ...): "0x1 (POWERON_RESET)"
    app: str  # "0x13 (SPI_FAST_FLASH_BOOT)"
    download: str
    loaded: tuple[str, ...]  # lines after a valid header was found


@dataclass(frozen=True)
class Chip:
    """One kind of chip. `efuses(mac)` gives its eFuse registers {address: word}; those that are missing read 0."""

    name: str  # as esptool's --chip
    title: str
    image_id: int  # chip_id of image headers; of GET_SECURITY_INFO, where the ROM has it
    magic: int  # at MAGIC_AT
    has_security_info: bool
    bootloader_at: int
    flash_size: int  # of the usual module, bytes
    spi: SpiRegisters
    uart_divider: int  # address of UART_CLKDIV
    efuses: Callable[[bytes], dict[int, int]]
    boot: BootText
    constants: dict[int, int] = field(default_factory=dict)  # other registers that read something else than 0
    watchdog: int = 0  # RTC_CNTL_WDTCONFIG0: bit 31 starts the watchdog that esptool resets the chip with; 0 for none
    efuse_command: int = 0  # EFUSE_CMD: reads 0 as soon as a command is done


MAGIC_AT = 0x40001000  # esptool, "chip detect magic register"
CRYSTAL_HZ = 40_000_000
MEGABYTE = 1 << 20
