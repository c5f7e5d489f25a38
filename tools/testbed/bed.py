"""The test bench of the outage tests, and what the demo runs."""

import asyncio
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from fleet import setup
from fleet.broker import control
from fleet.config import Config
from fleet.flashing import firmware, image
from fleet.model import Kind
from fleet.provision import Provisioner, Request
from fleet.store import Store
from protocol.identity import Identity
from tools.interpreter import ROOT
from tools.launcher import NodeProcess, Seat
from tools.switchboard import Link, NameServer, TimeServer, WorldClock
from tools.testbed.account import Account, Entry, take
from tools.testbed.service import ServiceProcess

HOST = "127.0.0.1"
HOST_DOORS = {"node/board/host.py": ROOT / "firmware/node/board/host.py"}  # of the simulation, beside the ESP32's
BROKER = "broker.lumenair.test"  # as the nodes know it
TIME = "time.lumenair.test"
_POLL_S = 0.1


class Testbed:
    """A fleet in `directory` (new or empty), its nodes in the world of `world`, a link of its own for each.

    `settings` go into fleet.toml over what the test bench needs there.

    `async with` sets everything up but the nodes, and ends everything: no process outlives it.
    """

    __test__ = False  # not a test, whatever pytest makes of its name

    def __init__(
        self,
        directory: Path,
        seats: Iterable[Seat],
        world: WorldClock,
        settings: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self._settings = settings or {}
        self.directory = directory
        self.seats = tuple(seats)
        self.world = world
        self.names = NameServer({BROKER: [HOST], TIME: [HOST]})
        self.times = TimeServer(world)
        self.links: dict[str, Link] = {}
        self.nodes: dict[str, NodeProcess] = {}
        self.config: Config
        self.service: ServiceProcess

    @property
    def fleet_dir(self) -> Path:
        """What `fleet --fleet` takes."""
        return self.directory / "fleet"

    @property
    def database(self) -> Path:
        """The store."""
        return Path(self.config.store_url)

    async def __aenter__(self) -> "Testbed":
        try:
            await self._start()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _start(self) -> None:
        broker = (HOST, free_port())
        own = {"host": HOST, "port": broker[1], "listen": HOST, "names": [BROKER]}
        values = {"broker": own, **self._settings}
        self.directory.mkdir(parents=True, exist_ok=True)
        plan = setup.plan(self.fleet_dir, values, self._world_s)
        plan.carry_out()
        self.config = plan.config
        dns = await self.names.start(HOST)
        ntp = f"{TIME}:{(await self.times.start(HOST))[1]}"
        for seat in self.seats:
            self.links[seat.node] = Link((HOST, 0), broker)
            await self.links[seat.node].start()
        program = firmware.load(extra=HOST_DOORS)
        for seat, identity in zip(self.seats, self._provision(ntp), strict=True):
            flash = image.build(image.files_of(program, identity))
            self.nodes[seat.node] = NodeProcess(seat, self.directory / "nodes" / seat.node, flash, self.world, dns)
        self.service = ServiceProcess(self.config, self.directory / "service.log")
        await self.service.start()

    def _world_s(self) -> int:
        return int(self.world.utc_s())

    def _provision(self, ntp: str) -> list[Identity]:
        requests = [
            Request(
                node=seat.node,
                kind=Kind(seat.kind),
                board=seat.board,
                brokers=(f"{BROKER}:{self.links[seat.node].address[1]}",),
                ntp=(ntp,),
            )
            for seat in self.seats
        ]
        with Store.open(self.config.store_url) as store:
            return Provisioner(self.config, store.nodes, now_s=self._world_s).provision(*requests)

    async def power_on(self) -> None:
        """Start every node that does not run."""
        for node in self.nodes.values():
            if node.pid is None:
                await node.power_on()

    def cut(self) -> None:
        """The nodes lose their whole network: broker, names and time."""
        for link in self.links.values():
            link.cut()
        self.names.silent = self.times.silent = True

    async def heal(self) -> None:
        """The network is back, on every link."""
        self.names.silent = self.times.silent = False
        for link in self.links.values():
            await link.heal()

    def set_rate(self, rate: float) -> None:
        """From now on world and nodes run at `rate` (1 = real time)."""
        self.world.set_rate(rate)
        for node in self.nodes.values():
            if node.pid is not None:
                node.order(rate=round(rate * 1000))

    async def leap(self, seconds: int, patience_s: float = 300.0) -> None:
        """Let `seconds` pass for world and nodes, as fast as the nodes can live through them."""
        async with asyncio.TaskGroup() as group:
            for node in self.nodes.values():
                group.create_task(node.leap(seconds, patience_s))
        self.world.leap(seconds)

    def made(self) -> set[Entry]:
        """Every entry that any node ever took into its outbox."""
        return {(name, boot, seq) for name, node in self.nodes.items() for boot, seq, _ in node.ledger()}

    def account(self, made: set[Entry] | None = None) -> Account:
        """Compare the store with `made`, by default everything until now."""
        return take(self.database, self.made() if made is None else made)

    async def drained(self, patience_s: float = 60.0) -> Account:
        """Wait until everything that was made before this call is stored; the account then, or when patience ends."""
        made = self.made()
        await self.until(lambda: not self.account(made).lost, patience_s)
        return self.account(made)

    async def until(self, condition: Callable[[], bool], patience_s: float = 60.0) -> bool:
        """Wait until `condition()` holds; False when patience ended first."""
        end = time.monotonic() + patience_s
        while not condition():
            if time.monotonic() > end:
                return False
            await asyncio.sleep(_POLL_S)
        return True

    async def close(self) -> None:
        """End every process and every server."""
        await asyncio.gather(*(node.stop() for node in self.nodes.values()))
        if hasattr(self, "service"):
            await self.service.stop()
        for link in self.links.values():
            await link.close()
        self.names.close()
        self.times.close()


def free_port() -> int:
    """A TCP port of this computer that nobody uses now."""
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        port: int = sock.getsockname()[1]
        return port


def broker_log(config: Config) -> Path:
    """Where the broker's own words are."""
    return control.log_file(config)
