"""A name server for IPv4 addresses whose answers can be changed while nodes ask it (RFC 1035)."""

import ipaddress
import struct

from tools.switchboard.datagrams import DatagramServer

_HEADER = struct.Struct(">HHHHHH")
_ANSWER = 0x8180  # a response, recursion desired and available
_NO_SUCH_NAME = 3
_A_IN = struct.pack(">HH", 1, 1)
_TTL_S = 60


class NameServer(DatagramServer):
    """`names` maps host names to their addresses."""

    def __init__(self, names: dict[str, list[str]]) -> None:
        super().__init__()
        self.names = names

    def answer(self, data: bytes) -> bytes | None:
        """The answer to a message with one question for an IPv4 address, or None."""
        end = _end_of_name(data)
        question = data[_HEADER.size : end + 4]
        if end == 0 or question[-4:] != _A_IN:
            return None
        addresses = self.names.get(_name(question), [])
        ident = _HEADER.unpack_from(data)[0]
        flags = _ANSWER if addresses else _ANSWER | _NO_SUCH_NAME
        rows = [
            b"\xc0\x0c" + _A_IN + struct.pack(">IH", _TTL_S, 4) + ipaddress.IPv4Address(address).packed
            for address in addresses
        ]
        return _HEADER.pack(ident, flags, 1, len(rows), 0, 0) + question + b"".join(rows)


def _end_of_name(data: bytes) -> int:
    """Where the first name after the header ends, 0 when it does not."""
    at = _HEADER.size
    while at < len(data) and data[at]:
        at += 1 + data[at]
    return at + 1 if at + 5 <= len(data) else 0


def _name(question: bytes) -> str:
    labels = []
    at = 0
    while question[at]:
        labels.append(question[at + 1 : at + 1 + question[at]].decode("ascii", "replace").lower())
        at += 1 + question[at]
    return ".".join(labels)
