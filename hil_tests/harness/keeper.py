"""Keeps the city of a run in the process that started it: broker, service, database, and a gate for each board.

The processes that run the tests ask over a Unix socket, one line of JSON each way (`city.City`). The city is made when
the first of them asks for it, and nothing of it outlives this process.
"""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fleet import config as settings
from fleet import setup
from fleet.broker import tether
from fleet.broker.nats import PID_NAME
from fleet.config import Config
from fleet.errors import FleetError
from fleet.hil import power
from fleet.hil.inventory import Bench, Board
from fleet.hil.power.virtual import Virtual
from hil_tests.harness.gate import Gate
from hil_tests.harness.verdict import InfrastructureError

READY_S = 40.0  # the service on a loaded computer
STOP_S = 10.0
CLAIM_S = 5  # so often a board that waits for its identity asks again
LINE_MAX = 1 << 16
_POLL_S = 0.05
_FAULTS = ("cut", "refuse", "drop", "heal")


class Keeper:
    """One for a run, in a directory of its own."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._address = bench.about.address
        self._directory = Path(tempfile.mkdtemp(prefix="lumenair-hil-"))
        self._gates: dict[str, Gate] = {}
        self._found: dict[str, Any] = {}
        self._service: asyncio.subprocess.Process | None = None
        self._making = asyncio.Lock()
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),), name="city")

    @property
    def socket(self) -> Path:
        """Where to ask."""
        return self._directory / "keeper"

    def start(self) -> None:
        """Listen; the city itself is made later."""
        self._thread.start()
        self._ready.wait()

    def stop(self) -> None:
        """End the city, and forget its keys."""
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()
        self._loop.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    async def _run(self) -> None:
        server = await asyncio.start_unix_server(self._client, self.socket, limit=LINE_MAX)
        self._ready.set()
        await self._over.wait()
        server.close()
        for gate in self._gates.values():
            await gate.close()
        if self._service is not None:
            await _stop(self._service)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, ValueError):
            line = await reader.readline()
            answer = await self._answer(json.loads(line))
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
        writer.close()

    async def _answer(self, order: Mapping[str, Any]) -> dict[str, Any]:
        do = order["do"]
        try:
            if do in _FAULTS:
                await getattr(self._gates[order["board"]], do)()
                return {"ok": True}
            if do == "kill-broker":
                os.kill(self._broker_pid(), signal.SIGKILL)
                return {"ok": True}
            if do == "kill-service":
                await self._kill_service()
                return {"ok": True}
            if do == "connections":
                return {"ok": True, "connections": self._gates[order["board"]].connections}
            async with self._making:
                if not self._found:
                    self._found = await self._make()
            return {"ok": True, **self._found}
        except (FleetError, InfrastructureError, OSError, KeyError) as error:
            return {"ok": False, "error": f"{type(error).__name__}: {error}"}

    async def _make(self) -> dict[str, Any]:
        """A new fleet, its service, and the gates."""
        address, port = self._address, _free_port(self._address)
        broker = {"host": address, "port": port, "listen": address, "names": [address]}
        claim = {"listen": address, "port": _free_port(address), "retry_s": CLAIM_S}
        fleet = self._directory / "fleet"
        plan = setup.plan(fleet, {"broker": broker, "claim": claim, "ingest": {"batch_ms": 10}})
        await asyncio.to_thread(plan.carry_out)
        await self._start_service(plan.config)
        gates = {}
        for board in self._bench.boards:
            gate = Gate(address, (address, port), _clock_of(board))
            self._gates[board.id] = gate
            gates[board.id] = await gate.start()
        return {"fleet": str(fleet), "address": address, "gates": gates}

    async def _start_service(self, config: Config) -> None:
        said = self._directory / "service.log"
        with said.open("ab") as log:
            start = log.tell()
            lock = str(self._directory / "tether.lock")
            self._service = await asyncio.create_subprocess_exec(
                *(sys.executable, tether.__file__, str(os.getpid()), lock),
                *(sys.executable, "-m", "fleet", "serve", "--fleet", str(config.directory)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
            )
        end = time.monotonic() + READY_S
        while b"\nready " not in b"\n" + (text := said.read_bytes()[start:]):
            if self._service.returncode is not None or time.monotonic() > end:
                words = text.decode(errors="replace").strip()[-1000:]
                raise InfrastructureError(f"the service of this run does not start: {words or 'it says nothing'}")
            await asyncio.sleep(_POLL_S)

    async def _kill_service(self) -> None:
        """SIGKILL, and a new one in its place."""
        assert self._service is not None
        self._service.kill()
        await self._service.wait()
        await self._start_service(settings.load(Path(self._found["fleet"])))

    def _broker_pid(self) -> int:
        return int((settings.load(Path(self._found["fleet"])).broker_dir / PID_NAME).read_text())


def _clock_of(board: Board) -> Callable[[], float]:
    """The time in which a board lives: a virtual one has its own, all others ours."""
    switch = power.driver(board)
    if not isinstance(switch, Virtual):
        return time.time

    def utc_s() -> float:
        return float(switch.ask("status").get("utc_s", time.time()))

    return utc_s


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_S)
        except TimeoutError:
            process.kill()
            await process.wait()


def _free_port(address: str) -> int:
    with socket.socket() as sock:
        sock.bind((address, 0))
        port: int = sock.getsockname()[1]
        return port
