"""What a board does when it starts: run the node, claim an identity, or say what it lacks and stay at its prompt.

Only what the case at hand needs is imported: a board that claims has no room for a node beside it.
"""

import asyncio
import gc
import sys

from node import VERSION
from node.board.files import Files
from node.core import provisioned
from node.core.provisioned import NotProvisionedError
from node.core.slots import CRASH, digest
from protocol import report
from protocol.identity import TICKET_PATH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from node.board.door import BoardDoor
    from node.core.files import FilesDoor

_NOTE_BYTES = 96
_COLLECT = 32768  # bytes of garbage after which to collect, before the heap takes from the memory that TLS needs


def main() -> None:
    """This board; returns only when it has nothing to run, and its prompt is all there is."""
    from node.board.esp32 import Board

    gc.threshold(_COLLECT)
    run(Board, Files(), sys.path[0].strip("/"), sys.stdin.buffer)


def run(make: "Any", files: "FilesDoor", slot: str, stdin: "Any", write: "Callable[[str], object]" = print) -> None:
    """The board that `make(identity or ticket)` gives, with those files; whatever ends its work, it restarts."""
    work = lack = None
    try:
        board = make(provisioned.load(files))
        work = _node
    except NotProvisionedError as error:
        lack = error
    if lack is not None and not lack.damaged:
        try:
            board = make(provisioned.ticket(files))
            work = _claim
        except NotProvisionedError as error:
            lack = error
    if work is None:
        write(str(lack))
        state = report.DAMAGED if lack is not None and lack.damaged else report.UNPROVISIONED
        mac = make.unique_id().hex()
        write(report.report(state, fw=VERSION, slot=slot, manifest=digest(files, slot).hex(), mac=mac))
        return
    try:
        work(board, files, slot, stdin, write)
    except Exception as error:  # nobody reads a prompt on a pole
        sys.print_exception(error)
        _note(files, error)
    board.reset()


def _note(files: "FilesDoor", error: Exception) -> None:
    """What ended this run, for the program that runs next: another one when this one is on trial."""
    line = "{}: {}".format(error.__class__.__name__, error).encode()[:_NOTE_BYTES]
    try:
        if files.read(CRASH) != line:  # a program that ends so again and again must not wear out the flash
            files.write_atomic(CRASH, line)
    except (OSError, MemoryError):  # nobody learns of it
        pass


def _node(board: "BoardDoor", files: "FilesDoor", slot: str, stdin: "Any", write: "Callable[[str], object]") -> None:
    from node import app

    if files.size(TICKET_PATH) is not None:
        files.remove(TICKET_PATH)  # the power went between the arrival of the identity and the end of the ticket
    asyncio.run(app.build(board, files, slot, write, stdin).run())


def _claim(board: "BoardDoor", files: "FilesDoor", slot: str, stdin: "Any", write: "Callable[[str], object]") -> None:
    from node.tasks import console
    from node.tasks.claim import Claiming

    ticket = provisioned.ticket(files)

    def say() -> None:
        line = report.report(
            report.CLAIMING,
            fw=VERSION,
            slot=slot,
            manifest=digest(files, slot).hex(),
            kind=ticket.kind,
            board=ticket.board,
            mac=board.unique_id().hex(),
            cause=board.reset_cause(),
        )
        write(line)

    def log(level: int, tag: str, text: str) -> None:
        write("{}: {}".format(tag, text))

    async def work() -> None:
        say()
        listener = asyncio.create_task(console.run(stdin, say))
        await Claiming(board, files, ticket, log).run()
        listener.cancel()

    asyncio.run(work())
