"""The serial line of a board under test, as pytest-embedded drives it; it can be lent to esptool and mpremote."""

import contextlib
from collections.abc import Iterator
from typing import Any

import serial
from pytest_embedded_serial import Serial  # type: ignore[import-untyped]

from fleet.errors import FleetError
from fleet.flashing.console import BAUD, open_port
from hil_tests.harness.verdict import InfrastructureError, bench_fault


class Line(Serial):  # type: ignore[misc]
    """pytest-embedded's serial service on a port that our own door has opened: no reset, any pyserial URL."""

    def __init__(self, url: str, **kwargs: Any) -> None:
        self.url = url
        self.proc: serial.Serial
        super().__init__(port=_opened(url), baud=BAUD, **kwargs)

    def send(self, data: bytes) -> None:
        """Type `data`; InfrastructureError when the port is gone."""
        try:
            self.proc.write(data)
        except (serial.SerialException, OSError) as error:
            raise InfrastructureError(f"{self.url} went away: {error}") from error

    def lose(self) -> None:
        """The port has gone away: nobody waits for it here."""
        self.stop_redirect_thread()
        self.proc.close()

    def reopen(self) -> None:
        """Open it again, if it was closed."""
        if not self.proc.is_open:
            self.proc = _opened(self.url)
            self.start_redirect_thread()

    @contextlib.contextmanager
    def released(self) -> Iterator[None]:
        """Let somebody else have the port meanwhile."""
        self.lose()
        try:
            yield
        finally:
            self.reopen()


def _opened(url: str) -> serial.Serial:
    try:
        return open_port(url, BAUD)
    except FleetError as error:
        raise bench_fault(f"cannot open {url}", error) from error
