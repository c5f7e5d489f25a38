"""Which pieces of a file system are written."""

import itertools
import random

from hypothesis import given
from hypothesis import strategies as st

from fleet.flashing import image, layout
from fleet.flashing.image import BLOCK

_RANDOM = random.Random(1)
PROGRAM = {f"/a/node/{number}.mpy": _RANDOM.randbytes(_RANDOM.randrange(100, 6000)) for number in range(60)}
NODE = {"/id.cbor": b"id" * 700, "/data/config.cbor": b"c" * 300, "/data/q/1": b"1" * 3000}
OFFSET = 0x200000


def flash_with(data: bytes, fine: bool, before: bytes) -> bytes:
    """The file system partition after the pieces are written over what was there."""
    flash = bytearray(before)
    for piece in layout.pieces(data, OFFSET, fine):
        flash[piece.offset - OFFSET : piece.end - OFFSET] = piece.data
    return bytes(flash)


def test_pieces_hold_all_that_a_reader_sees_whatever_was_there() -> None:
    data = image.build({**PROGRAM, **NODE})
    old = image.build({**PROGRAM, "/data/q/old": b"old" * 2000, "/x": b"x"})
    for before in (b"\xff" * len(data), bytes(len(data)), _RANDOM.randbytes(len(data)), old):
        for fine in (True, False):
            assert image.read(flash_with(data, fine, before)) == {**PROGRAM, **NODE}


def test_pieces_are_blocks_in_order_and_fine_ones_are_small() -> None:
    data = image.build({**PROGRAM, **NODE})
    for fine, most in ((True, 2), (False, 64)):
        pieces = layout.pieces(data, OFFSET, fine)
        assert all(piece.offset % BLOCK == 0 and 0 < len(piece.data) <= most * BLOCK for piece in pieces)
        *rest, root = pieces  # without which the rest is no file system
        assert (root.offset, len(root.data)) == layout.root(OFFSET)
        assert all(one.end <= two.offset for one, two in itertools.pairwise([root, *rest]))
    assert len(layout.pieces(data, OFFSET, False)) < 12


def test_what_is_the_same_on_every_node_is_the_program() -> None:
    bare = layout.program(image.build(PROGRAM), OFFSET)
    node = image.build({**PROGRAM, **NODE})
    assert all(node[piece.offset - OFFSET : piece.end - OFFSET] == piece.data for piece in bare)


@given(st.lists(st.integers(0, 300), unique=True, max_size=80).map(sorted), st.integers(1, 20), st.integers(1, 10))
def test_runs_hold_every_block_once(blocks: list[int], most: int, reach: int) -> None:
    runs = list(layout._runs(blocks, most, reach))
    covered = [block for begin, end in runs for block in range(begin, end)]
    assert covered == sorted(set(covered))
    assert set(blocks) <= set(covered)
    assert all(begin in blocks and end - 1 in blocks and end - begin <= most for begin, end in runs)
