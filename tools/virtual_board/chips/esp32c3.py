"""The ESP32-C3 (QFN32, revision v0.4). Addresses: ESP32-C3 TRM v1.2, chapters 4, 26 and 27."""

from tools.virtual_board.chips.chip import MEGABYTE, BootText, Chip
from tools.virtual_board.chips.newer import EFUSE_COMMAND, RESETS, SPI, UART_DIVIDER, efuses

_EFUSE = 0x60008800

CHIP = Chip(
    name="esp32c3",
    title="ESP32-C3",
    image_id=5,
    magic=0x1B31506F,
    has_security_info=True,
    bootloader_at=0x0,
    flash_size=4 * MEGABYTE,
    spi=SPI,
    uart_divider=UART_DIVIDER,
    efuses=lambda mac: efuses(_EFUSE, mac, minor=4),
    watchdog=0x60008090,
    efuse_command=_EFUSE + EFUSE_COMMAND,
    boot=BootText(
        banner="ESP-ROM:esp32c3-api1-20210207\r\nBuild:Feb  7 2021\r\n",
        resets=RESETS,
        app="0xd (SPI_FAST_FLASH_BOOT)",
        download="0x5 (DOWNLOAD(USB/UART0/1))",
        loaded=(
            "SPIWP:0xee",
            "mode:DIO, clock div:1",
            "load:0x3fcd5820,len:0x1574",
            "load:0x403cc710,len:0xbc8",
            "load:0x403ce710,len:0x2e1c",
            "entry 0x403cc710",
        ),
    ),
)
