"""A strict, deterministic subset of CBOR (RFC 8949 section 4.2.1; SPEC 3).

Kept: integers of 64 bits, byte strings, text strings, arrays, maps, false, true, null.
Refused: floats, tags, indefinite lengths, other simple values, non-shortest heads, map keys that are not
integers or text, keys out of order or twice, text that is not UTF-8, trailing bytes.

Every length is checked against the bytes that are left before anything is allocated, the number of items and
the depth are bounded, so hostile input costs at most what its own length costs.
"""

from protocol.errors import DecodeError, EncodeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Union

    Value = Union[None, bool, int, str, bytes, list["Value"], dict["int | str", "Value"]]
    Source = Union[bytes, bytearray, memoryview]

MAX_SIZE = 8192  # bytes of one message, SPEC 2.4
MAX_DEPTH = 8  # nested arrays and maps; the deepest message needs 5
MAX_ITEMS = 1024  # items of one message, SPEC 2.4; the largest honest one, a full batch, holds about 140

_UINT = 0
_NINT = 1
_BYTES = 2
_TEXT = 3
_ARRAY = 4
_MAP = 5
_SIMPLE = 7
_FALSE = 20
_TRUE = 21
_NULL = 22
_WIDTHS = (1, 2, 4, 8)  # bytes that follow additional information 24, 25, 26, 27
_LEAST = (24, 1 << 8, 1 << 16, 1 << 32)  # smallest argument that needs that width


def encode(value: object, max_size: int = MAX_SIZE) -> bytes:
    """The one encoding of `value`; raises EncodeError for what the subset cannot hold."""
    out = bytearray()
    _write(out, value, MAX_DEPTH, max_size)
    return bytes(out)


def decode(data: "Source", max_size: int = MAX_SIZE, max_items: int = MAX_ITEMS) -> "Value":
    """The value of exactly one item that fills `data`; raises DecodeError and nothing else."""
    if len(data) > max_size:
        raise DecodeError("message longer than {} bytes".format(max_size))
    reader = Reader(data, max_items)
    value = reader.value(MAX_DEPTH)
    if reader.at != reader.end:
        raise DecodeError("trailing bytes")
    return value


def write_head(out: bytearray, major: int, argument: int) -> None:
    """Append the shortest head for `argument` (0 .. 2**64-1)."""
    major <<= 5
    if argument < 24:
        out.append(major | argument)
    elif argument < 1 << 8:
        out.append(major | 24)
        out.append(argument)
    elif argument < 1 << 16:
        out.append(major | 25)
        out.extend(argument.to_bytes(2, "big"))
    elif argument < 1 << 32:
        out.append(major | 26)
        out.extend(argument.to_bytes(4, "big"))
    elif argument < 1 << 64:
        out.append(major | 27)
        out.extend(argument.to_bytes(8, "big"))
    else:
        raise EncodeError("integer wider than 64 bits")


def _write(out: bytearray, value: object, depth: int, max_size: int) -> None:
    if value is None:
        out.append(_SIMPLE << 5 | _NULL)
    elif value is True or value is False:
        out.append(_SIMPLE << 5 | (_TRUE if value else _FALSE))
    elif type(value) is int:
        if value >= 0:
            write_head(out, _UINT, value)
        else:
            write_head(out, _NINT, -1 - value)
    elif type(value) is str:
        _write_string(out, _TEXT, encode_text(value), max_size)
    elif isinstance(value, (bytes, bytearray, memoryview)):
        _write_string(out, _BYTES, value, max_size)
    else:
        _write_container(out, value, depth, max_size)
    if len(out) > max_size:
        raise EncodeError("message longer than {} bytes".format(max_size))


def _write_container(out: bytearray, value: object, depth: int, max_size: int) -> None:
    if depth <= 0:
        raise EncodeError("nested deeper than {}".format(MAX_DEPTH))
    if isinstance(value, (list, tuple)):
        write_head(out, _ARRAY, len(value))
        for item in value:
            _write(out, item, depth - 1, max_size)
    elif isinstance(value, dict):
        _write_map(out, value, depth, max_size)
    else:
        raise EncodeError("no CBOR for this type")


def encode_text(value: str) -> bytes:
    """The UTF-8 bytes of `value`; raises EncodeError for a lone surrogate (MicroPython itself lets it pass)."""
    try:
        data = value.encode()
    except UnicodeError:
        data = b"\xff"
    if not is_utf8(data):
        raise EncodeError("text is not UTF-8")
    return data


def _write_string(out: bytearray, major: int, data: "Source", max_size: int) -> None:
    if len(out) + len(data) > max_size:
        raise EncodeError("message longer than {} bytes".format(max_size))
    write_head(out, major, len(data))
    out.extend(data)


def _write_map(out: bytearray, value: "dict[object, object]", depth: int, max_size: int) -> None:
    rows = []
    for key in value:
        if type(key) is not int and type(key) is not str:
            raise EncodeError("map key is neither integer nor text")
        head = bytearray()
        _write(head, key, 1, max_size)
        rows.append((bytes(head), key))
    rows.sort(key=_first)  # core deterministic: bytewise order of the encoded keys
    write_head(out, _MAP, len(rows))
    for row in rows:
        out.extend(row[0])
        _write(out, value[row[1]], depth - 1, max_size)


def _first(row: "tuple[bytes, object]") -> bytes:
    return row[0]


class Reader:
    """A cursor over one message. `at` is the next byte, `end` the first byte after the message."""

    def __init__(self, data: "Source", max_items: int = MAX_ITEMS) -> None:
        self.view = memoryview(data)
        self.at = 0
        self.end = len(data)
        self.left = max_items

    def value(self, depth: int) -> "Value":
        """The next item, with at most `depth` levels of arrays and maps below it."""
        self.left -= 1
        if self.left < 0:
            raise DecodeError("too many items")
        major, argument = self.head()
        if major == _UINT:
            return argument
        if major == _NINT:
            return -1 - argument
        if major == _BYTES:
            return bytes(self.take(argument))
        if major == _TEXT:
            return self._text(argument)
        if major == _SIMPLE:
            return None if argument == _NULL else argument == _TRUE
        if depth <= 0:
            raise DecodeError("nested deeper than {}".format(MAX_DEPTH))
        if argument > self.end - self.at:
            raise DecodeError("length beyond the end")
        if major == _ARRAY:
            return [self.value(depth - 1) for _ in range(argument)]
        return self._map(argument, depth)

    def head(self) -> "tuple[int, int]":
        """(major type, argument) of the next head, refused unless it is the shortest one."""
        if self.at >= self.end:
            raise DecodeError("truncated")
        first = self.view[self.at]
        self.at += 1
        major = first >> 5
        info = first & 31
        if major == 6:
            raise DecodeError("tags are not part of the subset")
        if major == _SIMPLE:
            if info < _FALSE or info > _NULL:
                raise DecodeError("only false, true and null are part of the subset")
            return major, info
        if info < 24:
            return major, info
        if info > 27:
            raise DecodeError("indefinite or reserved length")
        argument = int.from_bytes(bytes(self.take(_WIDTHS[info - 24])), "big")
        if argument < _LEAST[info - 24]:
            raise DecodeError("head is not the shortest")
        return major, argument

    def take(self, count: int) -> memoryview:
        """The next `count` bytes as a view."""
        start = self.at
        if count > self.end - start:
            raise DecodeError("length beyond the end")
        self.at = start + count
        return self.view[start : self.at]

    def _text(self, count: int) -> str:
        data = bytes(self.take(count))
        if not is_utf8(data):
            raise DecodeError("text is not UTF-8")
        return data.decode()

    def _map(self, count: int, depth: int) -> "dict[int | str, Value]":
        result: "dict[int | str, Value]" = {}
        before = b""
        for _ in range(count):
            start = self.at
            if start < self.end and self.view[start] >> 5 not in (_UINT, _NINT, _TEXT):
                raise DecodeError("map key is neither integer nor text")
            key = self.value(0)
            now = bytes(self.view[start : self.at])
            if now <= before:
                raise DecodeError("map keys out of order or twice")
            before = now
            result[key] = self.value(depth - 1)  # type: ignore[index]
        return result


def is_plain(value: object, depth: int = MAX_DEPTH) -> bool:
    """True when `value` is what `decode` could have returned: the check for a value that another decoder made."""
    if isinstance(value, list):
        return depth > 0 and all(is_plain(item, depth - 1) for item in value)
    if isinstance(value, dict):
        keys = all(type(key) is int or type(key) is str for key in value)
        return keys and depth > 0 and all(is_plain(item, depth - 1) for item in value.values())
    if type(value) is int:
        return -(1 << 64) <= value < 1 << 64
    return value is None or type(value) in (bool, str, bytes)


def is_utf8(data: bytes) -> bool:
    """True for well-formed UTF-8 (Unicode table 3-7). MicroPython's own decoder lets overlong forms through."""
    at = 0
    size = len(data)
    while at < size:
        lead = data[at]
        at += 1
        if lead < 0x80:
            continue
        if 0xC2 <= lead <= 0xDF:
            more, low, high = 1, 0x80, 0xBF
        elif 0xE0 <= lead <= 0xEF:
            more, low, high = 2, 0xA0 if lead == 0xE0 else 0x80, 0x9F if lead == 0xED else 0xBF
        elif 0xF0 <= lead <= 0xF4:
            more, low, high = 3, 0x90 if lead == 0xF0 else 0x80, 0x8F if lead == 0xF4 else 0xBF
        else:
            return False
        if at + more > size or not low <= data[at] <= high:
            return False
        for index in range(at + 1, at + more):
            if data[index] & 0xC0 != 0x80:
                return False
        at += more
    return True
