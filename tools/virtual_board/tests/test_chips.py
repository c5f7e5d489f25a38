"""What tells one chip from another, as esptool reads it: registers, eFuses, the flash behind the SPI controller."""

import struct

import pytest

from tools.virtual_board.chips import CHIPS
from tools.virtual_board.chips.esp32 import crc8
from tools.virtual_board.tests.harness import MAC, Bench

SPI_BASE = {"esp32": 0x3FF42000, "esp32s3": 0x60002000, "esp32c3": 0x60002000}
USR2, W0 = {"esp32": 0x24, "esp32s3": 0x20, "esp32c3": 0x20}, {"esp32": 0x80, "esp32s3": 0x58, "esp32c3": 0x58}
MAC_AT = {"esp32s3": 0x60007044, "esp32c3": 0x60008844}


@pytest.fixture(params=CHIPS)
def bench(request, tmp_path):
    found = Bench(tmp_path, chip=request.param, size=8 << 20)
    yield found
    found.flash.close()


def flash_command(bench: Bench, code: int, data: int = 0, address: int = 0) -> int:
    """As esptool runs a command of the flash chip."""
    base = SPI_BASE[bench.chip]
    bench.write_reg(base + USR2[bench.chip], 7 << 28 | code)
    bench.write_reg(base + 4, address << 8 if bench.chip == "esp32" else address)
    bench.write_reg(base + W0[bench.chip], data)
    bench.write_reg(base, 1 << 18)
    assert bench.read_reg(base) == 0
    return bench.read_reg(base + W0[bench.chip])


def test_the_magic_register_names_the_chip(bench):
    assert bench.read_reg(0x40001000) == CHIPS[bench.chip].magic


def test_security_info_has_the_chip_id_where_the_rom_knows_the_command(bench):
    _, data, status = bench.ask(0x14)
    if bench.chip == "esp32":
        assert status == bytes([1, 5, 0, 0])
    else:
        assert struct.unpack_from("<I", data, 12)[0] == CHIPS[bench.chip].image_id
        assert len(data) == 20


def test_the_mac_is_in_the_efuses(bench):
    if bench.chip == "esp32":
        low, high = bench.read_reg(0x3FF5A004), bench.read_reg(0x3FF5A008)
        assert high >> 16 == crc8(MAC)
    else:
        low, high = bench.read_reg(MAC_AT[bench.chip]), bench.read_reg(MAC_AT[bench.chip] + 4)
    assert (struct.pack(">II", high, low))[2:] == MAC


def test_the_check_byte_of_a_mac():
    assert crc8(bytes.fromhex("240ac47dc96f")) == 0x3D  # computed by espefuse


def test_the_flash_says_who_it_is_and_how_large(bench):
    assert flash_command(bench, 0x9F) == 0x1740C8
    assert flash_command(bench, 0x5A, address=0) == int.from_bytes(b"SFDP", "little")
    assert flash_command(bench, 0x5A, address=0x10) & 0xFF == 0xC8


def test_status_registers_are_written_only_when_writing_is_enabled(bench):
    flash_command(bench, 0x01, data=0x40)
    assert flash_command(bench, 0x05) == 0
    flash_command(bench, 0x06)
    flash_command(bench, 0x01, data=0x40)
    assert flash_command(bench, 0x05) == 0x40
    flash_command(bench, 0x31, data=2)
    assert flash_command(bench, 0x35) == 0


def test_the_uart_divider_is_that_of_a_40_mhz_crystal(bench):
    assert bench.read_reg(CHIPS[bench.chip].uart_divider) == 40_000_000 // 115200


def test_efuse_commands_are_done_at_once(bench):
    bench.write_reg(CHIPS[bench.chip].efuse_command, 1)
    assert bench.read_reg(CHIPS[bench.chip].efuse_command) == 0


def test_constants_cannot_be_overwritten(bench):
    bench.write_reg(0x40001000, 0)
    assert bench.read_reg(0x40001000) == CHIPS[bench.chip].magic


def test_a_mask_leaves_the_other_bits(bench):
    bench.write_reg(0x60000100, 0x12345678)
    bench.write_reg(0x60000100, 0xFFFFFFFF, mask=0xFF00)
    assert bench.read_reg(0x60000100) == 0x1234FF78


def test_the_watchdog_of_newer_chips_can_be_started(bench):
    if bench.chip != "esp32":
        bench.write_reg(CHIPS[bench.chip].watchdog, 1 << 31)
        assert bench.watchdogs == 1
