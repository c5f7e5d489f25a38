"""The command line of the demonstration."""

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console

from fleet.errors import FleetError
from tools.demo import plan
from tools.demo.commands import CommandError
from tools.demo.show import Options, Show
from tools.testbed.service import ServiceError
from tools.virtual_board.client import BoardError
from tools.virtual_board.launch import BoardDiedError

_ROLLOUTS = ("good_release_proved", "bad_release_exposed", "bad_release_halted_s")
TOLD = ("nodes", "records", "lost", "duplicates", "first_record_s", *_ROLLOUTS)
FAILED = 1
USAGE = 2
INTERRUPTED = 130


def arguments() -> argparse.ArgumentParser:
    """What the command understands."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.demo",
        description="A fleet on this computer: broker, service and nodes under real MicroPython. Ctrl-C ends it.",
    )
    parser.add_argument("--nodes", type=_positive, default=6, metavar="N", help="how many (6); every third is a light")
    parser.add_argument(
        "--once",
        action="store_true",
        help="end when a good release is everywhere and a bad one halted, and nothing is on its way",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the summary there")
    parser.add_argument("--rate", type=float, metavar="X", help="how fast time runs (60; less with many nodes)")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="of the simulated world (1)")
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="do everything in DIR, which is new, and leave it there"
    )
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def main(words: list[str]) -> int:
    """Run it; the exit code."""
    parser = arguments()
    asked = parser.parse_args(words)
    rate = asked.rate or plan.rate_for(asked.nodes)
    if rate < 1:
        parser.error("--rate is at least 1: the real time")
    if asked.keep and asked.keep.exists() and any(asked.keep.iterdir()):
        parser.error(f"{asked.keep} holds something else: name a new directory")
    try:
        plan.check_memory(asked.nodes)
    except plan.TooLargeError as error:
        parser.error(str(error))
    seats = tuple(plan.seats(asked.nodes, asked.seed))
    directory = (asked.keep or Path(tempfile.mkdtemp(prefix="lumenair-demo-"))).absolute()
    show = Show(Options(seats, rate, asked.once, directory, asked.keep is not None), _console())
    code = _carry_out(show, asked)
    if asked.keep is None and code != FAILED:
        shutil.rmtree(directory, ignore_errors=True)
    elif code == FAILED:
        print(f"Everything is left in {directory}", file=sys.stderr)
    return code


def _console() -> Console:
    """Plain lines unless a person watches."""
    plain = bool(os.environ.get("NO_COLOR") or os.environ.get("CI"))
    return Console(force_terminal=False if plain else None, no_color=plain)


def _carry_out(show: Show, asked: argparse.Namespace) -> int:
    try:
        result = asyncio.run(_until_signal(show))
    except (CommandError, ServiceError, BoardError, BoardDiedError, FleetError, FileNotFoundError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return FAILED
    if result is None:
        return INTERRUPTED if asked.once else 0
    if asked.json:
        asked.json.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps({key: result[key] for key in TOLD}))
    if result["problem"]:
        print(f"Error: {result['problem']}", file=sys.stderr)
        return FAILED
    return 0


async def _until_signal(show: Show) -> dict[str, Any] | None:
    """The summary, or None when Ctrl-C, a closed terminal or SIGTERM came first; by then nothing runs any more."""
    task = asyncio.create_task(show.run())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        return await task
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
