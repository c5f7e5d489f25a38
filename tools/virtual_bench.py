"""`python -m tools.virtual_bench`: the suites of hil_tests on a bench of virtual boards, as `fleet hil run` runs them.

Starts the boards, writes their bench.toml, runs the suites, ends the boards. Everything but the boards themselves is
what a real bench has: the same inventory, locks, flashing, broker, results and report.
"""

import argparse
import asyncio
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from fleet.files import PUBLIC, replace
from fleet.flashing.chips import CHIPS
from fleet.processes import tied
from tools.interpreter import ROOT, version
from tools.processes import stop
from tools.virtual_board.base import base_image
from tools.virtual_board.launch import BoardProcess

RATE = 20.0
BOARDS = 4
INTERRUPTED = 130
STOP_S = 60.0  # for a run to bring its boards into order
# Kinds and chips in turn: what there is a pin map for in firmware/boards.
TURNS = (("air", "esp32"), ("light", "esp32"), ("air", "esp32s3"), ("light", "esp32s3"))
FIXTURES = ("faults", "wifi", "cut", "time")  # what hil_tests/harness/stimulus.py can do to a virtual board
CACHE = ROOT / "build" / "cache"  # of fleet: base images, and the compiled program, which takes seconds
DATE = "20260101"  # of the base images; a name needs one


@dataclass(frozen=True)
class Seat:
    """One board of the bench. `trouble` is a fault of the board itself (tools/virtual_board), and its value."""

    id: str
    kind: str
    chip: str
    trouble: tuple[str, int] | None = None


@dataclass(frozen=True)
class Bench:
    """What to start. `directory` gets bench.toml and the results; the boards live in a directory of their own."""

    directory: Path
    seats: Sequence[Seat]
    rate: float = RATE
    seed: int = 1
    words: Sequence[str] = field(default=())  # for `fleet hil run`


def seats(count: int) -> list[Seat]:
    """`count` boards, kinds and chips in turn."""
    found: list[Seat] = []
    for index in range(count):
        kind, chip = TURNS[index % len(TURNS)]
        number = sum(seat.kind == kind for seat in found) + 1
        found.append(Seat(f"{kind}-{number}", kind, chip))
    return found


async def run(bench: Bench) -> int:
    """The exit code of `fleet hil run` on these boards; by then nothing runs any more."""
    bench.directory.mkdir(parents=True, exist_ok=True)
    home = Path(tempfile.mkdtemp(prefix="lumenair-bench-"))  # sockets want short names
    try:
        async with AsyncExitStack() as stack:
            for seat in bench.seats:
                board = BoardProcess(
                    home / seat.id, chip=seat.chip, fit=seat.kind, seed=bench.seed, place=seat.id, rate=bench.rate
                )
                stack.push_async_callback(board.stop)
                await board.start()
                if seat.trouble:
                    await board.client.aask("trouble", name=seat.trouble[0], value=seat.trouble[1])
            write(bench, home)
            return await _suites(bench, home)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def write(bench: Bench, home: Path) -> None:
    """bench.toml, and a base image for each chip where `fleet board flash` looks for them."""
    rows = [f'[bench]\nname = "virtual"\nresults = "{(bench.directory / "runs").absolute()}"\n']
    for seat in bench.seats:
        names = ", ".join(f'"{name}"' for name in FIXTURES)
        rows.append(
            f'[[board]]\nid = "{seat.id}"\nport = "{home / seat.id / "port"}"\nchip = "{seat.chip}"\n'
            f'kind = "{seat.kind}"\nbaud = 921600\ntags = ["virtual"]\nfixtures = [{names}]\n'
            'power = {driver = "virtual"}\n'
        )
    (bench.directory / "bench.toml").write_text("\n".join(rows))
    shelf = CACHE / "micropython"
    shelf.mkdir(parents=True, exist_ok=True)
    for chip in {seat.chip for seat in bench.seats}:
        replace(shelf / f"{CHIPS[chip].download}-{DATE}-v{version()}.bin", base_image(chip), PUBLIC)


async def _suites(bench: Bench, home: Path) -> int:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "fleet", "hil", "run"),
        *("--bench", str(bench.directory / "bench.toml"), "--tests", str(ROOT / "hil_tests"), *bench.words),
        cwd=ROOT,
        env={**os.environ, "FLEET_CACHE": str(CACHE), "FLEET_LOCKS": str(home / "locks")},
        preexec_fn=tied(),
    )
    try:
        return await process.wait()
    finally:
        await stop(process, STOP_S)


def arguments() -> argparse.ArgumentParser:
    """What the command understands."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.virtual_bench",
        description="The HIL suites on virtual boards. Words that it does not know go to `fleet hil run`.",
    )
    parser.add_argument("--boards", type=int, default=BOARDS, metavar="N", help=f"how many ({BOARDS})")
    parser.add_argument("--short", action="store_true", help="leave out what takes long")
    parser.add_argument("--rate", type=float, default=RATE, metavar="X", help=f"how fast their time runs ({RATE:g})")
    parser.add_argument("--world", type=int, default=1, metavar="S", help="seed of the simulated world (1)")
    parser.add_argument(
        "--dir", type=Path, default=ROOT / "build" / "hil", metavar="DIR", help="for bench.toml and results (build/hil)"
    )
    return parser


def main(words: list[str]) -> int:
    """Run it; the exit code."""
    asked, rest = arguments().parse_known_args(words)
    short = ("--short",) if asked.short else ()
    return carry_out(Bench(asked.dir, seats(asked.boards), asked.rate, asked.world, (*short, *rest)))


def carry_out(bench: Bench) -> int:
    """The same as `run`, for who has no event loop; Ctrl-C and SIGTERM end it in good order."""
    return asyncio.run(_until_signal(bench))


async def _until_signal(bench: Bench) -> int:
    """The exit code; INTERRUPTED when Ctrl-C, a closed terminal or SIGTERM came first."""
    task = asyncio.create_task(run(bench))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
