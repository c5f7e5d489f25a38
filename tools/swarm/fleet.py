"""A whole fleet of simulated nodes: its directory, the service with its broker, and the workers that run the nodes."""

import asyncio
import json
import os
import shutil
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fleet import setup
from fleet.broker import control, mosquitto
from fleet.broker.process import BrokerProcess
from fleet.config import EMBEDDED, EXTERNAL, Config
from fleet.model import Kind
from fleet.processes import tied
from fleet.provision import Provisioner, Request
from fleet.store import Store
from fleet.store.releases import Published
from fleet.tests.update_rig import Trusted
from tools.interpreter import ROOT
from tools.processes import stop
from tools.sim.world import hash32
from tools.swarm import flaws
from tools.swarm.crew import Crew, Facts, Member, facts_of, shares
from tools.swarm.device import TRIAL, flashed
from tools.swarm.flaws import Flaws
from tools.swarm.node import Pace
from tools.testbed.bed import HOST, free_port
from tools.testbed.service import ServiceProcess

MOSQUITTO = "mosquitto"
FIRST = "1.0.0"  # the version that every node has at first
BOARDS = {Kind.AIR: "esp32_air", Kind.LIGHT: "esp32_light"}
_STEP_UDEG = 2000  # between two nodes of the grid: 140 m and more, so nobody has a neighbour
_ROW = 100  # nodes of a row
_DISTRICT = 250  # nodes of a district
_LINE_MAX = 1 << 28  # bytes of an answer: the facts of thousands of nodes
_POLL_S = 0.2


@dataclass(frozen=True)
class Seat:
    """A node to be."""

    node: str
    kind: Kind
    flaws: Flaws = flaws.SOUND
    tags: Mapping[str, str] = field(default_factory=dict)


def roster(count: int, seed: int, flaky: int, cuts: int) -> tuple[Seat, ...]:
    """Nodes in a grid of a city, air and light in turn; `flaky` and `cuts` are permille (flaws.draw)."""
    return tuple(_seat(number, flaws.draw(seed, number, flaky, cuts)) for number in range(count))


def _seat(number: int, wrong: Flaws) -> Seat:
    kind = (Kind.AIR, Kind.LIGHT)[number % 2]
    row, column = divmod(number, _ROW)
    place = {
        "lat": f"{(48_700_000 + row * _STEP_UDEG) / 1e6:.6f}",
        "lon": f"{(9_100_000 + column * _STEP_UDEG) / 1e6:.6f}",
        "district": f"d{number // _DISTRICT:04d}",
    }
    return Seat(f"{kind.value}-{number:06d}", kind, wrong, place)


def program(kind: Kind, version: str, trial: str = "") -> dict[str, bytes]:
    """The files of a small program for a product. `trial` is how each trial of it ends (flaws.TRIALS), or ""."""
    body = b"".join(b"%08x %d\n" % (hash32(at), at) for at in range(90))
    return {
        "node/app.mpy": f"{kind.value} {version}\n".encode() + body,
        "node/lamp.mpy": body[:900],
        TRIAL: trial.encode(),
    }


class SwarmError(Exception):
    """A worker ended, or something did not happen in time."""


class Swarm:
    """`async with` makes the fleet in `directory` (new or empty), starts the service, and ends all of it. The nodes are
    off until `power_on`. `broker` is EMBEDDED, or MOSQUITTO as an external one."""

    def __init__(
        self,
        directory: Path,
        seats: Iterable[Seat],
        pace: Pace | None = None,
        workers: int = 2,
        settings: Mapping[str, Mapping[str, Any]] | None = None,
        broker: str = EMBEDDED,
    ) -> None:
        self.directory = directory
        self.seats = tuple(seats)
        self.config: Config
        self.trusted: Trusted
        self.service: ServiceProcess
        self.times: dict[str, float] = {}  # seconds that parts of the setup took
        self._pace = pace or Pace()
        self._count = workers
        self._settings = settings or {}
        self._mosquitto: BrokerProcess | None = None
        self._kind = EMBEDDED if broker == EMBEDDED else EXTERNAL
        self._workers: list[Worker] = []
        self._sequence = 0

    async def __aenter__(self) -> "Swarm":
        try:
            self._found()
            await self._start()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def fleet_dir(self) -> Path:
        """What `fleet --fleet` takes."""
        return self.directory / "fleet"

    def _found(self) -> None:
        """The directory, the root, the releases of the first version, the nodes."""
        self.directory.mkdir(parents=True, exist_ok=True)
        own = {"kind": self._kind, "host": HOST, "port": free_port(), "listen": HOST}
        values = {**self._settings, "broker": {**own, **self._settings.get("broker", {})}}
        made = setup.plan(self.fleet_dir, values)
        made.carry_out()
        self.config = made.config
        self.trusted = Trusted(self.config)
        self.publish(FIRST)
        began = time.monotonic()
        self._save_crews()
        self.times["provision"] = time.monotonic() - began

    def publish(self, version: str, trial: str = "") -> dict[Kind, Published]:
        """Sign and publish a release for each product."""
        self._sequence += 1
        found = {}
        with Store.open(self.config.store_url) as store:
            for kind in Kind:
                files = program(kind, version, trial)
                found[kind] = self.trusted.publish(store, kind.value, version, self._sequence, files)
        return found

    def _save_crews(self) -> None:
        requests = [Request(one.node, one.kind, BOARDS[one.kind], tags=one.tags) for one in self.seats]
        with Store.open(self.config.store_url) as store:
            identities = Provisioner(self.config, store.nodes).provision(*requests)
        kinds = list(Kind)
        programs = tuple(flashed(program(kind, FIRST), FIRST) for kind in kinds)
        rows = zip(identities, self.seats, strict=True)
        members = [Member(made, seat.flaws, kinds.index(seat.kind)) for made, seat in rows]
        for at, share in enumerate(shares(members, self._count)):
            Crew((HOST, self.config.broker.port), share, programs, self._pace).save(self._crew_file(at))

    def _crew_file(self, at: int) -> Path:
        return self.directory / f"crew-{at}.cbor"

    def _start_mosquitto(self) -> None:
        if os.getuid() == 0:  # as root it would become another user, who may not enter a fleet directory
            with (self.config.broker_dir / mosquitto.CONFIG_NAME).open("a") as file:
                file.write("user root\n")
        program = mosquitto.dialect(Path(shutil.which(MOSQUITTO) or f"/usr/sbin/{MOSQUITTO}"), self.config)
        self._mosquitto = BrokerProcess(program, self.config.broker_dir, control.log_file(self.config))
        self._mosquitto.start()
        self._mosquitto.wait_ready()

    async def _start(self) -> None:
        if self._kind == EXTERNAL:
            self._start_mosquitto()
        self.service = ServiceProcess(self.config, self.directory / "service.log")
        await self.service.start()
        self._workers = [Worker(self.directory, at) for at in range(self._count)]
        began = time.monotonic()
        await asyncio.gather(*(worker.start(self._crew_file(worker.number)) for worker in self._workers))
        self.times["load"] = time.monotonic() - began

    async def power_on(self, patience_s: float = 60.0) -> None:
        """Switch every node on, wait until each has had a session; SwarmError when that takes longer, or is in part."""
        began = time.monotonic()
        await asyncio.gather(*(worker.ask("power_on") for worker in self._workers))
        while (await self.figures())["met"] < len(self.seats):
            if time.monotonic() - began > patience_s:
                raise SwarmError(f"not every node had a session within {patience_s:.0f} s: {await self.figures()}")
            await asyncio.sleep(_POLL_S)
        self.times["connect"] = time.monotonic() - began
        if refused := (await self.figures())["refused"]:
            raise SwarmError(f"the broker refused {refused} subscriptions: see {self.config.log_dir}")

    async def figures(self) -> dict[str, int]:
        """Sums over all workers; `lag_ms` is the longest."""
        found = await asyncio.gather(*(worker.ask("figures") for worker in self._workers))
        sums = {key: sum(one[key] for one in found) for key in found[0]}
        return {**sums, "lag_ms": max(one["lag_ms"] for one in found)}

    async def facts(self) -> dict[str, Facts]:
        """{node: what it really is}."""
        found = await asyncio.gather(*(worker.ask("facts") for worker in self._workers))
        return facts_of([row for one in found for row in one["facts"]])

    async def memory_mb(self) -> dict[str, int]:
        """The most that each part ever had."""
        nodes = (await self.figures())["rss_kb"] >> 10
        broker = self._mosquitto.pid if self._mosquitto is not None else self.service.broker_pid
        return {"nodes": nodes, "service": _peak_mb(self.service.pid), "broker": _peak_mb(broker)}

    async def close(self) -> None:
        """End every process."""
        await asyncio.gather(*(worker.stop() for worker in self._workers))
        if hasattr(self, "service"):
            await self.service.stop()
        if self._mosquitto is not None:
            self._mosquitto.stop()
        for at in range(self._count):
            self._crew_file(at).unlink(missing_ok=True)


class Worker:
    """One process of nodes (worker.py)."""

    def __init__(self, directory: Path, number: int) -> None:
        self.number = number
        self._log = directory / f"worker-{number}.log"
        self._process: asyncio.subprocess.Process | None = None
        self._one = asyncio.Lock()

    async def start(self, crew: Path) -> None:
        """Start it and wait until its nodes are made."""
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tools.swarm.worker", str(crew.absolute())),
                cwd=ROOT,
                env={"PYTHONPATH": f"{ROOT / 'firmware'}:{ROOT}"},
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                limit=_LINE_MAX,
                preexec_fn=tied(),
                start_new_session=True,
            )
        await self._answer(self._process)

    async def ask(self, order: str) -> dict[str, Any]:
        """Give an order; what it answers. SwarmError when it has ended."""
        process = self._process
        if process is None or process.stdin is None:
            raise SwarmError(f"worker {self.number} was not started")
        async with self._one:
            process.stdin.write(json.dumps({"do": order}).encode() + b"\n")
            return await self._answer(process)

    async def _answer(self, process: asyncio.subprocess.Process) -> dict[str, Any]:
        line = await process.stdout.readline() if process.stdout is not None else b""
        if not line:
            raise SwarmError(f"worker {self.number} ended: {self._log.read_text()[-2000:]}")
        found: dict[str, Any] = json.loads(line)
        return found

    async def stop(self) -> None:
        """End it."""
        if self._process is not None:
            await stop(self._process)


def _peak_mb(pid: int | None) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) >> 10 for line in lines if line.startswith("VmHWM"))
