"""The command line of the power-cut matrix: `python -m tools.powercut`."""

import argparse
import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from tools.powercut import report
from tools.powercut.workers import PROGRAM, Results, WorkerError, Workers

FAILED = 1
IMAGES = Path("build") / "powercut"
OPERATIONS = {
    "provisioning": "an identity is written over the cable, for the first time and again",
    "claim": "the node writes the identity that it got for its claim",
    "config": "configurations are tried, confirmed, refused and taken back",
    "outbox": "entries are kept, segments fill, batches are acknowledged, segments deleted",
    "eviction": "a full outbox gives up its oldest segment",
    "slot": "a new program is tried and confirmed, another is given up",
    "update": "a release is fetched, unpacked, tried, confirmed, and proved",
    "revert": "a release crashes on trial until the one before runs again",
    "halt": "an epoch halts a release on trial: the one before runs again",
    "boots": "restarts of all kinds are numbered and counted",
    "time": "the floor of the time and the anchors of boots are kept",
    "commands": "commands are remembered, run and answered",
    "lamp": "counters and overrides of a light node are kept",
    "first-boot": "a node starts for the first time after flashing",
    "format": "the file system itself is made",
    "flashing": "esptool writes a node to a blank board, and two updates over it",
}
EPILOG = """\
operations:
{}

Each flash operation (program or erase) of an operation is cut after none, one, half, all but one and all of its bytes
and after a number of bytes that the seed chooses. After each cut the node boots from what is on the flash, by its own
code under the real MicroPython; here and there the power fails once more during that boot.

examples:
  python -m tools.powercut --json powercut.json      every cut of every operation
  python -m tools.powercut --sample 50               about 50 cuts of each, in a few seconds
  python -m tools.powercut --only outbox --at 123 --keep 17      one cut, as a failure says

exit codes: 0 nothing was found, 1 something was, 2 the command makes no sense
"""


def arguments() -> argparse.ArgumentParser:
    """What the command understands."""
    rows = "\n".join(f"  {name:<14}{text}" for name, text in OPERATIONS.items())
    parser = argparse.ArgumentParser(
        prog="python -m tools.powercut",
        description="Cut the power within every flash operation of what a node writes, and boot it after each cut.",
        epilog=EPILOG.format(rows),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there")
    parser.add_argument("--sample", type=_count, default=0, metavar="N", help="about N cuts of each operation")
    parser.add_argument(
        "--only", action="append", choices=OPERATIONS, metavar="OPERATION", help="this operation; may be repeated"
    )
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="of what is chosen by chance (1)")
    parser.add_argument("--at", type=_count, default=0, metavar="N", help="cut only within flash operation N")
    parser.add_argument("--keep", type=int, metavar="BYTES", help="with --at: bytes of it that are done (all)")
    parser.add_argument(
        "--again", type=_again, metavar="N:BYTES", help="with --at: the same in the boot after the first cut"
    )
    parser.add_argument(
        "--workers", type=_count, default=os.cpu_count() or 1, metavar="N", help="processes (all cores)"
    )
    parser.add_argument("--images", type=Path, default=IMAGES, metavar="DIR", help=f"for failing flashes ({IMAGES})")
    return parser


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _again(text: str) -> list[int]:
    number, _, keep = text.partition(":")
    return [_count(number), int(keep)]


def main(words: list[str], program: Path = PROGRAM) -> int:
    """Run the matrix; the exit code. `program` is what the workers run."""
    parser = arguments()
    asked = parser.parse_args(words)
    if asked.at and len(asked.only or ()) != 1:
        parser.error("--at needs one --only: the number belongs to an operation")
    if (asked.keep is not None or asked.again) and not asked.at:
        parser.error("--keep and --again need --at")
    choice = {"seed": asked.seed, "sample": asked.sample, "at": asked.at, "keep": asked.keep, "again": asked.again}
    workers = 1 if asked.at else asked.workers
    console = Console(force_terminal=False if os.environ.get("NO_COLOR") or os.environ.get("CI") else None)
    try:
        results = _carry_out(console, asked.only or list(OPERATIONS), choice, workers, asked.images, program)
    except (WorkerError, FileNotFoundError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return FAILED
    if asked.json:
        asked.json.write_text(json.dumps(report.document(results, choice, workers), indent=2) + "\n")
    console.print(report.table(results))
    rate = results.cuts / results.seconds
    console.print(f"{results.cuts} cuts, {results.bad} bad, {rate:.0f} cuts/s, seed {asked.seed}", highlight=False)
    for line in report.failures(results.failures, choice):
        print(line, file=sys.stderr)
    return FAILED if results.bad else 0


def _carry_out(
    console: Console, names: list[str], choice: dict[str, Any], workers: int, images: Path, program: Path
) -> Results:
    results = Results()
    began = time.monotonic()
    with report.Progress(console, results, workers) as progress:
        asyncio.run(Workers(results, progress.changed, program).run(names, choice, images, workers))
    results.seconds = time.monotonic() - began
    return results


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
