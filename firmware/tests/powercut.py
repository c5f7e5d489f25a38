"""Power cuts on the real VfsLfs2 of MicroPython: a scenario runs once, and at every flash operation the world splits.

In one branch the operation is done and the scenario goes on. In the others the power fails after it, one byte into it,
or some way into it, leaving what a NOR chip leaves (`tools/sim/flash.py`), and the verdict is asked at once.
"""

import gc

import vfs

from node.board.files import Files
from tools.sim.flash import BLOCK, Flash, PowerCut, Ram

KINDS = (None, 1, 70)  # bytes that the last operation still does; None: all of it
_LIVE = "/live"
_CUT = "/cut"
_ERASE = 6  # request of MicroPython's block device protocol


class Splitter:
    """The block device of the scenario; `split(image)` gets what is on the flash after each cut."""

    def __init__(self, flash, store, split):
        self._flash = flash
        self._store = store
        self._split = split
        self.readblocks = flash.readblocks

    def writeblocks(self, block, buffer, offset):
        self._cut(lambda flash: flash.writeblocks(block, buffer, offset))
        self._flash.writeblocks(block, buffer, offset)

    def ioctl(self, request, argument):
        if request == _ERASE:
            self._cut(lambda flash: flash.ioctl(request, argument))
        return self._flash.ioctl(request, argument)

    def _cut(self, operation):
        for keep in KINDS:
            store = Ram(self._store.data)
            flash = Flash(store)
            flash.cut_after(1, keep)
            try:
                operation(flash)
            except PowerCut:
                pass
            self._split(store)
        gc.collect()


class Trial:
    """`scenario(files, notes)` on a fresh flash after `begin(files)`; `verdict(files, notes)` after each cut of it.

    The scenario appends to notes what it has been told is done, so that the verdict knows what must have survived.
    """

    def __init__(self, blocks, begin, scenario, verdict):
        self._notes = []
        self._verdict = verdict
        self.cuts = 0
        store = Ram(size=blocks * BLOCK)
        flash = Flash(store)
        vfs.VfsLfs2.mkfs(flash)
        self._on(flash, _LIVE, begin)
        self._on(Splitter(flash, store, self._after), _LIVE, lambda files: scenario(files, self._notes))
        self._after(store)

    def _after(self, store):
        self.cuts += 1
        self._on(Flash(store), _CUT, lambda files: self._verdict(files, list(self._notes)))

    def _on(self, device, root, steps):
        vfs.mount(vfs.VfsLfs2(device), root)
        try:
            steps(Files(root))
        finally:
            vfs.umount(root)
