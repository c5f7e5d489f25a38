"""A DNS question for an IPv4 address and its answer (RFC 1035), without input or output.

Bounded: at most MAX_RECORDS records, MAX_ALIASES aliases, MAX_JUMPS compression pointers, and each pointer has to go
backwards.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from protocol.cbor import Source as Bytes

MAX_ANSWER = 512  # bytes, section 4.2.1
MAX_RECORDS = 32
MAX_ALIASES = 8
MAX_JUMPS = 16
_HEADER = 12
_A = 1
_CNAME = 5
_IN = 1
_MAX_NAME = 255
_MAX_LABEL = 63


class DnsError(Exception):
    """The name is not one, or the answer is not ours, malformed, or without an address."""


def literal(host: str) -> "str | None":
    """`host` when it is an IPv4 address already, else None."""
    parts = host.split(".")
    if len(parts) != 4:
        return None
    for part in parts:
        if not part.isdigit() or len(part) > 3 or int(part) > 255:
            return None
    return host


def query(host: str, ident: int) -> bytes:
    """The question for the address of `host`, with the 16-bit `ident`."""
    out = bytearray(_HEADER)
    out[0] = ident >> 8
    out[1] = ident & 0xFF
    out[2] = 1  # recursion desired
    out[5] = 1  # one question
    out.extend(_encode(host))
    out.extend(bytes((0, _A, 0, _IN)))
    return bytes(out)


def answer(data: "Bytes", host: str, ident: int) -> "list[str]":
    """The addresses of `host` in the answer to `query(host, ident)`; raises DnsError."""
    view = memoryview(data)
    if len(view) < _HEADER or _uint16(view, 0) != ident or not view[2] & 0x80:
        raise DnsError("not the answer")
    if view[3] & 15:
        raise DnsError("{} does not exist".format(host) if view[3] & 15 == 3 else "server failed")
    asked = _encode(host)
    name, at = _name(view, _HEADER)
    if _uint16(view, 4) != 1 or name != asked or _uint16(view, at) != _A or _uint16(view, at + 2) != _IN:
        raise DnsError("not the question")
    aliases, addresses = _records(view, at + 4)
    for _ in range(MAX_ALIASES):
        found = [address for owner, address in addresses if owner == asked]
        if found:
            return found
        if asked not in aliases:
            break
        asked = aliases[asked]
    raise DnsError("no address for {}".format(host))


def _records(view: memoryview, at: int) -> "tuple[dict[bytes, bytes], list[tuple[bytes, str]]]":
    """The aliases and the (name, address) pairs of the answer section."""
    aliases = {}
    addresses = []
    for _ in range(min(_uint16(view, 6), MAX_RECORDS)):
        owner, at = _name(view, at)
        kind = _uint16(view, at) if _uint16(view, at + 2) == _IN else 0
        size = _uint16(view, at + 8)
        at += 10
        if at + size > len(view):
            raise DnsError("truncated")
        if kind == _A and size == 4:
            addresses.append((owner, "{}.{}.{}.{}".format(*view[at : at + 4])))
        elif kind == _CNAME:
            aliases[owner] = _name(view, at)[0]
        at += size
    return aliases, addresses


def _encode(host: str) -> bytes:
    """`host` as a sequence of labels in lower case."""
    out = bytearray()
    for label in host.lower().rstrip(".").split("."):
        data = label.encode()
        if not 0 < len(data) <= _MAX_LABEL:
            raise DnsError("not a host name: {}".format(host))
        out.append(len(data))
        out.extend(data)
    out.append(0)
    if len(out) > _MAX_NAME:
        raise DnsError("not a host name: {}".format(host))
    return bytes(out)


def _name(view: memoryview, at: int) -> "tuple[bytes, int]":
    """The name at `at` as in `_encode`, and where the bytes behind it begin."""
    out = bytearray()
    behind = 0
    for _ in range(MAX_JUMPS + 1):
        limit = at
        at = _labels(view, at, out)
        size = view[at]
        if not size:
            out.append(0)
            return bytes(out), behind or at + 1
        target = _uint16(view, at) & 0x3FFF
        behind = behind or at + 2
        if size < 0xC0 or target >= limit:
            raise DnsError("bad pointer")
        at = target
    raise DnsError("too many pointers")


def _labels(view: memoryview, at: int, out: bytearray) -> int:
    """Append the labels at `at` to `out`; where the byte that ends them is."""
    while True:
        if at >= len(view):
            raise DnsError("truncated")
        size = view[at]
        if not 0 < size <= _MAX_LABEL:
            return at
        if at + 1 + size > len(view) or len(out) + 1 + size >= _MAX_NAME:
            raise DnsError("name too long")
        out.append(size)
        for octet in view[at + 1 : at + 1 + size]:
            out.append(octet | 0x20 if 0x41 <= octet <= 0x5A else octet)
        at += 1 + size


def _uint16(view: memoryview, at: int) -> int:
    if at + 2 > len(view):
        raise DnsError("truncated")
    return view[at] << 8 | view[at + 1]
