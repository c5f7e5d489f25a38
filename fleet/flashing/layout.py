"""A file system as pieces of flash: only blocks that mean something, cut so that little is written when little differs.

esptool asks the chip for the MD5 of each piece, and writes those that differ. Small pieces find small differences;
each costs a few commands and an erase of its own, which a chip does faster for 64 KiB at once.
"""

from collections.abc import Iterable, Iterator

from fleet.flashing import image
from fleet.flashing.image import BLOCK
from fleet.flashing.piece import Piece

_FINE = 2  # blocks
_COARSE = 64
_GAP = 8  # blocks without meaning that are rather written than left out
_ROOT = (0, 1)  # blocks of the superblock and the root folder: a node has entries of its own there


def pieces(data: bytes, offset: int, fine: bool) -> list[Piece]:
    """The file system `data`, to be at `offset`; `fine` for a chip that is likely to hold most of it already.

    The root comes last: until it is there, there is no file system, and no node that is half the old one.
    """
    blocks = [block for block in image.used(data) if block not in _ROOT]
    cuts = [*(_runs(blocks, _FINE, 1) if fine else _runs(blocks, _COARSE, _GAP)), (_ROOT[0], _ROOT[-1] + 1)]
    return [Piece("files", offset + begin * BLOCK, data[begin * BLOCK : end * BLOCK]) for begin, end in cuts]


def root(offset: int) -> tuple[int, int]:
    """(address, bytes) of what makes a file system of the blocks from `offset`."""
    return offset, len(_ROOT) * BLOCK


def program(data: bytes, offset: int) -> list[Piece]:
    """The same of a file system that holds nothing but the program: what is equal on every board that has it."""
    blocks = [block for block in image.used(data) if block not in _ROOT]
    cuts = _runs(blocks, _FINE, 1)
    return [Piece("files", offset + begin * BLOCK, data[begin * BLOCK : end * BLOCK]) for begin, end in cuts]


def _runs(blocks: Iterable[int], most: int, reach: int) -> Iterator[tuple[int, int]]:
    """(first, behind the last) of runs of at most `most` blocks, the next one of which is at most `reach` further."""
    begin = end = -1
    for block in blocks:
        if begin >= 0 and block < end + reach and block < begin + most:
            end = block + 1
            continue
        if begin >= 0:
            yield begin, end
        begin, end = block, block + 1
    if begin >= 0:
        yield begin, end
