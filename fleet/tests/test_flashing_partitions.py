"""Partition tables: what ESP-IDF writes is read, what is damaged is refused, and MicroPython's files are found."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.errors import VerificationError
from fleet.flashing import partitions
from fleet.flashing.partitions import APP, DATA, Partition
from tools.virtual_board import partitions as referee

MB = 1 << 20
NVS = Partition("nvs", DATA, 2, 0x9000, 0x6000)
PHY = Partition("phy_init", DATA, 1, 0xF000, 0x1000)
FACTORY = Partition("factory", APP, 0, 0x10000, 0x1F0000)
STOCK = [NVS, PHY, FACTORY]  # of MicroPython since 1.26
OTA = [
    Partition("nvs", DATA, 2, 0x9000, 0x4000),
    Partition("otadata", DATA, 0, 0xD000, 0x2000),
    PHY,
    Partition("ota_0", APP, 0x10, 0x10000, 0x180000),
    Partition("ota_1", APP, 0x11, 0x190000, 0x180000),
]
OLD = [*STOCK, Partition("vfs", DATA, 0x81, 0x200000, 0x200000)]  # of MicroPython until 1.25

WHERE = {
    "the rest of 4 MB": (STOCK, 4 * MB, (0x200000, 0x200000)),
    "the rest of 8 MB": (STOCK, 8 * MB, (0x200000, 0x600000)),
    "the rest of 16 MB": (STOCK, 16 * MB, (0x200000, 0xE00000)),
    "behind two slots": (OTA, 4 * MB, (0x310000, 0xF0000)),
    "its own row": (OLD, 4 * MB, (0x200000, 0x200000)),
    "its own row, and the rest stays empty": (OLD, 16 * MB, (0x200000, 0x200000)),
    "rows in any order": (STOCK[::-1], 4 * MB, (0x200000, 0x200000)),
}

good = partitions.build(STOCK)
DAMAGED = {
    "blank flash": b"\xff" * partitions.SIZE,
    "nothing": b"",
    "zeros": bytes(partitions.SIZE),
    "a bit of a row": bytes([*good[:40], good[40] ^ 1, *good[41:]]),
    "a bit of the digest": bytes([*good[:120], good[120] ^ 1, *good[121:]]),
    "rows that overlap": partitions.build([*STOCK, Partition("vfs", DATA, 0x81, 0x1F0000, 0x20000)]),
    "an app at an odd place": partitions.build([Partition("app", APP, 0, 0x11000, 0x10000)]),
    "a partition of no size": partitions.build([Partition("app", APP, 0, 0x10000, 0)]),
}


@pytest.mark.parametrize("case", WHERE)
def test_where_micropython_has_its_files(case: str) -> None:
    rows, size, expected = WHERE[case]
    found = partitions.files(partitions.parse(partitions.build(rows)), size)
    assert (found.offset, found.size) == expected


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_table_is_refused(case: str) -> None:
    with pytest.raises(VerificationError, match="no good partition table"):
        partitions.parse(DAMAGED[case])


def test_a_table_for_a_larger_flash_is_refused() -> None:
    with pytest.raises(VerificationError, match="needs 4 MB of flash, and the chip has 2 MB"):
        partitions.files(OLD, 2 * MB)


# sentence: a row that would have bootloader or table overwritten, or a label that a terminal obeys
DANGEROUS = {
    "files in the place of the bootloader": Partition("vfs", DATA, 0x81, 0, 2 * MB),
    "files in the place of the table": Partition("vfs", DATA, 0x81, 0x8000, 2 * MB),
    "a program in the place of both": Partition("factory", APP, 0, 0, MB),
    "an order to a terminal": Partition("\x1b[2J", DATA, 0x81, 0x10000, MB),
    "a label with an end in it": Partition("a\0b", DATA, 0x81, 0x10000, MB),
}


@pytest.mark.parametrize("row", DANGEROUS.values(), ids=DANGEROUS)
def test_a_table_that_would_do_harm_is_refused(row: Partition) -> None:
    with pytest.raises(VerificationError, match="no good partition table") as caught:
        partitions.parse(partitions.build([row]))
    assert caught.value.cause.isprintable()


def test_the_rest_of_the_flash_never_holds_bootloader_or_table() -> None:
    for last in (Partition("other", 2, 0, 0x1000, 0x4000), Partition("other", 2, 0, 0x10000, 0x800)):
        with pytest.raises(VerificationError, match="no room"):
            partitions.files(partitions.parse(partitions.build([last])), 4 * MB)


def test_a_flash_that_nobody_sells_is_refused() -> None:
    with pytest.raises(VerificationError, match="says that it has 9999 MB"):
        partitions.files(STOCK, 9999 * MB)


def test_a_table_that_leaves_no_room_is_refused() -> None:
    with pytest.raises(VerificationError, match="no room"):
        partitions.files([Partition("factory", APP, 0, 0x10000, 4 * MB - 0x10000)], 4 * MB)


def test_what_another_program_writes_is_the_same() -> None:
    rows = [referee.Partition(row.label, row.type, row.subtype, row.offset, row.size) for row in OTA]
    assert referee.build(rows) == partitions.build(OTA)
    assert partitions.parse(referee.build(rows)) == OTA


labels = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=16)


@given(
    st.lists(st.tuples(labels, st.integers(2, 255), st.integers(0, 255), st.integers(1, 64)), min_size=1, max_size=94)
)
def test_what_is_written_is_read(rows: list[tuple[str, int, int, int]]) -> None:
    table, at = [], 0x9000
    for label, kind, subtype, sectors in rows:
        table.append(Partition(label, kind, subtype, at, sectors * 0x1000))
        at = table[-1].end
    assert partitions.parse(partitions.build(table)) == table


@given(st.binary(max_size=partitions.SIZE))
def test_any_bytes_are_a_table_or_refused(data: bytes) -> None:
    try:
        rows = partitions.parse(data)
    except VerificationError:
        return
    assert rows


@given(st.integers(0, len(good) - 1), st.integers(1, 255))
def test_no_byte_of_a_table_can_change_unseen(at: int, change: int) -> None:
    data = bytes([*good[:at], good[at] ^ change, *good[at + 1 :]])
    try:
        assert partitions.parse(data) == STOCK  # behind its end nobody looks
    except VerificationError:
        return
    assert at >= 32 * (len(STOCK) + 1)


def test_more_rows_than_a_table_holds() -> None:
    with pytest.raises(ValueError, match="96 rows"):
        partitions.build([NVS] * 96)
