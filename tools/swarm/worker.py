"""A process full of nodes: `python -m tools.swarm.worker CREW`. Orders come on stdin, answers go to stdout, JSON lines.

    {"do": "power_on"}   every node is switched on
    {"do": "figures"}    how many are up, were ever, were refused a subscription; lag, memory
    {"do": "facts"}      what each node really is (crew.Facts)

It ends when stdin does.
"""

import gc
import json
import os
import resource
import select
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tools.swarm import signatures
from tools.swarm.crew import Crew, context
from tools.swarm.flash import Flash, Pool
from tools.swarm.loop import Loop
from tools.swarm.node import Node, World

_SELDOM = 100_000, 50, 1000  # of the garbage collector: a look at all objects of 5 000 nodes stops them for a second


class Turnstile:
    """Lets so many handshakes happen at a time, first come, first served."""

    def __init__(self, most: int, loop: Loop) -> None:
        self._left = most
        self._loop = loop
        self._waiting: deque[Callable[[], None]] = deque()

    def ask(self, go: Callable[[], None]) -> None:
        """Call `go` when it is its turn."""
        self._waiting.append(go)
        self._next()

    def done(self) -> None:
        """One is over."""
        self._left += 1
        self._next()

    def _next(self) -> None:
        if self._left and self._waiting:
            self._left -= 1
            self._loop.soon(self._waiting.popleft())


class Worker:
    """The nodes of a crew, and the ear for orders."""

    def __init__(self, crew: Crew) -> None:
        self.loop = Loop()
        self.verifier = signatures.Verifier()
        turnstile = Turnstile(crew.handshakes, self.loop)
        world = World(self.loop, crew.address, crew.pace, turnstile.ask, turnstile.done)
        pool = Pool()
        programs = [{path: pool.of(data) for path, data in program.items()} for program in crew.programs]
        self._nodes = [
            Node(world, one.identity, context(one.identity), Flash(programs[one.program], pool), one.flaws)
            for one in crew.members
        ]
        self._heard = b""

    def run(self) -> None:
        """Until stdin ends."""
        self.loop.watch(sys.stdin.fileno(), select.EPOLLIN, self._hear)
        gc.freeze()  # what stays is not looked at again
        gc.set_threshold(*_SELDOM)
        self._say({"ready": len(self._nodes)})
        with signatures.installed(self.verifier):
            self.loop.run()

    def _hear(self, _mask: int) -> None:
        data = os.read(sys.stdin.fileno(), 65536)
        if not data:
            self.loop.stop()
        *lines, self._heard = (self._heard + data).split(b"\n")
        for line in lines:
            self._obey(json.loads(line)["do"])

    def _obey(self, order: str) -> None:
        if order == "power_on":
            for node in self._nodes:
                node.power_on()
            self._say({"on": len(self._nodes)})
        elif order == "figures":
            self._say(self._figures())
        else:
            self._say({"facts": [_facts(node) for node in self._nodes]})

    def _figures(self) -> dict[str, int]:
        used = resource.getrusage(resource.RUSAGE_SELF)
        lag_ms, self.loop.lag_ms = self.loop.lag_ms, 0
        return {
            "up": sum(node.is_up for node in self._nodes),
            "met": sum(node.trace.connects > 0 for node in self._nodes),
            "refused": sum(node.trace.refused for node in self._nodes),
            "lag_ms": lag_ms,
            "rss_kb": used.ru_maxrss,
            "cpu_ms": int((used.ru_utime + used.ru_stime) * 1000),
            "signatures": self.verifier.asked,
            "computed": self.verifier.computed,
        }

    def _say(self, what: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(what) + "\n")
        sys.stdout.flush()


def _facts(node: Node) -> list[Any]:
    """The fields of crew.Facts, in order."""
    device, trace = node.device, node.trace
    runs = hasattr(device, "slots")
    return [
        device.identity.node,
        node.flaws.name,
        device.slots.manifest.hex() if runs else "",
        device.slots.is_kept if runs else True,
        device.is_brick(),
        node.is_up,
        node.is_silent,
        trace.boots,
        trace.cuts,
        trace.connects,
        trace.steps,
        trace.orders,
        trace.epochs,
        trace.said,
        trace.sessions,
        [(counter, digest.hex()) for counter, digest in trace.envelopes],
    ]


def main() -> None:
    """Run the crew of a file, which is deleted: it holds keys."""
    path = Path(sys.argv[1])
    crew = Crew.load(path)
    path.unlink()
    Worker(crew).run()


if __name__ == "__main__":
    main()
