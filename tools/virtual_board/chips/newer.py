"""What the chips after the ESP32-S2 have in common: the eFuse controller and the SPI controller of one design."""

from tools.virtual_board.chips.chip import SpiRegisters

SPI = SpiRegisters(0x60002000, 0x60002018, 0x60002020, 0x60002028, 0x60002058, address_at_top=False)
UART_DIVIDER = 0x60000014
EFUSE_COMMAND = 0x1D4  # from the base of the controller
_BLOCK_1 = 0x44
RESETS = {
    "power-on": "0x1 (POWERON)",
    "pin": "0x1 (POWERON)",
    "software": "0xc (RTC_SW_CPU_RST)",
    "watchdog": "0xc (RTC_SW_CPU_RST)",
    "boot-watchdog": "0x7 (TG0WDT_SYS_RST)",
    "deep-sleep": "0x5 (DSLEEP)",
    "brown-out": "0xf (BROWN_OUT_RST)",
}


def efuses(base: int, mac: bytes, minor: int) -> dict[int, int]:
    """Block 1: MAC and revision v0.`minor`; nothing is protected, no security is on (TRM, "eFuse Controller")."""
    block = base + _BLOCK_1
    return {
        block: int.from_bytes(mac[2:], "big"),
        block + 4: int.from_bytes(mac[:2], "big"),
        block + 12: (minor & 7) << 18,
        block + 20: (minor >> 3) << 23,
    }
