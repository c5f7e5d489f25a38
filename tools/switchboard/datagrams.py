"""What the small servers over UDP have in common: one question, one answer, or silence on demand."""

import asyncio


class DatagramServer(asyncio.DatagramProtocol):
    """`silent` = no answer at all; `asked` counts the questions."""

    def __init__(self) -> None:
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
        """Answer what is a question."""
        self.asked += 1
        answer = None if self.silent else self.answer(data)
        if answer is not None and self._transport is not None:
            self._transport.sendto(answer, addr)

    def answer(self, data: bytes) -> bytes | None:
        """The answer to one message; None for none."""
        raise NotImplementedError
