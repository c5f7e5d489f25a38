"""The node on its flash: mounted, provisioned, started again and again."""

import vfs  # type: ignore[import-not-found]

from node.board.files import Files
from protocol.identity import PATH, Identity
from protocol.messages import RESET_POWER_ON
from tools.powercut.device.facts import Facts
from tools.powercut.device.run import Run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LIVE = "/live"  # where the flash is mounted that is written
CUT = "/cut"  # the one after a cut, meanwhile
AGAIN = "/again"  # and the one after another cut in the boot after that
PROOF_KEY = b"p" * 32  # of a node that trusts somebody


def identity(kind: str, serial: int = 1, root: bytes = b"") -> bytes:
    """An identity document of usual size; the higher `serial` replaces the lower. `root` is whom it trusts."""
    return Identity(
        node=kind + "-1",
        kind=kind,
        board="esp32_" + kind,
        boot0=5,
        ca=b"\xa0" * 420,
        cert=bytes([serial]) * 480,
        key=bytes([0x80 + serial]) * 138,
        brokers=["broker.lumenair.test:8883"],
        ntp=["time.lumenair.test"],
        root=root,
        proof_key=PROOF_KEY if root else b"",
    ).encode()


class Stage:
    """A flash `device` at `root`, with what is known of the node on it."""

    def __init__(self, device: "Any", root: str, facts: Facts) -> None:
        self.device = device
        self.root = root
        self.facts = facts
        self.files = Files(root)
        self.boots = True  # until the boot after a cut has gone well

    def format(self) -> None:
        """An empty file system, as MicroPython makes it."""
        vfs.VfsLfs2.mkfs(self.device)

    def __enter__(self) -> "Stage":
        # Without times of change, which would make each run of the matrix write other bytes than the one before.
        vfs.mount(vfs.VfsLfs2(self.device, mtime=False), self.root)
        return self

    def __exit__(self, *_: object) -> None:
        vfs.umount(self.root)

    def boot(self, cause: int = RESET_POWER_ON, memory: bytes = b"") -> Run:
        """The next run of the node."""
        return Run(self.root, self.facts, cause, memory)

    def provision(self, kind: str, root: bytes = b"") -> None:
        """Make it a node of that kind; this is not what is being tested."""
        made = identity(kind, root=root)
        self.files.write_atomic(PATH, made)
        self.facts.settle("identity", made)
