"""The embedded NATS broker, complete: the child process and the guard that watches over its sessions."""

from collections.abc import Callable
from pathlib import Path

from fleet.broker import control, nats
from fleet.broker.guard import Guard
from fleet.broker.process import BrokerProcess
from fleet.config import Config

INTRUDER = "intruder"  # the kind of alarm that the guard raises


class EmbeddedBroker(BrokerProcess):
    """A broker process on the directory of a fleet, whose configuration `control.write` has written."""

    def __init__(
        self,
        binary: Path,
        config: Config,
        on_alarm: Callable[[str, str], None] | None = None,
        on_ready: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(nats.dialect(binary, config), config.broker_dir, control.log_file(config), on_alarm, on_ready)
        self._guard = Guard(self._client_port, control.guard_secret(config), lambda text: self.alarm(INTRUDER, text))

    def start(self) -> None:
        """Begin; returns at once."""
        super().start()
        self._guard.start()

    def stop(self) -> None:
        """End the guard, the child and its owner."""
        self._guard.stop()
        super().stop()

    def guarded(self, timeout_s: float) -> bool:
        """Whether the guard watches, at the latest after `timeout_s`."""
        return self._guard.wait_watching(timeout_s)

    def _client_port(self) -> int | None:
        port = self.facts.get(nats.CLIENT_PORT)
        return int(port) if port is not None and self.alive else None
