"""`fleet serve` as a process that can be killed and started again."""

import asyncio
import os
import signal
import sys
from pathlib import Path

from fleet.broker.nats import PID_NAME
from fleet.config import Config
from fleet.processes import tied
from tools.interpreter import ROOT
from tools.processes import stop

READY = "ready "  # how the line begins with which the service says that nodes can connect
READY_S = 40.0


class ServiceError(Exception):
    """The service did not come up."""


class ServiceProcess:
    """The service of one fleet directory, with its broker as its own child. Its console goes to `log_file`."""

    def __init__(self, config: Config, log_file: Path) -> None:
        self._config = config
        self._log_file = log_file
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """Of the service, or None while it does not run."""
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if running and self._process else None

    @property
    def broker_pid(self) -> int:
        """Of the broker that runs now; FileNotFoundError when none ever did."""
        return int((self._config.broker_dir / PID_NAME).read_text())

    async def start(self) -> None:
        """Start it and wait until it says that it is ready; ServiceError with its last words when it ends instead."""
        with self._log_file.open("ab") as log:
            start = log.tell()
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "fleet", "serve", "--fleet", str(self._config.directory)),
                cwd=ROOT,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
                preexec_fn=tied(),
                start_new_session=True,  # Ctrl-C is for whoever runs the test bench
            )
        try:
            async with asyncio.timeout(READY_S):
                while not self._is_ready(start):
                    await asyncio.sleep(0.05)
        except TimeoutError:
            await self.stop()
            raise ServiceError(f"the service is not ready after {READY_S:.0f} s: see {self._log_file}") from None

    def _is_ready(self, start: int) -> bool:
        text = self._log_file.read_bytes()[start:].decode(errors="replace")
        if any(line.startswith(READY) for line in text.splitlines()):
            return True
        if self.pid is None:
            raise ServiceError(f"the service ended: {text.strip()[-1000:] or 'it said nothing'}")
        return False

    async def kill(self) -> None:
        """SIGKILL; the broker goes down with its parent."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    def kill_broker(self) -> None:
        """SIGKILL to the broker alone; the service starts it again."""
        os.kill(self.broker_pid, signal.SIGKILL)

    async def stop(self) -> None:
        """End it in order."""
        if self._process is not None:
            await stop(self._process)
