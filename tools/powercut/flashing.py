"""The part of the matrix that runs on the host: the power fails while esptool writes to a board.

The virtual board's own loader writes what `fleet board flash` would have written: a whole node onto a blank chip, a new
program over it through the stub, another one through the loader in ROM. Within every erase and program of that the
power is cut. Then the board starts what is whole, or nothing at all and says so; a program that says which one it is
is that one; and the same once more makes it what was wanted.

`python -m tools.powercut.flashing` is a worker, as tools/powercut/device/main.py is one.
"""

import contextlib
import hashlib
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from fleet.errors import VerificationError
from fleet.flashing import base, image, layout, partitions
from fleet.flashing.firmware import STAGE_0
from fleet.flashing.piece import Piece
from protocol import manifest
from protocol.identity import PATH
from tools.powercut.device.choice import Bad, Choice
from tools.powercut.device.telling import Teller
from tools.powercut.workers import FLASHING
from tools.sim.flash import BLOCK
from tools.sim.world import hash32
from tools.virtual_board import base as virtual
from tools.virtual_board import boot
from tools.virtual_board.chips import CHIPS
from tools.virtual_board.flash import Cut, FlashChip, PowerCut
from tools.virtual_board.loader.writer import Writer

CHIP = "esp32"
FLASH = 4 << 20
APP = 4096  # bytes: a small one is written in the same way
MODULES = 12
_WRITE = 0x4000  # bytes that esptool sends at once through the stub
_MODULE = 9000  # bytes of the largest module
_MANIFEST = image.SLOT + manifest.PATH


class Chip(FlashChip):
    """A flash with marks to go back to; `sizes` are those of all operations so far."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, FLASH, path.with_suffix(".log"))
        self.sizes: list[int] = []
        self._marks: list[dict[int, bytes]] = []
        self.begin()

    def write(self, at: int, data: bytes | bytearray | memoryview) -> None:
        """Replace the bytes from `at`."""
        self.sizes.append(len(data))
        if self._marks and data:
            for block in range(at // BLOCK, (at + len(data) - 1) // BLOCK + 1):
                self._marks[-1].setdefault(block, self.read(block * BLOCK, BLOCK))
        super().write(at, data)

    def mark(self) -> None:
        """Remember what is there now."""
        self._marks.append({})

    def rollback(self) -> None:
        """Back to what was there at the latest mark."""
        for block, data in self._marks.pop().items():
            super().write(block * BLOCK, data)


@dataclass(frozen=True)
class Goal:
    """What a board is to hold."""

    files: dict[str, bytes]
    system: bytes = field(repr=False)
    base: base.Base

    @property
    def vfs(self) -> int:
        """Where the file system begins."""
        return partitions.files(self.base.table, FLASH).offset

    def pieces(self, fine: bool) -> list[tuple[Piece, bytes]]:
        """(piece, its MD5) as `fleet board flash` writes them."""
        found = self.base.pieces() + layout.pieces(self.system, self.vfs, fine)
        return [(piece, hashlib.md5(piece.data, usedforsecurity=False).digest()) for piece in found]


def goal(version: int) -> Goal:
    """A node with version `version` of its program; a few of its modules are the same in every version."""
    slot = {f"node/m{number}.mpy": _module(number, version) for number in range(MODULES)}
    slot[manifest.PATH] = manifest.build(str(version), slot).encode()
    files = {image.SLOT + name: data for name, data in slot.items()}
    files |= {"/" + name: _module(100 + index, 0) for index, name in enumerate(STAGE_0)}
    files[PATH] = b"identity" * 140
    data = virtual.base_image(CHIP, size=APP + 512 * version)
    found = base.check(data, "base")
    return Goal(files, image.build(files, partitions.files(found.table, FLASH).size), found)


def _module(number: int, version: int) -> bytes:
    seed = (number, version if number % 3 == 0 else 0)
    return b"".join(hash32(*seed, at).to_bytes(4, "big") for at in range(hash32(number) % _MODULE // 4))


class Session:
    """One run of esptool: what the board held, what it is to hold."""

    def __init__(self, before: Goal | None, after: Goal, stub: bool) -> None:
        self.before = before
        self.after = after
        self._stub = stub
        self._pieces = after.pieces(before is not None)

    def carry_out(self, chip: FlashChip) -> None:
        """Write every piece whose MD5 is not that of the flash; PowerCut when the power fails."""
        if self.before is not None:
            chip.erase(*layout.root(self.after.vfs))
        for piece, digest in self._pieces:
            if chip.md5(piece.offset, len(piece.data)) != digest:
                writer = Writer(chip, piece.offset, len(piece.data), _WRITE, not self._stub)
                for number, at in enumerate(range(0, len(piece.data), _WRITE)):
                    writer.block(number, piece.data[at : at + _WRITE])


def sessions() -> list[Session]:
    """A blank board, an update through the stub, another one through the loader in ROM."""
    first, second, third = goal(1), goal(2), goal(3)
    return [Session(None, first, True), Session(first, second, True), Session(second, third, False)]


class Flashing:
    """Every cut of every session. `on_bad(bad)` hears of every failure, `on_cut()` of every cut."""

    def __init__(
        self, chip: Chip, choice: Choice, on_bad: Callable[[Bad], object], on_cut: Callable[[], object]
    ) -> None:
        self.operations = 0
        self._chip = chip
        self._choice = choice
        self._on_bad = on_bad
        self._on_cut = on_cut

    def run(self, plan: Sequence[Session]) -> None:
        """Cut each session, then carry it out."""
        bounds = self._measure(plan)
        self._choice.plan(self._chip.sizes)
        sizes = list(self._chip.sizes)
        self.operations = len(sizes)
        for session, (begin, end) in zip(plan, pairwise(bounds), strict=True):
            for number in range(begin, end):
                for keep in self._choice.keeps(number + 1, sizes[number]):
                    self._cut(session, (number + 1, keep), number - begin)
            session.carry_out(self._chip)

    def _measure(self, plan: Sequence[Session]) -> list[int]:
        """At which operation each session begins, and the last one ends."""
        bounds = [0]
        self._chip.mark()
        for session in plan:
            session.carry_out(self._chip)
            bounds.append(len(self._chip.sizes))
        self._chip.rollback()
        return bounds

    def _cut(self, session: Session, cut: tuple[int, int], done: int) -> None:
        chip = self._chip
        chip.mark()
        chip.cut = Cut(chip.operations + done + 1, cut[1])
        chip.begin()
        with contextlib.suppress(PowerCut):
            session.carry_out(chip)
        chip.cut = None
        chip.begin()
        chip.mark()
        text = fault(chip, session)
        chip.rollback()
        if text:
            self._on_bad(Bad(cut, None, text, bytearray(chip.read(0, chip.size))))
        chip.rollback()
        self._on_cut()


def fault(chip: FlashChip, session: Session) -> str:
    """What is wrong after a cut in that session, or nothing; the session is then carried out again."""
    text = _what_starts(chip, session)
    session.carry_out(chip)
    wanted = session.after
    try:
        boot.load(CHIPS[CHIP], chip)
        found = image.read(chip.read(wanted.vfs, len(wanted.system)))
    except (boot.BootError, VerificationError) as error:
        return text or f"flashing again does not help: {error}"
    return text or ("" if found == wanted.files else "flashing again leaves other files")


def _what_starts(chip: FlashChip, session: Session) -> str:
    """A board that starts has a whole MicroPython; a program that says which one it is is that one."""
    goals = [goal for goal in (session.before, session.after) if goal is not None]
    try:
        app = boot.load(CHIPS[CHIP], chip).app
    except boot.BootError:
        return ""  # it says so, again and again
    programs = [piece.data for goal in goals for piece in goal.base.pieces() if piece.offset == app.offset]
    if not any(chip.read(app.offset, len(data)) == data for data in programs):
        return "it starts a MicroPython that is neither the old nor the new one"
    try:
        files = image.read(chip.read(session.after.vfs, len(session.after.system)))
    except VerificationError:
        return ""  # MicroPython says that the file system is damaged
    return _what_runs(files, goals)


def _what_runs(files: dict[str, bytes], goals: Sequence[Goal]) -> str:
    for goal in goals:
        if files.get(_MANIFEST) == goal.files[_MANIFEST]:
            wrong = [path for path, data in goal.files.items() if files.get(path) != data]
            return f"it says that it runs a program, and {', '.join(wrong)} is another one" if wrong else ""
    return ""


def main() -> None:
    """Do what stdin says."""
    order = json.loads(sys.stdin.readline())
    choice = Choice(**order["choice"])
    with tempfile.TemporaryDirectory() as scratch:
        chip = Chip(Path(scratch) / "flash.bin")
        teller = Teller(FLASHING, choice, order["images"])
        work = Flashing(chip, choice, teller.on_bad, teller.on_cut)
        work.run(sessions())
        chip.close()
        teller.done(work.operations)


if __name__ == "__main__":
    main()
