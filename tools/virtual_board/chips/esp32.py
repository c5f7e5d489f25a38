"""The first ESP32 (ESP32-D0WD-V3, revision v3.0). Addresses: ESP32 TRM v5.2, chapters 7, 12, 20 and 21."""

from tools.virtual_board.chips.chip import MEGABYTE, BootText, Chip, SpiRegisters

_EFUSE = 0x3FF5A000
_D0WD = 1 << 9  # package
_MHZ_240 = 1 << 13  # "rated", and not the low one
_REVISION_3 = 1 << 15  # with bit 20 of word 5 and bit 31 of APB_CTRL_DATE
_CK8M = 128  # with the calibration value below the ROM takes the crystal for exactly 40 MHz


def crc8(mac: bytes) -> int:
    """The check byte of the MAC (polynomial 0x8C reflected, start 0; esp_crc8 of the ROM)."""
    crc = 0
    for byte in mac:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x8C if crc & 1 else 0)
    return crc


def efuses(mac: bytes) -> dict[int, int]:
    """Block 0: nothing is protected, no security is on (TRM table 20-1)."""
    words = {
        1: int.from_bytes(mac[2:], "big"),
        2: crc8(mac) << 16 | int.from_bytes(mac[:2], "big"),
        3: _REVISION_3 | _MHZ_240 | _D0WD,
        4: _CK8M,
        5: 1 << 20,
    }
    return {_EFUSE + 4 * number: word for number, word in words.items()}


CHIP = Chip(
    name="esp32",
    title="ESP32",
    image_id=0,
    magic=0x00F01D83,
    has_security_info=False,
    bootloader_at=0x1000,
    flash_size=4 * MEGABYTE,
    spi=SpiRegisters(0x3FF42000, 0x3FF4201C, 0x3FF42024, 0x3FF4202C, 0x3FF42080, address_at_top=True),
    uart_divider=0x3FF40014,
    efuses=efuses,
    constants={
        0x3FF6607C: 1 << 31,  # APB_CTRL_DATE
        0x3FF5F06C: 800 << 7,  # TIMG0_RTCCALICFG1
    },
    efuse_command=_EFUSE + 0x104,
    boot=BootText(
        banner="ets Jul 29 2019 12:21:46\r\n\r\n",
        resets={
            "power-on": "0x1 (POWERON_RESET)",
            "pin": "0x1 (POWERON_RESET)",
            "software": "0xc (SW_CPU_RESET)",
            "watchdog": "0xc (SW_CPU_RESET)",
            "boot-watchdog": "0x10 (RTCWDT_RTC_RESET)",
            "deep-sleep": "0x5 (DEEPSLEEP_RESET)",
            "brown-out": "0xf (RTCWDT_BROWN_OUT_RESET)",
        },
        app="0x13 (SPI_FAST_FLASH_BOOT)",
        download="0x3 (DOWNLOAD_BOOT(UART0/UART1/SDIO_REI_REO_V2))",
        loaded=(
            "configsip: 0, SPIWP:0xee",
            "clk_drv:0x00,q_drv:0x00,d_drv:0x00,cs0_drv:0x00,hd_drv:0x00,wp_drv:0x00",
            "mode:DIO, clock div:2",
            "load:0x3fff0030,len:4728",
            "load:0x40078000,len:14888",
            "load:0x40080400,len:3368",
            "entry 0x400805cc",
        ),
    ),
)
