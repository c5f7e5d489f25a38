"""Flashing a node beside copying its files: `python -m tools.bench_flash [--line BAUD ...]` prints a JSON line.

Per speed of the line (0 is as fast as it goes) on virtual boards, everything by the real tools as child processes:

  esptool   base image, partition table and file system onto a blank board, in one session; `report_s` is from the start
            of the command, the question who is there included, to the report of the node
  files     the same onto a board that has the base image already: what mpremote is to be compared with
  mpremote  the same files onto such a board, in one call
  again     the same node once more with one line more in one module: what of it is written

The base image is as large as a real one and compresses as well; a virtual board erases and programs at once, which a
chip does not: its 1.9 MB take it 5 to 8 s beside the line, whoever sends them.
"""

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from fleet.boards import flash
from fleet.boards.flash import Phase, Step
from fleet.boards.wish import Belongings, Wish
from fleet.flashing import firmware, image
from fleet.flashing.base import Shelf
from fleet.flashing.chips import CHIPS
from fleet.flashing.console import Console
from fleet.flashing.esptool import Options
from protocol.identity import PATH, Identity
from tools.virtual_board.base import base_image
from tools.virtual_board.launch import BoardProcess

LINES = (0, 460800, 921600)
APP_SIZE = 1_650_000  # bytes: with the rest of the image about those of MicroPython 1.26 for an ESP32
FLASH = 4 << 20  # bytes of the chip
MODULE = "node/core/clock.py"
_KEY = 121  # bytes of a P-256 key, and so on: as large as real ones
IDENTITY = Identity(
    node="air-1",
    kind="air",
    board="esp32_air",
    boot0=29_000_000,
    ca=bytes(420),
    cert=bytes(480),
    key=bytes(_KEY),
    brokers=["broker.lumenair.test:8883"],
)


def measure(line: int, base: Path, directory: Path) -> dict[str, Any]:
    """The figures for one speed of the line."""
    program = firmware.load(cache=directory / "mpy")
    given = Belongings(IDENTITY.node, lambda found: {PATH: IDENTITY.encode()})
    wish = Wish(program, Shelf(directory, str(base)), Options(baud=line or 921600), belongings=given, yes=True)
    files = image.files_of(program, IDENTITY)
    with BoardProcess(directory / f"esptool-{line}", baud=line or None) as board:
        whole = _flash(board.port, wish)
        again = _flash(board.port, replace(wish, firmware=_changed(directory), belongings=None))
    with _board_with_base(directory / f"files-{line}", line, base) as board:
        onto_base = _flash(board.port, wish)
    with _board_with_base(directory / f"mpremote-{line}", line, base) as board:
        copied = _copy(board.port, files, directory / f"tree-{line}")
    share = again["flash_bytes"] * 100 / whole["flash_bytes"]
    return {
        "line_baud": line,
        "esptool": whole,
        "files": onto_base,
        "mpremote": copied,
        "again": {**again, "share_pc": round(share, 1)},
        "mpremote_times_files": round(copied["seconds"] / onto_base["seconds"], 1),
        "mpremote_times_all": round(copied["seconds"] / whole["seconds"], 1),
    }


def _flash(port: str, wish: Wish) -> dict[str, Any]:
    """Flash and believe the report; the time of the one session of esptool apart from that of the whole."""
    seen: dict[Phase, float] = {}
    begin = time.monotonic()
    done = flash.flash(port, wish, lambda step: _note(seen, step))
    return {
        "flash_bytes": done.written,
        "line_bytes": done.line,
        "seconds": round(seen[Phase.START] - seen[Phase.WRITE], 2),
        "report_s": round(time.monotonic() - begin, 2),
    }


def _note(seen: dict[Phase, float], step: Step) -> None:
    seen.setdefault(step.phase, time.monotonic())


@contextlib.contextmanager
def _board_with_base(directory: Path, line: int, base: Path) -> Iterator[BoardProcess]:
    """A board that has run the base image before, and so has an empty file system."""
    directory.mkdir()
    (directory / "flash.bin").write_bytes(
        (b"\xff" * CHIPS["esp32"].bootloader + base.read_bytes()).ljust(FLASH, b"\xff")
    )
    with BoardProcess(directory, baud=line or None) as board:
        with Console(board.port) as console:
            console.identify()
        yield board


def _copy(port: str, files: Mapping[str, bytes], directory: Path) -> dict[str, Any]:
    """Copy the files with one call of mpremote."""
    for path, data in files.items():
        target = directory / path.removeprefix("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    begin = time.monotonic()
    words = [sys.executable, "-m", "mpremote", "connect", port, "resume", "fs", "cp", "-r", f"{directory}/.", ":/"]
    subprocess.run(words, check=True, capture_output=True, timeout=3600)
    seconds = round(time.monotonic() - begin, 2)
    return {"file_bytes": sum(map(len, files.values())), "files": len(files), "seconds": seconds}


def _changed(directory: Path) -> firmware.Firmware:
    """The firmware with one line more in one module."""
    source = directory / "changed.py"
    source.write_text((firmware.directory() / MODULE).read_text() + "\nCHANGED = 'one line more in one module'\n")
    return firmware.load(cache=directory / "mpy", extra={MODULE: source})


def main(words: list[str]) -> int:
    """Print the figures; 0."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--line", type=int, action="append", metavar="BAUD", help=f"default: {LINES}")
    lines = parser.parse_args(words).line or LINES
    with tempfile.TemporaryDirectory() as scratch:
        base = Path(scratch) / "base.bin"
        base.write_bytes(base_image("esp32", size=APP_SIZE))
        rows = [measure(line, base, Path(scratch)) for line in lines]
    print(json.dumps({"bench": "flash", "base_bytes": len(base_image("esp32", size=APP_SIZE)), "lines": rows}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
