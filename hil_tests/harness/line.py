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

    @contextlib.contextmanager
    def released(self) -> Iterator[None]:
        """Let somebody else have the port meanwhile."""
        self.stop_redirect_thread()
        self.proc.close()
        try:
            yield
        finally:
            self.proc = _opened(self.url)
            self.start_redirect_thread()


def _opened(url: str) -> serial.Serial:
    try:
        return open_port(url, BAUD)
    except FleetError as error:
        raise bench_fault(f"cannot open {url}", error) from error
