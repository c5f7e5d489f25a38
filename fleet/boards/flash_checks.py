"""Reasons not to flash a board, and not to believe one that was."""

from fleet.boards.wish import Wish
from fleet.errors import NotAllowedError, UsageError, VerificationError
from fleet.flashing.console import Report
from fleet.flashing.esptool import Found
from fleet.flashing.firmware import Firmware
from protocol.report import DAMAGED


def refuse_undelivered(url: str, report: Report) -> None:
    """NotAllowedError for a node with entries that nobody else has."""
    if report.waiting:
        raise NotAllowedError(
            f"{report.node} at {url} has {report.waiting} entries that are not delivered yet",
            hint="let it connect first, or add --yes: what can be read is kept",
        )


def check_pins(url: str, wish: Wish, found: Found, report: Report | None) -> None:
    """UsageError when the board cannot be what was asked for."""
    if not wish.pins:
        return
    fits = [pins.name for pins in wish.pins if pins.chip == found.chip.name]
    if not fits:
        names = " or ".join(sorted({pins.chip for pins in wish.pins}))
        raise UsageError(f"{url}: the chip is {found.chip.name}, and what was asked for is for {names}")
    if report is not None and report.board and report.board not in fits and wish.belongings is None:
        raise UsageError(
            f"{report.node or 'the board'} at {url} is {report.board}",
            cause=f"what was asked for is {' or '.join(fits)}",
            hint="leave --kind and --board away, or make it another node: --node",
        )


def check_report(url: str, report: Report, firmware: Firmware, node: str) -> None:
    """VerificationError when a report is not that of what was flashed."""
    if (report.manifest, report.fw) != (firmware.manifest, firmware.version):
        raise VerificationError(
            f"{url} runs another program than was flashed",
            cause=f"it reports {report.fw} {report.manifest[:12]} from slot {report.slot}, "
            f"and this is {firmware.version} {firmware.manifest[:12]}",
            hint="flash it with --force; does its boot.py choose another slot?",
        )
    if report.state == DAMAGED or node not in ("", report.node):
        raise VerificationError(
            f"{url} does not have its identity any more",
            cause=f"it reports {report.node or report.state}, and it was {node}",
            hint=f"give it a new one: fleet board provision {node}",
        )
