"""The part of the matrix that runs on the host: the power fails while esptool writes to a board.

The virtual board's own loader writes what `fleet board flash` would have written: a whole node onto a blank chip, a new
program over it through the stub, another one through the loader in ROM. Within every erase and program of that the
power is cut. Then the board starts what is whole, or nothing at all and says so; a program that says which one it is
is that one; and the same once more makes it what was wanted.

`python -m tools.powercut.flashing` is a worker, as tools/powercut/device/main.py is one.
"""

import hashlib
import json
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from fleet.errors import VerificationError
from fleet.flashing import base, image, layout, partitions
from fleet.flashing.firmware import STAGE_0
from fleet.flashing.piece import Piece
from protocol import manifest
from protocol.identity import PATH
from tools.powercut.device.choice import Bad, Choice
from tools.powercut.device.telling import Teller
from tools.powercut.workers import FLASHING
from tools.sim.flash import BLOCK, Ram
from tools.sim.world import hash32
from tools.virtual_board import base as virtual
from tools.virtual_board import boot
from tools.virtual_board.chips import CHIPS
from tools.virtual_board.flash import FlashChip
from tools.virtual_board.loader.writer import Writer

if TYPE_CHECKING:
    from tools.powercut.device.choice import Cut

CHIP = "esp32"
FLASH = 4 << 20
APP = 4096  # bytes: a small one is written in the same way
MODULES = 12
_WRITE = 0x4000  # bytes that esptool sends at once through the stub
_MODULE = 9000  # bytes of the largest module
_MANIFEST = image.SLOT + manifest.PATH


class Cuts:
    """The power fails within every operation, as Cutter of tools/powercut/device/chip.py has it."""

    def __init__(
        self, keeps: Callable[[int, int], Iterable[int]], after: Callable[[int, int], object] = lambda *_: None
    ) -> None:
        self.operations = 0
        self.keeps = keeps
        self.after = after


class Chip(FlashChip):
    """A flash in memory (its file stays blank), with marks to go back to; `cuts` are made in what is written."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, FLASH, path.with_suffix(".log"))
        self.cuts: Cuts | None = None
        self.ram = Ram(size=FLASH)
        self._marks: list[dict[int, bytes]] = []
        self.begin()

    def read_into(self, at: int, buffer: bytearray | memoryview) -> None:
        """Fill `buffer` with the bytes from `at`."""
        self.ram.read_into(at, buffer)

    def read(self, at: int, size: int) -> bytes:
        """`size` bytes from `at`, copied once."""
        return bytes(memoryview(self.ram.data)[at : at + size])

    def write(self, at: int, data: bytes | bytearray | memoryview) -> None:
        """Replace the bytes from `at`, with a cut before, within and after it."""
        cuts = self.cuts
        if cuts is not None:
            cuts.operations += 1
            for keep in cuts.keeps(cuts.operations, len(data)):
                self.cuts = None
                self.mark()
                self._put(at, data[:keep])
                cuts.after(cuts.operations, keep)
                self.rollback()
            self.cuts = cuts
        self._put(at, data)

    def _put(self, at: int, data: bytes | bytearray | memoryview) -> None:
        if self._marks and data:
            for block in range(at // BLOCK, (at + len(data) - 1) // BLOCK + 1):
                self._marks[-1].setdefault(block, self.read(block * BLOCK, BLOCK))
        self.ram.write(at, data)

    def mark(self) -> None:
        """Remember what is there now."""
        self._marks.append({})

    def rollback(self) -> None:
        """Back to what was there at the latest mark."""
        for block, data in self._marks.pop().items():
            self.ram.write(block * BLOCK, data)


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

    def carry_out(self, chip: Chip, cuts: Cuts | None = None) -> None:
        """Write every piece whose MD5 is not that of the flash, with these cuts in it."""
        chip.cuts = cuts
        if self.before is not None:
            chip.erase(*layout.root(self.after.vfs))
        for piece, digest in self._pieces:
            if chip.md5(piece.offset, len(piece.data)) != digest:
                writer = Writer(chip, piece.offset, len(piece.data), _WRITE, not self._stub)
                for number, at in enumerate(range(0, len(piece.data), _WRITE)):
                    writer.block(number, piece.data[at : at + _WRITE])
        chip.cuts = None


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
        """Once to see what there is, once with every cut."""
        sizes: list[int] = []

        def look(_: int, size: int) -> Iterable[int]:
            sizes.append(size)
            return ()

        self._chip.mark()
        self._perform(plan, look)
        self._chip.rollback()
        self._choice.plan(sizes)
        self.operations = len(sizes)
        self._perform(plan, self._choice.keeps)

    def _perform(self, plan: Sequence[Session], keeps: Callable[[int, int], Iterable[int]]) -> None:
        cuts = Cuts(keeps)
        for session in plan:
            cuts.after = partial(self._first, session)
            session.carry_out(self._chip, cuts)

    def _first(self, session: Session, number: int, keep: int) -> None:
        """The power has failed; while the board is flashed again, it may fail once more."""
        cut = number, keep
        second = Cuts(partial(self._choice.second, cut), lambda *again: self._judge(session, cut, again, None))
        self._judge(session, cut, None, second)

    def _judge(self, session: Session, cut: "Cut", again: "Cut | None", cuts: Cuts | None) -> None:
        chip = self._chip
        chip.mark()
        text = fault(chip, session, cuts)
        chip.rollback()
        if text:
            self._on_bad(Bad(cut, again, text, chip.ram.data))
        self._on_cut()


def fault(chip: Chip, session: Session, cuts: Cuts | None) -> str:
    """What is wrong after a cut in that session, or nothing; the session is then carried out again, with these cuts."""
    text = _what_starts(chip, session)
    session.carry_out(chip, cuts)
    wanted = session.after
    try:
        boot.load(CHIPS[CHIP], chip)
        found = image.read(chip.read(wanted.vfs, len(wanted.system)))
    except (boot.BootError, VerificationError) as error:
        return text or f"flashing again does not help: {error}"
    return text or ("" if found == wanted.files else "flashing again leaves other files")


def _what_starts(chip: Chip, session: Session) -> str:
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
    """A root that is written in part has its first entries, the last of them empty. Without stage 0 no program says
    which one it is, and without an identity it says that it has none."""
    if not all(files.get("/" + name) for name in STAGE_0):
        return ""
    for goal in goals:
        lacking = {PATH: goal.files[PATH]}
        if files.get(_MANIFEST) == goal.files[_MANIFEST]:
            wrong = [path for path, data in goal.files.items() if (files.get(path) or lacking.get(path)) != data]
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
