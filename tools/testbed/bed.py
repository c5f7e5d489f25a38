"""The test bench of the outage tests, and what the demo runs."""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from fleet import setup
from fleet.boards.wish import Wish
from fleet.broker import control
from fleet.config import Config
from fleet.flashing import firmware
from fleet.flashing.base import Shelf
from fleet.flashing.chips import CHIPS
from fleet.model import Kind
from fleet.provision import Provisioner, Request
from fleet.store import Store
from protocol.identity import Identity
from tools.interpreter import ROOT, version
from tools.switchboard import Link, NameServer, TimeServer, WorldClock
from tools.testbed.account import Account, Entry, take
from tools.testbed.node import FLASH, PSK, SSID, Node, Seat
from tools.testbed.service import ServiceProcess
from tools.virtual_board.base import base_image

HOST = "127.0.0.1"
BROKER = "broker.lumenair.test"  # as the nodes know it
TIME = "time.lumenair.test"
CACHE = ROOT / "build" / "cache" / "mpy"  # compiled modules; all of them take seconds
_BASE_DATE = "20260101"  # a name of a base image needs one
_BASE_SIZE = 4096  # of the app of the base images: what is in it does not matter
_AT_ONCE = 6  # boards that are flashed side by side
_REPORT_S = 60.0  # on a machine with much else to do
_POLL_S = 0.1


class Testbed:
    """A fleet in `directory` (new or empty), its nodes in the world of `world`, a link of its own for each.

    `settings` go into fleet.toml over what the test bench needs there; `found(config)` completes the fleet before it
    has nodes, by a root that they trust.

    `async with` sets everything up but the nodes, and ends everything: no process outlives it.
    """

    __test__ = False  # not a test, whatever pytest makes of its name

    def __init__(
        self,
        directory: Path,
        seats: Iterable[Seat],
        world: WorldClock,
        settings: Mapping[str, Mapping[str, Any]] | None = None,
        found: Callable[[Config], None] = lambda _: None,
    ) -> None:
        self._settings = settings or {}
        self._found = found
        self.directory = directory
        self.seats = tuple(seats)
        self.world = world
        self.names = NameServer({BROKER: [HOST], TIME: [HOST]})
        self.times = TimeServer(world)
        self.links: dict[str, Link] = {}
        self.nodes: dict[str, Node] = {}
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
        self._found(self.config)
        dns = await self.names.start(HOST)
        ntp = f"{TIME}:{(await self.times.start(HOST))[1]}"
        for seat in self.seats:
            self.links[seat.node] = Link((HOST, 0), broker)
            await self.links[seat.node].start()
            self.nodes[seat.node] = Node(seat, self.directory / "nodes" / seat.node, self.world, dns)
        identities = self._provision(ntp)
        self.service = ServiceProcess(self.config, self.directory / "service.log")
        program = firmware.load(cache=CACHE)
        turns = asyncio.Semaphore(_AT_ONCE)

        async def flash(node: Node, identity: Identity) -> None:
            async with turns:
                await node.flash(Wish(program, self._shelf(node.seat), report_s=_REPORT_S), identity)

        await asyncio.gather(self.service.start(), *map(flash, self.nodes.values(), identities))

    def _shelf(self, seat: Seat) -> Shelf:
        """The MicroPython of virtual boards for that one."""
        shelf = self.directory / ("micropython-ota" if seat.ota else "micropython")
        shelf.mkdir(exist_ok=True)
        file = shelf / f"{CHIPS[seat.chip].download}-{_BASE_DATE}-v{version()}.bin"
        if not file.exists():
            file.write_bytes(base_image(seat.chip, FLASH[seat.ota], seat.ota, _BASE_SIZE))
        return Shelf(shelf)

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
                wifi_ssid=SSID,
                wifi_psk=PSK,
            )
            for seat in self.seats
        ]
        with Store.open(self.config.store_url) as store:
            return Provisioner(self.config, store.nodes, now_s=self._world_s).provision(*requests)

    async def power_on(self) -> None:
        """Switch every node on."""
        await asyncio.gather(*(node.power_on() for node in self.nodes.values()))

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

    async def set_rate(self, rate: float) -> None:
        """From now on world and nodes run at `rate` (1 = real time)."""
        self.world.set_rate(rate)
        await asyncio.gather(*(node.order("rate", x=rate) for node in self.nodes.values()))

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

    async def until(self, condition: Callable[[], bool | Awaitable[bool]], patience_s: float = 60.0) -> bool:
        """Wait until `condition()` holds; False when patience ended first."""
        end = time.monotonic() + patience_s
        while True:
            found = condition()
            if found if isinstance(found, bool) else await found:
                return True
            if time.monotonic() > end:
                return False
            await asyncio.sleep(_POLL_S)

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
