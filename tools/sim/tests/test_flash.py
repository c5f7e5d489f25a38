"""The flash model keeps the rules of the chip, and its power fails where it was told to."""

from tools.sim.flash import BLOCK, ERASE, PROGRAM, Flash, PowerCut, Ram


def small() -> "tuple[Ram, Flash]":
    store = Ram(size=4 * BLOCK)
    return store, Flash(store)


def cut(flash: Flash, block: int, data: bytes, offset: "int | None") -> bool:
    try:
        flash.writeblocks(block, data, offset)
        return False
    except PowerCut:
        return True


def test_a_program_only_clears_bits() -> None:
    store, flash = small()
    flash.writeblocks(1, b"\xf0\xff", 8)
    flash.writeblocks(1, b"\x3f\x0f", 8)
    assert store.data[BLOCK + 8 : BLOCK + 11] == b"\x30\x0f\xff"


def test_only_an_erase_sets_them_and_it_takes_the_whole_block() -> None:
    store, flash = small()
    flash.writeblocks(2, b"\x00" * BLOCK)
    flash.ioctl(6, 2)
    assert store.data == b"\xff" * (4 * BLOCK)


def test_a_write_without_offset_erases_first() -> None:
    store, flash = small()
    flash.writeblocks(0, b"\x00" * BLOCK)
    flash.writeblocks(0, b"\xaa" * BLOCK)
    assert store.data[:BLOCK] == b"\xaa" * BLOCK
    assert (flash.operations, flash.erases, flash.programmed) == (4, 2, 2 * BLOCK)


def test_a_read_takes_what_was_written() -> None:
    _, flash = small()
    flash.writeblocks(3, b"hello", 100)
    found = bytearray(7)
    flash.readblocks(3, found, 99)
    assert found == b"\xffhello\xff"


def test_the_log_names_each_operation_before_it_happens() -> None:
    rows: list[tuple[int, int, int]] = []
    flash = Flash(Ram(size=2 * BLOCK), lambda kind, at, size: rows.append((kind, at, size)))
    flash.writeblocks(1, b"\x00" * 32, 64)
    flash.ioctl(6, 1)
    assert rows == [(PROGRAM, BLOCK + 64, 32), (ERASE, BLOCK, BLOCK)]


def test_a_whole_cut_leaves_the_operation_done_and_nothing_after_it() -> None:
    store, flash = small()
    flash.cut_after(2)
    assert not cut(flash, 0, b"one", 0)
    assert cut(flash, 0, b"two", 32)
    assert cut(flash, 0, b"six", 64)
    assert store.data[32:35] == b"two"
    assert store.data[64:67] == b"\xff\xff\xff"


def test_a_torn_cut_leaves_the_first_bytes_of_the_operation() -> None:
    for keep in range(4):
        store, flash = small()
        flash.cut_after(1, keep)
        assert cut(flash, 0, b"\x01\x02\x03", 0)
        assert store.data[:3] == (b"\x01\x02\x03"[:keep] + b"\xff\xff\xff")[:3]


def test_a_torn_erase_leaves_a_half_erased_block() -> None:
    store, flash = small()
    flash.writeblocks(0, b"\x00" * BLOCK, 0)
    flash.cut_after(1, 1000)
    assert cut(flash, 0, b"\x00" * BLOCK, None)
    assert store.data[:BLOCK] == b"\xff" * 1000 + b"\x00" * (BLOCK - 1000)


def test_nothing_answers_after_the_cut() -> None:
    calls: list[int] = []
    flash = Flash(Ram(size=BLOCK), on_cut=lambda: calls.append(1))
    flash.cut_after(1, 0)
    assert cut(flash, 0, b"x", 0)
    try:
        flash.readblocks(0, bytearray(1))
        raise AssertionError("a dead flash answered")
    except PowerCut:
        assert calls == [1]
