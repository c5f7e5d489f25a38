"""A node that is nothing but a TimeSync, under MicroPython.

Arguments: root of the repository, port of the name server, floor (s since 1970), rounds, servers. Each round prints
one line of JSON.
"""

import asyncio
import json
import sys
import time

ROOT = sys.argv[1]
sys.path[0:1] = [ROOT, ROOT + "/firmware"]

from node.core.clock import Clock  # noqa: E402
from node.tasks.resolver import Resolver  # noqa: E402
from node.tasks.timesync import TimeSync  # noqa: E402


class Net:
    def is_up(self):
        return True

    def dns(self):
        return "127.0.0.1", int(sys.argv[2])


def random(below):
    return time.ticks_us() * 2654435761 % below


def nothing():
    pass


async def main():
    lines = []
    clock = Clock(time.ticks_ms)
    clock.floor_s = int(sys.argv[3])
    sync = TimeSync(
        clock, sys.argv[5:], Resolver(Net(), random), lambda name: 60, random, lambda *line: lines.append(line[2])
    )
    for _ in range(int(sys.argv[4])):
        good = await sync.once(nothing)
        print(
            json.dumps(
                {"good": good, "utc_ms": clock.utc_ms(), "off": sync.offset_ms, "tq": clock.quality(), "log": lines}
            )
        )
        lines.clear()


asyncio.run(main())
