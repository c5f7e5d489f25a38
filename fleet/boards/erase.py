"""Erases a board: afterwards its flash holds nothing, and neither identity nor records come back."""

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass

from fleet.boards.rescue import Rescue
from fleet.errors import VerificationError
from fleet.flashing import partitions
from fleet.flashing.console import Console, Report
from fleet.flashing.esptool import Esptool, Found, Options


@dataclass(frozen=True)
class Erased:
    """What was erased: the chip, and what it had said about itself."""

    found: Found
    report: Report | None


def ask(url: str) -> Report | None:
    """What would be lost, in the words of the board; None when it says nothing about itself."""
    with Console(url) as console:
        return console.identify().report


def erase(
    url: str,
    options: Options,
    report: Report | None = None,
    environ: Mapping[str, str] = os.environ,
    stop: threading.Event | None = None,
) -> Erased:
    """Erase the whole flash; VerificationError when the chip still holds something afterwards."""
    loader = Esptool(url, options, environ, stop)
    loader.erase()
    found = loader.look(stay=False)
    if found.table.strip(b"\xff"):
        raise VerificationError(
            f"{url} still holds something at {partitions.OFFSET:#x}", hint="check its supply, then the flash chip"
        )
    Rescue.of(environ).forget(found.mac)
    return Erased(found, report)
