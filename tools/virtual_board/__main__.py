"""One virtual board: `python -m tools.virtual_board --dir DIR`; `--help` says everything."""

import asyncio
import fcntl
import os
import signal
import sys
import time
from typing import TextIO

from fleet import processes
from tools.switchboard import WorldClock
from tools.virtual_board import options as command
from tools.virtual_board.board import Board
from tools.virtual_board.control import ControlServer
from tools.virtual_board.doors import Door, PtyDoor, Rfc2217Door, SocketDoor
from tools.virtual_board.flash import FlashChip
from tools.virtual_board.options import Options
from tools.virtual_board.orders import Orders
from tools.virtual_board.program import ProgramSetup


def main(words: list[str]) -> int:
    """Run until somebody ends it; 0, 1 when the board failed, 2 for wrong arguments, 4 when DIR is in use."""
    options = command.read(words)
    if not options.detached:
        processes.end_with_parent(signal.SIGTERM)
    try:
        options.directory.mkdir(parents=True, exist_ok=True)
        lock = (options.directory / "lock").open("a")
    except OSError as error:
        print(f"Error: {options.directory} cannot be a board: {error.strerror}", file=sys.stderr)
        return 1
    with lock:
        if not _taken(lock):
            print(f"Error: another virtual board runs in {options.directory}", file=sys.stderr)
            return 4
        command.keep(options)
        return asyncio.run(_run(options))


def _taken(lock: TextIO) -> bool:
    """The directory is ours until this process ends."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


async def _run(options: Options) -> int:
    directory = options.directory
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    board = _board(options)
    board.transitions.failed.add_done_callback(lambda _: ended.set())
    control = ControlServer(directory / "control", Orders(board, ended.set).handle)
    try:
        for door in _doors(options, board):
            await door.start()
            board.port.doors.append(door)
        await control.start()
        if not options.off:
            await board.power(on=True)
        others = [f"{door.url.partition(':')[0]}={door.url}" for door in board.port.doors[1:]]
        print("ready", f"port={directory}/port", f"control={directory}/control", *others, f"pid={os.getpid()}")
        sys.stdout.flush()
        await ended.wait()
        if board.transitions.failed.done():
            board.transitions.failed.result()
    finally:
        control.close()
        await board.close()
    return 0


def _doors(options: Options, board: Board) -> list[Door]:
    doors: list[Door] = [PtyDoor(board.port, options.directory / "port")]
    if options.socket is not None:
        doors.append(SocketDoor(board.port, options.socket))
    if options.rfc2217 is not None:
        doors.append(Rfc2217Door(board.port, options.rfc2217))
    return doors


def _board(options: Options) -> Board:
    directory = options.directory.absolute()
    flash = FlashChip(directory / "flash.bin", options.flash_size, directory / "operations.bin")
    utc_s = time.time() if options.utc_s is None else options.utc_s
    setup = ProgramSetup(
        directory=directory,
        chip=options.chip.name,
        mac=options.mac,
        flash=flash.path,
        partitions=(),
        fit=options.fit,
        seed=options.seed,
        place=options.place,
        heap_kb=options.heap_kb,
        probe=options.probe,
        dns=options.dns,
        wifi=options.wifi,
    )
    return Board(options.chip, setup, flash, WorldClock(utc_s, options.rate), options.baud)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
