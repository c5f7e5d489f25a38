"""Publishes log lines while the link is up; what does not fit is counted, never waited for."""

import asyncio

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

    from node.core.log import Lines
    from node.tasks.link import Link

_PERIOD_MS = 2000


async def run(lines: "Lines", link: "Link", beat: "Callable[[], None]") -> None:
    """Hand lines to the link, in order, for ever."""
    while True:
        beat()
        payload = lines.take() if link.up else None
        while payload is not None:
            if not link.publish("log", payload):
                lines.dropped += 1
                break
            payload = lines.take()
        await asyncio.sleep_ms(_PERIOD_MS)
