"""Runs the updater beside everything else, and restarts for it when nobody is left in the dark.

What is believed, fetched and tried decides `core/update`; here it gets its messages, its time and its session.
"""

import asyncio
import sys

from node.core import document
from node.core.commands import CommandError
from node.core.slots import CRASH
from node.core.update.resident import Resident
from protocol.events import UPDATE
from protocol.message import Message
from protocol.messages import E_ARGUMENT, LOG_ERROR, LOG_INFO

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Protocol

    from node.board.door import BoardDoor
    from node.core.boots import Boots
    from node.core.clock import Clock
    from node.core.config import Config
    from node.core.files import FilesDoor
    from node.core.journal import Journal
    from node.core.log import Lines
    from node.core.slots import Slots
    from node.tasks.link import Link
    from protocol.identity import Identity

    class Parts(Protocol):
        """What the updater works with; `node.app.App` has it all."""

        board: BoardDoor
        files: FilesDoor
        identity: Identity
        slots: Slots
        clock: Clock
        boots: Boots
        config: Config
        journal: Journal
        log: Lines
        link: Link
        product: Any

        def restart(self, reason: str, wait_ms: int = 0) -> None:
            """Restart the node on purpose."""


PATH = "/data/fit.cbor"
_BEAT_MS = 10000
_PAUSE_MS = 1000  # whatever work ends with, it does not begin anew at once
_U32 = 0xFFFFFFFF
_TAG = "update"


class Fit(Message):
    """What of the product worked when the program before went down: the bits of its `working`."""

    FIELDS = ((1, "works", int, 0, _U32),)
    works: int = 0


class Update:
    """The updater of one node. `run` is its task, `tick` is called each second."""

    def __init__(self, parts: "Parts") -> None:
        board, link = parts.board, parts.link
        self._parts = parts
        self._wake = asyncio.Event()
        self.resident = Resident(
            parts.files,
            parts.slots,
            parts.identity,
            facts(board.chip()),
            parts.clock,
            parts.boots.boot,
            parts.config.get,
            board.random,
            parts.log,
            lambda payload: link.publish("ota", payload),
            lambda attrs: parts.journal.event(UPDATE, attrs=attrs),
            board.base(),
        )
        self.resident.on_ready = self._wake.set
        link.handlers["ota"] = self.resident.offer
        link.handlers["epoch"] = self.resident.halt
        link.handlers["block"] = self.resident.block
        link.on_up.append(self.resident.up)

    def begin(self, cause: int, reason: str) -> None:
        """The node has started: RESET_*, and why the last run ended on purpose."""
        note = self._parts.files.read(CRASH)
        text = "".join([chr(byte) if 32 <= byte < 127 else "?" for byte in note or b""])
        try:
            self.resident.begin(cause, reason, text)
            if note is not None:
                self._parts.files.remove(CRASH)
        except Exception as error:  # a node works without updates, too
            self._parts.log(LOG_ERROR, _TAG, "begin: {!r}".format(error))

    async def run(self, beat: "Callable[[], None]") -> None:
        """Work while there is something to do, for ever."""
        while True:
            beat()
            self._wake.clear()
            if self.resident.busy:
                await self._work(beat)
                await asyncio.sleep_ms(_PAUSE_MS)
            else:
                await self._rest(_BEAT_MS)

    async def _work(self, beat: "Callable[[], None]") -> None:
        for step in self.resident.work():
            beat()
            if step is None:
                await asyncio.sleep_ms(0)
            elif isinstance(step, int):
                await self._wait(step, beat)
            else:
                while not self._parts.link.up:
                    await self._wait(_BEAT_MS, beat)
                    self._wake.clear()
                self._parts.link.publish("block", step)  # without room it is lost, as on the way: it is asked again
            self._wake.clear()

    async def _wait(self, wait_ms: int, beat: "Callable[[], None]") -> None:
        """So long, or until there is news."""
        while wait_ms > 0 and not self._wake.is_set():
            beat()
            await self._rest(min(wait_ms, _BEAT_MS))
            wait_ms -= _BEAT_MS

    async def _rest(self, wait_ms: int) -> None:
        try:
            await asyncio.wait_for_ms(self._wake.wait(), wait_ms)
        except asyncio.TimeoutError:
            pass

    def tick(self) -> None:
        """Restart into what is installed, when the product may be without its program for a moment. One on trial that
        is given up does not wait."""
        parts, resident = self._parts, self.resident
        may = not parts.slots.is_kept or (resident.due and (resident.now or parts.product.may_restart()))
        if resident.ready and may:
            document.save(parts.files, PATH, Fit(works=parts.product.working()))
            if resident.depart():
                parts.restart(_TAG)

    def is_fit(self) -> bool:
        """True when everything works that worked under the program before. What was broken, no update can mend."""
        works: int = document.load(self._parts.files, PATH, Fit).works
        return not works & ~self._parts.product.working()

    def confirm(self) -> None:
        """The program on trial has proved itself. Raises OSError when the flash refuses."""
        self.resident.confirm()
        self._parts.log(LOG_INFO, _TAG, "slot {} is confirmed".format(self._parts.slots.running))

    def give_up(self) -> None:
        """The program on trial has not proved itself: the next restart runs the one before. Raises OSError."""
        self.resident.give_up(self._parts.link.stats.connects > 0)

    def prove(self, args: "dict[str, Any]") -> "dict[str, Any]":
        """{nonce: up to 32 bytes} -> {proof}: what runs, under the key of the node."""
        nonce = args.get("nonce", b"")
        if type(nonce) is not bytes or len(nonce) > 32:
            raise CommandError(E_ARGUMENT, "nonce must be up to 32 bytes")
        return {"proof": self.resident.prove(nonce).encode()}


def facts(chip: str) -> "tuple[str, int, str]":
    """(chip, version of .mpy files, version of MicroPython) of what runs here."""
    found: "Any" = sys.implementation
    return chip, getattr(found, "_mpy", 0) & 0xFF, ".".join([str(part) for part in found.version[:3]])
