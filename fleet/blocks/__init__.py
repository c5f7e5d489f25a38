"""The block server: answers what nodes ask for while they update (SPEC 15).

    bus thread      BlockServer.offer        one place in the queue for each node: a newer question replaces the older
    blocks thread   Rates -> Shelf           rate.py, shelf.py

Blocks and questions are QoS 0 and neither stored nor logged: what is lost or turned away is asked for again. A node
gets what was published for its product and not yanked since, root and release envelopes included; the node checks
the signatures of all of it, so nothing here has to be believed.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from fleet.blocks.rate import MAX_WAIT_S, Limits, Rates
from fleet.blocks.shelf import TROUBLE_MS, BusyError, Shelf, Snapshot
from fleet.errors import FleetError
from protocol import topics
from protocol.errors import DecodeError
from protocol.refusals import U_UNAVAILABLE
from protocol.update import Ask, Block

QUEUE = 4096  # nodes whose question waits
KNOWN_S = 60.0  # how long a list of nodes serves ...
LOOK_S = 2.0  # ... and how soon one that is not in it is looked for
_AT_ONCE = 32  # questions whose answers are handed over together
_MAX_OFFSET = 0xFFFFFF

Message = tuple[str, bytes]  # topic, payload
Post = Callable[[Iterable[Message]], int]  # returns at once; how many were taken


class Figures(NamedTuple):
    """Counts since the start."""

    asks: int  # that were looked at
    blocks: int  # that were sent
    sent_bytes: int
    delayed: int  # answers that said: later
    unavailable: int  # answers that said: no such thing
    refused: int  # questions that break the contract, or of nobody we know
    dropped: int  # questions that found no room
    lost: int  # answers that found no room
    built: int  # payloads


class BlockServer:
    """`products()` gives {node id: product} of the nodes that may ask; `post` hands over to the bus."""

    def __init__(
        self,
        shelf: Shelf,
        products: Callable[[], Mapping[str, str]],
        post: Post,
        log: Callable[[str], None],
        limits: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._shelf = shelf
        self._products = Snapshot(products, KNOWN_S, clock)
        self._post = post
        self._log = log
        self._clock = clock
        self._rates = Rates(limits or Limits(), clock())
        self._asks: dict[str, bytes] = {}  # {topic: payload}, oldest first
        self._some = threading.Condition()
        self._ends = False
        self._fault = ""
        self._counts = dict.fromkeys(Figures._fields, 0)
        self._thread = threading.Thread(target=self._run, name="blocks", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def finish(self) -> None:
        """End after the answer at hand; what waits is forgotten."""
        with self._some:
            self._ends = True
            self._some.notify()
        if self._thread.ident is not None:
            self._thread.join()
        self._shelf.close()

    def offer(self, topic: str, payload: bytes) -> None:
        """A message on up/block. Takes no time and never fails."""
        with self._some:
            if len(payload) > Ask.MAX_SIZE:
                self._counts["refused"] += 1
            elif topic in self._asks or len(self._asks) < QUEUE:
                self._asks[topic] = payload
                self._some.notify()
            else:
                self._counts["dropped"] += 1

    def figures(self) -> Figures:
        """What happened so far."""
        return Figures(**{**self._counts, "built": self._shelf.built})

    def _run(self) -> None:
        while True:
            with self._some:
                while not self._asks and not self._ends:
                    self._some.wait()
                if self._ends:
                    return
                some = [(topic, self._asks.pop(topic)) for topic in list(self._asks)[:_AT_ONCE]]
            self.serve(some)

    def serve(self, asks: Iterable[Message]) -> None:
        """Answer some questions; a fault costs the answer to one."""
        answers: list[Message] = []
        for topic, payload in asks:
            self._counts["asks"] += 1
            try:
                answers += self._answers(topic, payload)
            except DecodeError:
                self._counts["refused"] += 1
            except Exception as error:  # a fault of ours must not end what everybody else gets
                self._note(error)
        self._counts["lost"] += len(answers) - self._post(answers)

    def _answers(self, topic: str, payload: bytes) -> list[Message]:
        """The blocks for one question; DecodeError when it is none, or nobody's."""
        node, direction, name = topics.parse(topic)
        if (direction, name) != ("up", "block"):
            raise DecodeError("not a question for blocks")
        ask = Ask.decode(payload)
        product = self._product(node)
        where = topics.down(node, "block")
        granted, wait_s = self._rates.grant(node, ask.count, self._clock())
        if not granted:
            return [(where, self._later(ask, int(wait_s * 1000) + 1))]
        try:
            return [(where, block.encode()) for block in self._blocks(ask, node, product, granted, wait_s)]
        except BusyError as busy:
            if busy.__cause__ is not None:
                self._note(busy.__cause__)
            return [(where, self._later(ask, busy.wait_ms))]
        except FleetError as error:
            self._note(error)
            return [(where, self._later(ask, TROUBLE_MS))]

    def _note(self, error: BaseException) -> None:
        """Say what went wrong, once: thousands of nodes may meet it."""
        text = str(error) or type(error).__name__
        if text != self._fault:
            self._log(f"cannot serve blocks: {text}")
        self._fault = text

    def _product(self, node: str) -> str:
        found = self._products.get().get(node) or self._products.newer(LOOK_S).get(node)
        if found is None:
            raise DecodeError("no such node")
        return found

    def _later(self, ask: Ask, wait_ms: int) -> bytes:
        self._counts["delayed"] += 1
        return Block(what=ask.what, offset=ask.offset, wait_ms=min(wait_ms, int(MAX_WAIT_S * 1000))).encode()

    def _blocks(self, ask: Ask, node: str, product: str, count: int, wait_s: float) -> list[Block]:
        """Up to `count` blocks; the last one says how long to wait. Behind the end there is one without data."""
        whole = self._shelf.find(ask, node, product)
        if whole is None:
            self._counts["unavailable"] += 1
            return [Block(what=ask.what, offset=ask.offset, code=U_UNAVAILABLE)]
        made: list[Block] = []
        for offset in range(ask.offset, ask.offset + count * ask.size, ask.size):
            data = whole.read(offset, ask.size) if offset <= _MAX_OFFSET else b""
            if data or not made:
                made.append(Block(what=ask.what, id=whole.id, offset=offset, total=whole.size, data=data))
                self._counts["blocks"] += 1
                self._counts["sent_bytes"] += len(data)
        made[-1].wait_ms = int(wait_s * 1000)
        return made
