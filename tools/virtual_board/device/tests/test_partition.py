"""Partitions as block devices, and the two sectors that say which application is started."""

from protocol.tests.expect import raises
from tools.sim.flash import BLOCK, Flash, PowerCut, Ram
from tools.virtual_board.device.chip import Region
from tools.virtual_board.device.partition import OtaData, crc

SECTORS = 2 * BLOCK


def otadata(ram, slots=2):
    return OtaData(Region(Flash(ram), 0, SECTORS), slots)


def chosen(ram, slots=2):
    """What the bootloader starts: the slot of the higher valid sequence, None for the factory application."""
    data = otadata(ram, slots)
    active = data.active()
    return None if active is None else (data.entries()[active][0] - 1) % slots


def test_nothing_is_chosen_at_first():
    assert chosen(Ram(size=SECTORS)) is None


def test_the_slot_that_was_chosen_last_is_started():
    for slots in (1, 2, 3):
        ram = Ram(size=SECTORS)
        for slot in (0, slots - 1, 0, 0, slots - 1, 0):
            otadata(ram, slots).choose(slot)
            assert chosen(ram, slots) == slot


def test_a_new_slot_is_on_trial_until_it_confirms_itself():
    ram = Ram(size=SECTORS)
    otadata(ram).choose(1)
    assert max(otadata(ram).entries()) == (2, 0)
    for _ in range(2):
        otadata(ram).confirm()
        assert max(otadata(ram).entries()) == (2, 2)


def test_there_is_nothing_to_confirm_where_nothing_was_chosen():
    assert raises(OSError, otadata(Ram(size=SECTORS)).confirm).args == (1,)


def test_the_one_to_go_back_to_is_never_lost():
    """A slot that was given up counts no more, so what is chosen next takes its entry, not that of the good one."""
    for good in (0, 1):
        ram = Ram(size=SECTORS)
        otadata(ram).choose(good)
        otadata(ram).confirm()
        for _ in range(3):
            otadata(ram).choose(1 - good)
            data = otadata(ram)
            data._write(data.active(), data.entries()[data.active()][0], 4)  # the bootloader gives it up
            assert chosen(ram) == good


def test_to_forget_is_to_start_the_factory_application():
    ram = Ram(size=SECTORS)
    otadata(ram).choose(1)
    otadata(ram).forget()
    assert chosen(ram) is None


def test_a_cut_while_it_chooses_leaves_the_old_choice_or_the_new_one():
    for operation in (1, 2):
        for keep in (0, 1, 5, 31, None):
            ram = Ram(size=SECTORS)
            otadata(ram).choose(0)
            otadata(ram).confirm()
            flash = Flash(ram)
            flash.cut_after(operation, keep)
            raises(PowerCut, OtaData(Region(flash, 0, SECTORS), 2).choose, 1)
            assert chosen(ram) in (0, 1)


def test_the_check_word_is_that_of_the_rom():
    assert crc(1) == 0x4743989A  # as esptool and otatool know it


def region(size=4 * BLOCK, block=BLOCK, at=BLOCK):
    ram = Ram(b"\x00" * (at + size + BLOCK))
    return ram, Region(Flash(ram), at, size, block)


def test_a_region_stays_within_itself():
    ram, part = region()
    assert (part.ioctl(4, 0), part.ioctl(5, 0)) == (4, BLOCK)
    for block in range(4):
        part.ioctl(6, block)
    assert ram.data == b"\x00" * BLOCK + b"\xff" * (4 * BLOCK) + b"\x00" * BLOCK


def test_a_write_without_an_offset_erases_with_one_it_does_not():
    ram, part = region()
    part.writeblocks(1, b"\x55" * 100)
    assert ram.data[2 * BLOCK : 2 * BLOCK + 101] == b"\x55" * 100 + b"\xff"
    part.writeblocks(1, b"\x0f", 2)
    assert ram.data[2 * BLOCK + 2] == 0x05


def test_what_goes_over_a_sector_is_two_operations():
    _, part = region()
    part.writeblocks(0, bytes(2 * BLOCK), 100)
    assert part._chip.operations == 3


def test_blocks_may_be_smaller_and_larger_than_a_sector():
    _, part = region(block=512)
    assert part.ioctl(4, 0) == 32
    ram, part = region(block=2 * BLOCK)
    part.ioctl(6, 1)
    assert ram.data[BLOCK : 5 * BLOCK] == b"\x00" * (2 * BLOCK) + b"\xff" * (2 * BLOCK)
