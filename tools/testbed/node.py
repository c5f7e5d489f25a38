"""A node of a test bench: a virtual board that esptool has flashed, with a witness beside its program."""

import asyncio
import os
import struct
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fleet.boards import flash
from fleet.boards.flash import Flashed
from fleet.boards.wish import Belongings, Wish
from protocol.identity import PATH, Identity
from tools.switchboard import WorldClock
from tools.testbed import probe
from tools.virtual_board.client import Client
from tools.virtual_board.launch import BoardProcess

SSID, PSK = "lumenair-test", "not-a-secret"  # in the air around every node
LEDGER = struct.Struct(">IIB")  # of tools/testbed/probe.py
FLASH = {False: "4MB", True: "8MB"}  # two application partitions and two slots need more than 4 MB


@dataclass(frozen=True)
class Seat:
    """One node of a simulated fleet: who it is and what is around it; `ota`: it has two application partitions."""

    node: str
    kind: str
    board: str
    seed: int = 1
    ota: bool = False

    @property
    def chip(self) -> str:
        """Of its board."""
        return self.board.partition("_")[0]


class Node:
    """One node in `directory`, which is that of its board; ledger.bin is beside the flash. BoardError
    says why a board does not obey."""

    def __init__(self, seat: Seat, directory: Path, world: WorldClock, dns: tuple[str, int]) -> None:
        self.seat = seat
        self.directory = directory
        self.flashed: Flashed | None = None
        self._world = world
        self._board = BoardProcess(
            directory,
            chip=seat.chip,
            flash_size=FLASH[seat.ota],
            fit=seat.kind,
            seed=seat.seed,
            place=seat.node,
            utc=int(world.utc_s()),
            probe=Path(probe.__file__),
            dns=f"{dns[0]}:{dns[1]}",
            wifi={},
        )

    async def flash(self, wish: Wish, identity: Identity) -> None:
        """Start the board, make it the node over its serial port, and switch it off again.

        It runs in between, to report who it is: in real time, and without a network. Raises FleetError."""
        await self._board.start()
        (self.directory / "ledger.bin").touch()
        belongings = Belongings(self.seat.node, lambda _: {PATH: identity.encode()})
        state = str(self.directory / "state")
        environ = {**os.environ, "XDG_RUNTIME_DIR": state, "XDG_STATE_HOME": state}
        wish = replace(wish, belongings=belongings)
        stop = threading.Event()
        try:
            self.flashed = await asyncio.to_thread(flash.flash, self._board.port, wish, environ=environ, stop=stop)
        finally:
            stop.set()
        await self.power_off()
        await self.order("wifi", networks={SSID: PSK})

    async def order(self, do: str, **values: Any) -> dict[str, Any]:
        """An order to the board (python -m tools.virtual_board --help), and its answer."""
        return await self._board.client.aask(do, **values)

    async def power_on(self) -> None:
        """Switch the board on, in the world as it is now; on one that is on, nothing changes."""
        await self.order("rate", x=self._world.rate)
        if not await self.is_on():
            behind = int(self._world.utc_s() - (await self.order("status"))["utc_s"])
            await self.order("leap", s=max(behind, 0))
        await self.order("power", on=True)

    async def power_off(self) -> None:
        """Cut the power: the program ends between two instructions."""
        await self.order("power", on=False)

    async def is_on(self) -> bool:
        """False when somebody has switched it off, or a cut in a flash operation has."""
        return bool((await self.order("status"))["state"] != "off")

    async def loses_power(self, patience_s: float) -> None:
        """Wait for that; BoardError when it does not come."""
        await self.order("wait", state="off", timeout_s=patience_s)

    async def resets(self) -> int:
        """How often the program has reset the board, since the board was started."""
        found: int = (await self.order("status"))["resets"]
        return found

    async def ask(self, **values: Any) -> dict[str, Any]:
        """Where the node stands now: `ask` of tools/testbed/probe.py, which can do a few things as well."""
        return await self.order("probe", **values)

    async def leap(self, seconds: int, patience_s: float) -> None:
        """Let `seconds` pass for the node as fast as it can; returns when they have."""
        await Client(self.directory / "control", patience_s).aask("leap", s=seconds)

    def ledger(self) -> list[tuple[int, int, int]]:
        """(boot, seq, class) of every entry that the node ever took into its outbox."""
        data = (self.directory / "ledger.bin").read_bytes()
        return list(LEDGER.iter_unpack(data[: len(data) // LEDGER.size * LEDGER.size]))

    async def stop(self) -> None:
        """End the board."""
        await self._board.stop()
