"""Listens on the serial console: a line that is just `?` is answered with the report line (SPEC 12.1)."""

import asyncio

from protocol.report import ASK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

_ASK = ASK.encode()


async def run(stdin: "Any", answer: "Callable[[], None]") -> None:
    """Call `answer` for each such line, until the input ends. `stdin` is a stream of bytes.

    It reads byte by byte, because a read of more would block the whole node until all of it is there."""
    reader = asyncio.StreamReader(stdin)
    line = b""
    while True:
        byte = await reader.read(1)
        if not byte:
            return
        if byte in b"\r\n":
            if line == _ASK:
                answer()
            line = b""
        elif len(line) <= len(_ASK):
            line += byte
