"""The flash chip: NOR rules, operations counted and logged, the power cut within any of them."""

import random

import pytest

from tools.virtual_board.flash import BLOCK, ERASE, PROGRAM, RECORD, Cut, FlashChip, PowerCut

SIZE = 1 << 20


@pytest.fixture
def chip(tmp_path):
    found = FlashChip(tmp_path / "flash.bin", SIZE, tmp_path / "operations.bin")
    found.begin()
    yield found
    found.close()


def records(chip: FlashChip) -> list[tuple[int, int, bytes]]:
    data, at, found = chip.log_path.read_bytes(), 0, []
    while at < len(data):
        kind, address, size = RECORD.unpack_from(data, at)
        at += RECORD.size
        found.append((kind, address, data[at : at + size]))
        at += size
    return found


def test_a_new_chip_is_erased_and_an_old_one_is_kept(chip, tmp_path):
    assert chip.read(0, SIZE) == b"\xff" * SIZE
    chip.program(5, b"kept")
    again = FlashChip(tmp_path / "flash.bin", 2 * SIZE, tmp_path / "operations.bin")
    assert (again.read(5, 4), again.size) == (b"kept", SIZE)
    again.close()


def test_programming_only_clears_bits_and_erasing_sets_whole_blocks(chip):
    chip.program(10, b"\x0f\xf0")
    chip.program(10, b"\xf3\x3f")
    assert chip.read(9, 4) == b"\xff\x03\x30\xff"
    chip.program(BLOCK, b"\0")
    chip.erase(BLOCK - 1, 1)
    assert chip.read(0, BLOCK) == b"\xff" * BLOCK
    assert chip.read(BLOCK, 1) == b"\0"


def test_each_block_that_is_touched_is_one_operation(chip):
    chip.erase(BLOCK // 2, BLOCK)
    chip.program(BLOCK - 1, bytes(BLOCK + 2))
    assert (chip.operations, chip.erases, chip.programmed) == (5, 2, BLOCK + 2)


@pytest.mark.parametrize("keep", [0, 1, 77, BLOCK - 1, None])
def test_a_cut_leaves_what_was_done_before_it(chip, keep):
    data = random.Random(3).randbytes(4 * BLOCK)
    chip.cut = Cut(chip.operations + 3, keep)
    chip.begin()
    with pytest.raises(PowerCut):
        chip.program(0, data)
    there = 2 * BLOCK + (BLOCK if keep is None else keep)
    assert chip.read(0, 4 * BLOCK) == data[:there] + b"\xff" * (4 * BLOCK - there)
    assert chip.operations == 3
    with pytest.raises(PowerCut):
        chip.erase(0, 1)  # without power nothing is done
    chip.begin()
    chip.erase(0, 1)


def test_the_log_is_enough_to_build_the_chip_again(chip):
    chip.record(on=True)
    chip.program(100, b"abc")
    chip.erase(0, BLOCK)
    chip.program(BLOCK - 2, b"1234")
    chip.record(on=False)
    chip.program(0, b"not logged")
    found = records(chip)
    assert [(kind, at, len(data)) for kind, at, data in found] == [
        (PROGRAM, 100, 3),
        (ERASE, 0, BLOCK),
        (PROGRAM, BLOCK - 2, 2),
        (PROGRAM, BLOCK, 2),
    ]
    image = bytearray(b"\xff" * SIZE)
    for _, at, data in found:
        image[at : at + len(data)] = data
    chip.erase(0, 1)
    chip.program(BLOCK - 2, b"12")
    assert image == chip.read(0, SIZE)


def test_a_torn_operation_is_in_the_log_as_far_as_it_came(chip):
    chip.record(on=True)
    chip.cut = Cut(1, 2)
    chip.begin()
    with pytest.raises(PowerCut):
        chip.program(0, b"abcd")
    assert records(chip) == [(PROGRAM, 0, b"ab")]
