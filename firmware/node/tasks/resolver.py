"""Names to addresses without blocking: our own questions over UDP, asked anew at every connect.

The resolvers of the ports block the whole program for seconds, and some remember an address for ever.
"""

import asyncio
import socket

from node.core import dns
from node.core.dns import DnsError
from node.tasks.wire import ask

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

    from node.board.door import NetworkDoor

_TRY_MS = (1000, 1500, 2500)  # patience with each question; 5 s in all


class Resolver:
    """The name server that the network gave us. `random(n)` gives an integer from 0 to n-1."""

    def __init__(self, net: "NetworkDoor", random: "Callable[[int], int]") -> None:
        self._net = net
        self._random = random

    def is_up(self) -> bool:
        """True while there is a network to ask."""
        return self._net.is_up()

    async def resolve(self, host: str) -> str:
        """An IPv4 address of `host`, one of several at random; within 5 s, or DnsError.

        Only when the network names no server is the port's own resolver asked, and that one blocks."""
        if dns.literal(host):
            return host
        if not self._net.is_up():
            raise DnsError("no network to resolve {}".format(host))
        server = self._net.dns()
        if server is None:
            return _ask_port(host)
        fault = DnsError("no answer from name server {}:{}".format(server[0], server[1]))
        buffer = bytearray(dns.MAX_ANSWER)
        for patience_ms in _TRY_MS:
            ident = self._random(65536)
            try:
                count = await ask(server[0], server[1], dns.query(host, ident), buffer, patience_ms)
                found = dns.answer(memoryview(buffer)[:count], host, ident)
                return found[self._random(len(found))]
            except asyncio.TimeoutError:
                pass
            except DnsError as error:
                fault = error
            except OSError as error:
                fault = DnsError("name server {}:{}: {}".format(server[0], server[1], error))
        raise fault


def _ask_port(host: str) -> str:
    """The address by the port's own resolver."""
    try:
        found = socket.getaddrinfo(host, 0, socket.AF_INET)[0][-1]
    except OSError as error:
        raise DnsError("{} not resolved: {}".format(host, error))
    if isinstance(found, tuple):
        return str(found[0])
    packed = socket.sockaddr(found)[1]  # the unix port gives bytes
    return "{}.{}.{}.{}".format(*packed)
