"""What is kept of a test that failed, for whoever has to find out why."""

import contextlib
import gzip
from pathlib import Path

from fleet.errors import FleetError
from fleet.hil import results
from fleet.hil.power.virtual import Virtual
from hil_tests.harness.board import BenchBoard
from hil_tests.harness.session import Session

TAIL = 200_000  # bytes of a log


def keep(board: BenchBoard, record: results.Test, bench: Session) -> None:
    """The flash, the broker's log and the service's. The console is kept in any case."""
    with contextlib.suppress(OSError, FleetError):
        record.attach("flash.bin.gz", gzip.compress(_flash(board), 1))
    for log in bench.logs:
        with contextlib.suppress(OSError):
            record.attach(log.name, _tail(log))


def _flash(board: BenchBoard) -> bytes:
    """The whole flash chip: the file of a virtual board, or read over the line."""
    if isinstance(board.switch, Virtual):
        return (board.switch.path.parent / "flash.bin").read_bytes()
    loader = board.loader()
    return loader.read(0, loader.look().flash_size)


def _tail(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(0, 2)
        file.seek(max(0, file.tell() - TAIL))
        return file.read()
