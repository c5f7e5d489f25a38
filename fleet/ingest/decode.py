"""Decoding at full speed: cbor2 does the work, and `protocol` has the last word.

cbor2 accepts more than the contract does: floats, tags, indefinite lengths, heads that are not the shortest, keys
twice, bytes behind the end. So what it returns counts only with a proof that the strict decoder would return the same:
for a record that its bytes match the grammar of SPEC 5.1 and 5.8, for a batch that no shorter encoding exists.
Whatever is not proved at once goes to the strict decoder, which says what it means or which rule it breaks.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from cbor2 import loads

from protocol.cbor import MAX_SIZE
from protocol.messages import MAX_ENTRIES, Batch
from protocol.records import INTERVAL_S, MAX_CHANNELS, MAX_ENTRY, MAX_INTERVAL_S, Record

Entry = tuple[int, int, int, dict[int, Any], int]  # seq, t, tq, samples as in SPEC 5.8, interval_s

_DEPTH = 4  # entry, samples, sample; or batch and entries
_U32 = 0xFFFFFFFF
_BATCH_KEYS = ([1, 2], [1, 2, 3])
_BYTES = {bytes}

# The shortest heads (SPEC 3.2) of integers up to 32 bits; what is longer is rare and left to the strict decoder.
_CHANNEL = rb"(?:[\x00-\x17]|\x18[\x18-\xff]|\x19[\x01-\xff].)"
_UINT = rb"(?:[\x00-\x17]|\x18[\x18-\xff]|\x19[\x01-\xff].|\x1a(?!\0\0)....)"
_INT = rb"(?:[\x00-\x17\x20-\x37]|[\x18\x38][\x18-\xff]|[\x19\x39][\x01-\xff].|[\x1a\x3a](?!\0\0)....)"
_FLAGGED = rb"(?:%b[\x01-\x04]|\xf6\x09)" % _INT  # a mean and its flag; null goes with *missing*
_STATISTICS = rb"%b(?:%b|\xf6)(?:%b|\xf6)(?:%b|\xf6)" % (_UINT, _UINT, _INT, _INT)
_SAMPLE = rb"(?:%b|\x82%b|\x86%b%b)" % (_INT, _FLAGGED, _FLAGGED, _STATISTICS)


def batch(payload: bytes) -> tuple[int, list[bytes], int | None]:
    """(boot, entries, up_s) of a Batch; raises DecodeError."""
    try:
        found = loads(payload, max_depth=_DEPTH)
        if len(payload) <= MAX_SIZE and _is_proved(found, len(payload)):
            return found[1], found[2], found.get(3)
    except Exception:  # noqa: S110 - whatever cbor2 objects to, the strict decoder says in the words of the contract
        pass
    strict = Batch.decode(payload)
    return strict.boot, strict.entries, strict.up_s


def _is_proved(found: Any, size: int) -> bool:
    """True when the strict decoder would make the same of `size` bytes: the usual fields in their shortest encoding."""
    if list(found) not in _BATCH_KEYS:
        return False
    boot, entries = found[1], found[2]
    if type(boot) is not int or not 0 <= boot <= _U32 or type(entries) is not list or set(map(type, entries)) != _BYTES:
        return False
    count = len(entries)
    least = 3 + _head(boot) + _head(count) + sum(map(len, entries)) + sum(map(_head, map(len, entries)))
    if len(found) == 3:
        up_s = found[3]
        if type(up_s) is not int or not 0 <= up_s <= _U32:
            return False
        least += 1 + _head(up_s)
    return least == size and count <= MAX_ENTRIES


def _head(argument: int) -> int:
    """Bytes of the shortest head for `argument` (0 .. 2**32-1)."""
    return 1 if argument < 24 else 2 if argument < 1 << 8 else 3 if argument < 1 << 16 else 5


def record(body: bytes) -> Entry:
    """What one entry of up/tele says; raises DecodeError."""
    try:
        entry = loads(body, max_depth=_DEPTH)
        values = entry[3]
        if _grammar(len(entry), len(values))(body) and list(values) == sorted(values) and len(body) <= MAX_ENTRY:
            if len(entry) == 4:
                return entry[0], entry[1], entry[2], values, INTERVAL_S
            if 1 <= entry[4] <= MAX_INTERVAL_S:
                return entry[0], entry[1], entry[2], values, entry[4]
    except Exception:  # noqa: S110 - as above
        pass
    strict = Record.decode(body)
    samples = {channel: sample.to_cbor() for channel, sample in strict.samples.items()}
    return strict.seq, strict.t, strict.tq, samples, strict.interval


@lru_cache(maxsize=2 * MAX_CHANNELS)
def _grammar(length: int, count: int) -> Callable[[bytes], object]:
    """A matcher for the bytes of a record of `length` elements and `count` samples, SPEC 5.1."""
    if length not in (4, 5) or count > MAX_CHANNELS:
        return _nothing
    samples = (bytes([0xA0 + count]) if count < 24 else bytes([0xB8, count])) + b"(?:%b%b){%d}" % (
        _CHANNEL,
        _SAMPLE,
        count,
    )
    text = bytes([0x80 + length]) + _UINT + _UINT + rb"[\x00-\x04]" + samples + (_UINT if length == 5 else b"")
    return re.compile(text, re.DOTALL).fullmatch


def _nothing(_body: bytes) -> None:
    return None
