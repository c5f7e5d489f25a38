"""What boards are to become when they are flashed."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fleet.errors import UsageError
from fleet.flashing import base, firmware, pinmaps
from fleet.flashing.base import Shelf
from fleet.flashing.chips import CHIPS
from fleet.flashing.console import REPORT_S
from fleet.flashing.esptool import Found, Options
from fleet.flashing.firmware import Firmware
from fleet.flashing.pinmaps import PinMap

AUTO = "auto"
_SHA256 = re.compile(r"[0-9A-Fa-f]{64}")


@dataclass(frozen=True)
class Belongings:
    """The node that a board is to be: `files` makes what it needs in its file system, once all else is settled."""

    node: str
    files: Callable[[Found], Mapping[str, bytes]]


@dataclass(frozen=True)
class Wish:
    """What every board of a run gets. `pins` are the pin maps that it may have, none for any.

    `firmware` is that of all products; a board gets the part for its kind, and all of it while it may become any.
    `force` writes everything, `erase` gives up what is on the board, `yes` also what is not delivered yet. A board has
    `report_s` from its reset to its report.
    """

    firmware: Firmware
    shelf: Shelf
    options: Options = field(default_factory=Options)
    pins: tuple[PinMap, ...] = ()
    force: bool = False
    erase: bool = False
    yes: bool = False
    dry_run: bool = False
    belongings: Belongings | None = None
    report_s: float = REPORT_S

    @property
    def kind(self) -> str:
        """The kind of node that was asked for; nothing when it may be any."""
        kinds = {pins.kind.value for pins in self.pins}
        return kinds.pop() if len(kinds) == 1 else ""


def options(chip: str = AUTO, **values: Any) -> Options:
    """How to reach the loader, as `Options` names it; UsageError for a chip that the firmware does not run on."""
    if chip not in (AUTO, *CHIPS):
        raise UsageError(f"the firmware does not run on {chip}", hint=f"one of {', '.join((AUTO, *CHIPS))}")
    return Options(chip, **values)


def program(top: Path | None, environ: Mapping[str, str]) -> Firmware:
    """The firmware in `top`, by default ours, compiled; NotFoundError or FleetError say what is wrong with it."""
    return firmware.load(top, base.cache(environ) / "mpy")


def shelf(micropython: str, sha256: str, environ: Mapping[str, str]) -> Shelf:
    """The base images to choose from: a file, a version, or the newest of those that were downloaded.

    UsageError for a `sha256` that is none.
    """
    if sha256 and not _SHA256.fullmatch(sha256.strip()):
        raise UsageError("--sha256 takes 64 hexadecimal digits", hint="sha256sum FILE shows them")
    return Shelf(base.directory(environ), micropython, sha256)


def pins(top: Path | None, board: str, kind: str) -> tuple[PinMap, ...]:
    """The pin maps that --board and --kind leave; none when neither is given. UsageError when nothing fits."""
    if not (board or kind):
        return ()
    known = pinmaps.catalogue(top or firmware.directory())
    if board:
        return (pinmaps.choose(known, board, kind, ""),)
    return tuple(one for one in known.values() if one.kind.value == kind)
