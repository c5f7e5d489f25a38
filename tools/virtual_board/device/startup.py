"""From the reset to the prompt, as the ESP32 port of MicroPython does it: file system, boot.py, main.py."""

import os
import sys

import vfs  # type: ignore[import-not-found]

from tools.virtual_board.device.board import Board
from tools.virtual_board.device.clocks import Time
from tools.virtual_board.device.esp32 import Esp32
from tools.virtual_board.device.machine import Machine
from tools.virtual_board.device.network import Network, Sockets
from tools.virtual_board.device.orders import Orders
from tools.virtual_board.device.system import overlays

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SOFT_RESET = 5
_CORRUPTED = """
The filesystem appears to be corrupted. If you had important data there, you
may want to make a flash snapshot to try to recover it. Otherwise, perform
factory reprogramming of MicroPython firmware (completely erase flash, followed
by firmware programming).
"""
_BOOT_PY = """# This file is executed on every boot (including wake-boot from deepsleep)
#import esp
#esp.osdebug(None)
#import webrepl
#webrepl.start()
"""


def run(names: "dict[str, Any]") -> None:
    """Everything up to the prompt; `names` are the globals that boot.py, main.py and the prompt share."""
    board = Board(int(sys.argv[1]), int(sys.argv[2]))
    board.orders = Orders(board)
    board.probe = _probe(board.setup.probe)
    _call(board, "before")
    _replace_modules(board)
    names.clear()
    names["__name__"] = "__main__"
    del sys.argv[:]
    vfs.umount("/")
    board.channel.send({"began": True})
    _mount(board)
    os.chdir("/")
    sys.path[:] = ["", ".frozen", "/lib"]
    sys.atexit(lambda: board.end("soft", _SOFT_RESET))  # type: ignore[attr-defined]
    _execute(board, "boot.py", names)
    if not board.setup.skip_main:
        _call(board, "booted")
        _execute(board, "main.py", names)
    board.clock.land()  # at the prompt nothing sleeps any more


def _replace_modules(board: "Board") -> None:
    """What is imported from now on is the board's."""
    modules: "dict[str, Any]" = overlays(board.setup.chip)
    modules["time"] = Time(board)
    modules["machine"] = Machine(board)
    modules["network"] = Network(board)
    modules["socket"] = Sockets(board)
    modules["esp32"] = Esp32(board)
    for name in modules:
        sys.modules[name] = modules[name]


def _probe(path: "str | None") -> "Any":
    """The names of a probe file, which runs on the board but is no part of its program."""
    if path is None:
        return None
    with open(path) as file:
        source = file.read()
    names: "dict[str, Any]" = {"__name__": "probe"}
    exec(compile(source, path, "exec"), names)  # noqa: S102 - whoever started the board wrote it
    return Probe(names)


class Probe:
    """A probe file as an object."""

    def __init__(self, names: "dict[str, Any]") -> None:
        for name in names:
            setattr(self, name, names[name])


def _call(board: "Board", name: str) -> None:
    function = getattr(board.probe, name, None)
    if function is not None:
        function(board)


def _mount(board: "Board") -> None:
    """Mount the vfs partition; a blank one is formatted, as `inisetup` of the port does."""
    row = board.partition("vfs")
    if row is None:
        return
    region = board.region(row)
    try:
        vfs.mount(region, "/")
        return
    except OSError:
        pass
    sector = bytearray(4096)
    region.readblocks(0, sector)
    if sector != b"\xff" * len(sector):
        while True:
            print(_CORRUPTED)
            board.timeline.sleep(3000)
    print("Performing initial setup")
    vfs.VfsLfs2.mkfs(region)
    vfs.mount(vfs.VfsLfs2(region), "/")
    with open("/boot.py", "w") as file:
        file.write(_BOOT_PY)


def _execute(board: "Board", path: str, names: "dict[str, Any]") -> None:
    """Run a file, when there is one; what it raises is printed, SystemExit is a soft reset."""
    try:
        with open(path) as file:
            source = file.read()
    except OSError:
        return
    try:
        exec(compile(source, path, "exec"), names)  # noqa: S102 - it is what the board does
    except SystemExit:
        board.end("soft", _SOFT_RESET)
    except BaseException as error:
        sys.print_exception(error)  # type: ignore[attr-defined]
