"""What a test bench wants to know of a node beyond what its board shows; the virtual board runs it (`--probe`).

Every entry that the outbox takes is written into a ledger, which is not on the node's flash: what the node must not
lose. Under MicroPython, beside the node's program, which does not know of it.
"""

import asyncio
import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LEDGER = ">IIB"  # boot, seq, class
_BALLAST = "/ballast"
_STREAMS = 2  # that the program always waits for: its console, and orders from outside


def before(board: "Any") -> None:
    """While the files of the computer are still in sight."""
    board.ledger = open(board.setup.directory + "/ledger.bin", "ab")  # noqa: SIM115 - open until the process ends
    board.app = None


def booted(board: "Any") -> None:
    """Stage 0 has chosen the slot: the application comes from there."""
    try:
        from node import app
    except ImportError:  # a board without our program
        return
    build = app.build

    def built(*parts: "Any") -> "Any":
        board.app = build(*parts)
        _witness(board)
        board.clock.waits_for_peer = lambda: _waits(board.app.link)
        return board.app

    app.build = built


def _witness(board: "Any") -> None:
    application = board.app
    keep = application.outbox.append

    def append(kind: int, entry: bytes) -> bool:
        kept: bool = keep(kind, entry)
        if kept:
            board.ledger.write(struct.pack(_LEDGER, application.boots.boot, application.journal.seq - 1, kind))
        return kept

    application.outbox.append = append


def _waits(link: "Any") -> bool:
    """A socket is in use beyond a link that is up with nothing on its way."""
    streams: int = len(asyncio.core._io_queue.map)  # type: ignore[attr-defined]
    return streams > _STREAMS + (1 if link.idle else 0)


def ask(board: "Any", values: "dict[str, Any]") -> "dict[str, Any]":
    """Where the node stands. {"lose": n}: it hears no n-th block of an update; {"leave": n}: its file system has room
    for n bytes, by a file that {"leave": 0} takes away."""
    application = board.app
    if application is None:
        raise ValueError("the node does not run")
    if "lose" in values:
        _lose(application.link.handlers, values["lose"])
    if "leave" in values:
        _fill(values["leave"])
    return {
        "boot": application.boots.boot,
        "seq": application.journal.seq,
        "acked": application.link.acked_records,
        "resends": application.link.stats.resends,
        "up": application.link.up,
        "idle": application.link.idle,
        "utc_s": application.clock.utc_s(),
    }


def _lose(handlers: "dict[str, Any]", every: int) -> None:
    keep, count = handlers["block"], [0]

    def heard(payload: bytes) -> None:
        count[0] += 1
        if count[0] % every:
            keep(payload)

    handlers["block"] = heard


def _fill(leave: int) -> None:
    if not leave:
        os.remove(_BALLAST)
        return
    size, _, _, free = os.statvfs("/")[:4]
    with open(_BALLAST, "wb") as file:
        for _ in range(free - leave // size):
            file.write(bytes(size))
