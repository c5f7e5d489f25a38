"""A name server for IPv4 addresses whose answers can be changed while nodes ask it (RFC 1035)."""

import asyncio
import ipaddress
import struct

_HEADER = struct.Struct(">HHHHHH")
_ANSWER = 0x8180  # a response, recursion desired and available
_NO_SUCH_NAME = 3
_A_IN = struct.pack(">HH", 1, 1)
_TTL_S = 60


class NameServer(asyncio.DatagramProtocol):
    """`names` maps host names to their addresses. `silent` = no answer at all; `asked` counts the questions."""

    def __init__(self, names: dict[str, list[str]]) -> None:
        self.names = names
        self.silent = False
        self.asked = 0
        self._transport: asyncio.DatagramTransport | None = None

    async def start(self, host: str = "127.0.0.1") -> tuple[str, int]:
        """Listen on a free port; (host, port)."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, (host, 0))
        address: tuple[str, int] = self._transport.get_extra_info("sockname")
        return address

    def close(self) -> None:
        """Stop listening."""
        if self._transport is not None:
            self._transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """One question, one answer; what is not a question is not answered."""
        self.asked += 1
        answer = None if self.silent else self.answer(data)
        if answer is not None and self._transport is not None:
            self._transport.sendto(answer, addr)

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
