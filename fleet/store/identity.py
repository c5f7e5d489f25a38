"""What it means that an entry arrives whose identity (node, boot, seq) is stored already (SPEC 5.3)."""

from enum import Enum, auto

import cbor2


class Verdict(Enum):
    """What to do with the second one."""

    DUPLICATE = auto()  # the same entry again: forget it
    DATED = auto()  # the same entry, first sent with an unknown time, now with its time: it replaces the first
    CONFLICT = auto()  # another entry under the same identity: set it aside


def verdict(kept: bytes, new: bytes) -> Verdict:
    """Compare two entries of one identity, both valid records or both valid events.

    A node dates what it recorded before it knew the time, so the two may differ in t and tq if exactly one is undated.
    """
    if kept == new:
        return Verdict.DUPLICATE
    before, after = cbor2.loads(kept), cbor2.loads(new)
    one_undated = (before[2] == 0) != (after[2] == 0)
    if not one_undated or cbor2.dumps(before[3:]) != cbor2.dumps(after[3:]):
        return Verdict.CONFLICT
    return Verdict.DATED if before[2] == 0 else Verdict.DUPLICATE
