"""From frames on flash to the payload of one publish; entries from before the time was known are dated here."""

from node.core import frames
from protocol import cbor
from protocol.errors import ProtocolError
from protocol.messages import Batch
from protocol.records import TQ_NTP_DAY, TQ_UPTIME

TYPE_CHECKING = False
if TYPE_CHECKING:
    from node.core.segment import Item


def header(entry: "cbor.Source") -> "tuple[int, int, int, int]":
    """(seq, t, tq, offset of what follows) of an encoded entry; raises DecodeError."""
    reader = cbor.Reader(entry)
    reader.head()
    seq, t, tq = reader.head()[1], reader.head()[1], reader.head()[1]
    return seq, t, tq, reader.at


def dated(entry: bytes, zero_s: "int | None") -> bytes:
    """The entry with UTC in place of uptime when UTC of uptime 0 is known; raises DecodeError."""
    seq, t, tq, rest = header(entry)
    if tq != TQ_UPTIME or zero_s is None:
        return entry
    out = bytearray(entry[:1])
    for value in (seq, zero_s + t, TQ_NTP_DAY):
        cbor.write_head(out, 0, value)
    out.extend(entry[rest:])
    return bytes(out)


def compose(item: "Item", view: memoryview) -> "bytes | None":
    """The payload of `item`, whose frames are in `view`; None when they are not what was taken."""
    entries = []
    undated = False
    at = 0
    try:
        while at < len(view):
            step = frames.length(view, at, len(view))
            if not step:
                return None
            entry = dated(bytes(view[at + frames.HEAD : at + step]), item.zero_s)
            undated = undated or header(entry)[2] == TQ_UPTIME
            entries.append(entry)
            at += step
        return Batch(boot=item.boot, entries=entries, up_s=item.up_s if undated else None).encode()
    except ProtocolError:
        return None


def first_time(view: memoryview, boot: "int | None") -> "tuple[int | None, int, int] | None":
    """(boot, t, tq) of the first entry in a piece of a segment, at whose start `boot` holds; None without one."""
    at = 0
    step = frames.length(view, at, len(view))
    if step and view[at] == frames.BOOT:
        boot = int.from_bytes(bytes(view[at + frames.HEAD : at + step]), "big")
        at += step
        step = frames.length(view, at, len(view))
    if not step:
        return None
    _, t, tq, _ = header(view[at + frames.HEAD : at + step])
    return boot, t, tq
