"""From reset to program: what is in flash decides what starts, and what is printed when nothing does."""

import struct

import pytest

from tools.virtual_board import boot, image, partitions
from tools.virtual_board.base import app_image, base_image, rows
from tools.virtual_board.boot import BootError, Cause, load, sequence_crc
from tools.virtual_board.chips import CHIPS
from tools.virtual_board.flash import BLOCK, FlashChip
from tools.virtual_board.partitions import Partition

OTADATA = 0xD000
SLOTS = (0x10000, 0x190000)
NEW, PENDING, VALID, INVALID, ABORTED, UNDEFINED = 0, 1, 2, 3, 4, 0xFFFFFFFF


def flash_of(tmp_path, chip="esp32", size=4 << 20, **options) -> FlashChip:
    found = FlashChip(tmp_path / "flash.bin", size, tmp_path / "operations.bin")
    found.begin()
    found.program(CHIPS[chip].bootloader_at, base_image(chip, size=8192, **options))
    return found


@pytest.fixture
def flash(tmp_path):
    found = flash_of(tmp_path)
    yield found
    found.close()


@pytest.fixture
def ota(tmp_path):
    found = flash_of(tmp_path, ota=True)
    found.program(SLOTS[1], app_image(CHIPS["esp32"], 4 << 20, 8192))
    yield found
    found.close()


def select(flash: FlashChip, copy: int, sequence: int, state: int = UNDEFINED, spoil: int = 0) -> None:
    at = OTADATA + copy * BLOCK
    flash.erase(at, BLOCK)
    flash.program(at, struct.pack("<I20sII", sequence, bytes(20), state, sequence_crc(sequence) ^ spoil))


def state_of(flash: FlashChip, copy: int) -> int:
    return int.from_bytes(flash.read(OTADATA + copy * BLOCK + 24, 4), "little")


@pytest.mark.parametrize("chip", CHIPS)
def test_a_base_image_starts_on_its_chip(chip, tmp_path):
    flash = flash_of(tmp_path, chip)
    found = load(CHIPS[chip], flash)
    assert (found.app.name, found.app.offset) == ("factory", 0x10000)
    assert found.partitions[-1] == Partition("vfs", 1, 0x81, 0x200000, 0x200000)
    flash.close()


DAMAGED = {  # sentence: (address, bytes that are written over an erased block, a line that is printed)
    "no bootloader": (0x1000, b"", "invalid header: 0xffffffff"),
    "something else where the bootloader is": (0x1000, b"hello world!", "invalid header: 0x6c6c6568"),
    "a bootloader of which a block is missing": (0x2000, b"", "csum err"),
    "no partition table": (0x8000, b"", "partition 0 invalid magic number 0xffff"),
    "no app": (0x10000, b"", "image at 0x10000 has invalid magic byte (nothing flashed here?)"),
    "an app of which a block is missing": (0x11000, b"", "invalid segment length 0xffffffff"),
}


@pytest.mark.parametrize("sentence", DAMAGED)
def test_what_is_damaged_is_named_as_the_chip_names_it(sentence, flash):
    at, data, line = DAMAGED[sentence]
    flash.erase(at, BLOCK)
    flash.program(at, data)
    with pytest.raises(BootError) as caught:
        load(CHIPS["esp32"], flash)
    assert any(line in printed for printed in caught.value.lines)


def test_a_table_for_a_larger_flash_is_refused(flash):
    flash.erase(0x8000, BLOCK)
    flash.program(0x8000, partitions.build([*rows(4 << 20, ota=False), Partition("vfs", 1, 0x81, 0x200000, 0x600000)]))
    with pytest.raises(BootError) as caught:
        load(CHIPS["esp32"], flash)
    assert "exceeds flash chip size 0x400000" in "".join(caught.value.lines)


def test_a_header_for_a_larger_flash_is_refused(tmp_path):
    flash = flash_of(tmp_path, flash_size="8MB")
    with pytest.raises(BootError, match="smaller than the size in the binary image header"):
        load(CHIPS["esp32"], flash)
    flash.close()


def test_an_app_of_another_chip_is_refused(flash):
    flash.erase(0x10000, 4 * BLOCK)
    flash.program(0x10000, app_image(CHIPS["esp32c3"], 4 << 20, 8192))
    with pytest.raises(BootError) as caught:
        load(CHIPS["esp32"], flash)
    assert "E (40) boot_comm: mismatch chip ID, expected 0, found 5" in caught.value.lines


SELECTED = {  # sentence: (entries of otadata (copy, sequence, state), the app that starts)
    "nothing selected": ([], "ota_0"),
    "one selected": ([(0, 2, UNDEFINED)], "ota_1"),
    "the newer of two": ([(0, 1, VALID), (1, 2, VALID)], "ota_1"),
    "the newer of two in the first copy": ([(0, 3, VALID), (1, 2, VALID)], "ota_0"),
    "the newer is invalid": ([(0, 1, VALID), (1, 2, INVALID)], "ota_0"),
    "the newer was aborted": ([(0, 1, VALID), (1, 2, ABORTED)], "ota_0"),
    "the newer was tried and never confirmed": ([(0, 1, VALID), (1, 2, PENDING)], "ota_0"),
    "a new one is tried": ([(0, 1, VALID), (1, 2, NEW)], "ota_1"),
    "both are invalid": ([(0, 1, INVALID), (1, 2, ABORTED)], "ota_0"),
}


@pytest.mark.parametrize("sentence", SELECTED)
def test_otadata_selects_the_app(sentence, ota):
    entries, wanted = SELECTED[sentence]
    for copy, sequence, state in entries:
        select(ota, copy, sequence, state)
    assert load(CHIPS["esp32"], ota).app.name == wanted


def test_a_new_app_is_tried_once(ota):
    select(ota, 0, 1, VALID)
    select(ota, 1, 2, NEW)
    assert load(CHIPS["esp32"], ota).app.name == "ota_1"
    assert state_of(ota, 1) == PENDING
    assert load(CHIPS["esp32"], ota).app.name == "ota_0"
    assert state_of(ota, 1) == ABORTED


def test_the_first_app_that_starts_is_noted_as_valid(ota):
    assert load(CHIPS["esp32"], ota).app.name == "ota_0"
    assert (state_of(ota, 0), state_of(ota, 1)) == (VALID, UNDEFINED)
    select(ota, 1, 2, NEW)
    assert [load(CHIPS["esp32"], ota).app.name for _ in range(2)] == ["ota_1", "ota_0"]


def test_an_app_may_be_whole_and_not_start(ota):
    assert load(CHIPS["esp32"], ota).starts
    for at in range(SLOTS[0], SLOTS[0] + 3 * BLOCK, BLOCK):
        ota.erase(at, BLOCK)
    ota.program(SLOTS[0], app_image(CHIPS["esp32"], 4 << 20, 8192, entry=0))
    assert not load(CHIPS["esp32"], ota).starts


def test_a_selection_with_a_wrong_check_word_is_none(ota):
    select(ota, 0, 1, VALID)
    select(ota, 1, 2, VALID, spoil=1)
    assert load(CHIPS["esp32"], ota).app.name == "ota_0"


def test_a_selected_app_that_is_damaged_gives_way(ota):
    select(ota, 0, 2, VALID)
    ota.erase(SLOTS[1] + BLOCK, BLOCK)
    assert load(CHIPS["esp32"], ota).app.name == "ota_0"


def test_every_cause_has_its_line_on_every_chip():
    for chip in CHIPS.values():
        for cause in Cause:
            text = boot.first_lines(chip, cause, download=False)
            assert "rst:0x" in text
            assert "SPI_FAST_FLASH_BOOT" in text
        assert "waiting for download" in boot.first_lines(chip, Cause.PIN, download=True)
    assert set(boot.MACHINE_CAUSE) == set(Cause)


def test_a_table_keeps_its_rows_and_its_digest():
    table = rows(4 << 20, ota=True)
    data = partitions.build(table)
    assert partitions.parse(data, 4 << 20) == table
    with pytest.raises(partitions.TableError, match="MD5"):
        partitions.parse(data[:10] + b"\x01" + data[11:], 16 << 20)


def test_the_rest_of_the_flash_is_vfs_unless_the_table_says_otherwise():
    factory = rows(4 << 20, ota=False)
    assert partitions.with_vfs(factory, 16 << 20)[-1] == Partition("vfs", 1, 0x81, 0x200000, 14 << 20)
    assert partitions.with_vfs(factory, 2 << 20) == factory
    assert partitions.with_vfs(rows(4 << 20, ota=True), 8 << 20) == rows(4 << 20, ota=True)


def test_an_image_with_any_byte_changed_is_refused(tmp_path):
    good = image.build(0, 4 << 20, 0x40080000, [(0x3F400020, bytes(range(256))), (0x40080000, b"code" * 8)])

    def check(data: bytes) -> None:
        image.check(lambda at, size: data[at : at + size].ljust(size, b"\xff"), 0, 4096)

    check(good)
    unchecked = {1, 2, 3, *range(4, 24)}  # the header is under the SHA-256 only
    for at in range(len(good)):
        changed = good[:at] + bytes([good[at] ^ 0x40]) + good[at + 1 :]
        if at in unchecked:
            changed = changed[:-32] + good[-32:]
        with pytest.raises((image.ImageError, struct.error)):
            check(changed)
