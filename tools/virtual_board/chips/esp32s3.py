"""The ESP32-S3 (QFN56, revision v0.2). Addresses: ESP32-S3 TRM v1.6, chapters 5, 26 and 30."""

from tools.virtual_board.chips.chip import MEGABYTE, BootText, Chip
from tools.virtual_board.chips.newer import EFUSE_COMMAND, RESETS, SPI, UART_DIVIDER, efuses

_EFUSE = 0x60007000

CHIP = Chip(
    name="esp32s3",
    title="ESP32-S3",
    image_id=9,
    magic=0x00000009,
    has_security_info=True,
    bootloader_at=0x0,
    flash_size=8 * MEGABYTE,
    spi=SPI,
    uart_divider=UART_DIVIDER,
    efuses=lambda mac: efuses(_EFUSE, mac, minor=2),
    constants={0x60004038: 1 << 3},  # GPIO_STRAP: started from flash
    watchdog=0x60008098,
    efuse_command=_EFUSE + EFUSE_COMMAND,
    boot=BootText(
        banner="ESP-ROM:esp32s3-20210327\r\nBuild:Mar 27 2021\r\n",
        resets=RESETS,
        app="0x8 (SPI_FAST_FLASH_BOOT)",
        download="0x0 (DOWNLOAD(USB/UART0))",
        loaded=(
            "SPIWP:0xee",
            "mode:DIO, clock div:1",
            "load:0x3fce3808,len:0x4bc",
            "load:0x403c9700,len:0xbd8",
            "load:0x403cc700,len:0x2a0c",
            "entry 0x403c98d0",
        ),
    ),
)
