"""One run of the node on a mounted flash, within this process: stage 0, identity, program; nothing of it is a copy."""

import asyncio
import io
import sys
import time

import boot  # stage 0

from node import app, start
from node.board.files import Files
from node.core.batch import dated, header
from protocol.claim import Ticket
from protocol.messages import RESET_POWER_ON, Batch
from tools.powercut.device.facts import expect
from tools.sim import clock as clocks
from tools.sim.board import HostBoard, HostNetwork
from tools.sim.models import Bench
from tools.sim.world import World

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tools.powercut.device.facts import Facts, Key

EPOCH_S = 1767225600  # 2026-01-01 00:00 UTC
_FOR_EVER = 1 << 40
_build = app.build
_PLAIN = asyncio.core.IOQueue  # type: ignore[attr-defined]  # what a virtual clock is put in front of


def apart(action: "Callable[[], Any]") -> "Any":
    """The result of `action`, which may use asyncio although something that runs in asyncio has called this."""
    core: "Any" = asyncio.core  # type: ignore[attr-defined]
    before = core.ticks, core.IOQueue, core._task_queue, core._io_queue, core.cur_task
    try:
        return action()
    finally:
        core.ticks, core.IOQueue, core._task_queue, core._io_queue, core.cur_task = before


def stage_zero(root: str) -> str:
    """The slot that stage 0 chooses; it counts a try down."""
    boot.start(root)
    return str(sys.path.pop(0)[-1])


class Board(HostBoard):
    """The board of the simulation; nobody asks here how much memory is free, which takes long to find out."""

    def heap(self) -> "tuple[int, int | None]":
        """Enough."""
        return 1 << 17, 1 << 16


class _Built(BaseException):
    """The node, or what a board with a ticket claims with, is built; it does not run yet."""


class Run:
    """From a reset to the moment when the power fails or `live` returns.

    The board starts as any board does; `app` is None when it has no identity, and `ticket` is what it would claim one
    with. What the node tells its surroundings goes into `facts`; `memory` is what survives a reset with the power on.
    """

    app: "Any" = None

    def __init__(self, root: str, facts: "Facts", cause: int = RESET_POWER_ON, memory: bytes = b"") -> None:
        self.files = Files(root)
        self.facts = facts
        self.lines: "list[str]" = []  # of the serial console
        self.ticket: "Ticket | None" = None
        self._cause = cause
        self._memory = memory
        self.slot = stage_zero(root)
        self._start()
        if self.app is not None:
            number = self.app.boots.boot
            expect(number > facts.boot, "boot number {} after {}", number, facts.boot)
            if self.app.boots.stored:
                facts.boot = number
            facts.trials += 1 if self.app.slots.on_trial else 0
            self._witness()

    def _start(self) -> None:
        """`start.run`, up to the point where it would run what it has built."""
        before = app.build  # that of another run, when the power has failed again in the middle of that

        def built(*parts: "Any") -> None:
            self.app = _build(*parts)
            raise _Built

        app.build = built
        try:
            start.run(self, self.files, self.slot, None, self.lines.append)
        except _Built:
            pass
        finally:
            app.build = before

    def __call__(self, document: "Any") -> Board:
        """The board for an identity or a ticket, as `start.run` asks for it."""
        if isinstance(document, Ticket):
            self.ticket = document
            raise _Built
        self.clock = clock = clocks.VirtualClock(time.ticks_ms)  # type: ignore[attr-defined]
        clock.leap(_FOR_EVER, lambda: None)
        bench = Bench(document.kind, lambda: clock.elapsed_ms, World(1, "abc", EPOCH_S))
        network = HostNetwork()
        network.present = False
        ticks = (clock.ticks_ms, clocks.ticks_diff)
        memory = io.BytesIO(self._memory or bytes(256))
        self.board = Board(document.board, ticks, bench, network, memory, self._cause, self.unique_id())
        return self.board

    def unique_id(self) -> bytes:
        """MAC of the chip, which `start.run` asks for when there is no board."""
        return b"\x24\x0a\xc4\x00\x00\x01"

    def _witness(self) -> None:
        outbox, facts = self.app.outbox, self.facts
        keep = outbox.append

        def append(kind: int, entry: bytes) -> bool:
            key = (self.app.boots.boot, header(entry)[0])
            facts.comes(key, kind, entry)
            kept: bool = keep(kind, entry)
            (facts.kept if kept else facts.refused)(key)
            return kept

        outbox.append = append

    def live(self, seconds: int = 1) -> None:
        """The program runs for so long, by its own clock, and restarts."""

        def run() -> None:
            core: "Any" = asyncio.core  # type: ignore[attr-defined]
            core.IOQueue = _PLAIN
            clocks.install(self.clock)
            self.app.restart("matrix", seconds * 1000)
            try:
                asyncio.run(self.app.run())
            except SystemExit:
                pass

        apart(run)

    def passes(self, seconds: int) -> None:
        """Time passes in which the program does nothing."""
        self.clock.wait(seconds * 1000, lambda _: None)
        self.app.clock.uptime_ms()

    def acknowledge(self) -> "dict[Key, bytes]":
        """The broker takes the next batch and says so: its entries, none when there is nothing to send.

        BadError when the batch cannot be read, or an entry is not what was made, or was never made."""
        outbox = self.app.outbox
        item = outbox.take()
        if item is None:
            return {}
        payload = outbox.render(item)
        expect(payload is not None, "a batch that was kept cannot be read")
        batch = Batch.decode(payload)
        found = {(batch.boot, header(entry)[0]): entry for entry in batch.entries}
        for key, entry in found.items():
            made = self.facts.entry(key)
            expect(entry == made or entry == dated(made, item.zero_s), "entry {} is not what was made", key)
            self.facts.acknowledged(key)
        outbox.done(item)
        return found
