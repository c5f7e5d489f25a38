"""Flashes one board: base image, partition table and file system in one run of esptool, and only what differs.

    ask      who is there; a node whose records are not delivered yet is refused
    compare  a board that reports the right program is left alone when the MD5 of all of it is right, too
    keep     identity, ticket and records of a node are read, to be written into the new file system
    write    what differs, found by the chip's MD5
    prove    the board starts, and only its own report counts

A board is read and written in this order, so whatever goes wrong before `write` has changed nothing, and what goes
wrong in it is made good by doing the same again.
"""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from fleet.boards import flash_checks as checks
from fleet.boards.rescue import Rescue
from fleet.boards.wish import Wish
from fleet.errors import (
    FleetError,
    NotAllowedError,
    NotFoundError,
    TimedOutError,
    UnreachableError,
)
from fleet.flashing import image, keep, layout, partitions
from fleet.flashing.base import Base
from fleet.flashing.console import Answer, Condition, Console, Report, refusal
from fleet.flashing.esptool import Esptool, Found, Written
from fleet.flashing.partitions import Partition
from fleet.flashing.piece import Piece, size_of
from fleet.flashing.remote import Remote

FLASHED = "flashed"  # results
UNCHANGED = "unchanged"
WRITTEN = "written"  # and not started, as it was asked for
PLANNED = "planned"
_RESTART = b"\x03\x04"  # a prompt starts its program again
_PROMPT_S = 1.0
_RESTART_S = 6.0  # an ESP32 takes 2 to 4
_RETURNS_S = 8.0  # so long a port may be away, or in the hands of somebody who looks at new ports
_RETRY_S = 0.25
_PTYS = Path("/dev/pts")
_STAYS = ("no-reset", "no-reset-stub")


class Phase(StrEnum):
    """What is being done with a board."""

    ASK = "asking"
    LOOK = "looking"
    KEEP = "reading"
    COMPARE = "comparing"
    WRITE = "writing"
    START = "starting"


@dataclass(frozen=True)
class Step:
    """How far it is; `total` is 0 where nobody can say."""

    phase: Phase
    done: int = 0
    total: int = 0


Notify = Callable[[Step], object]


@dataclass(frozen=True)
class Flashed:
    """How it ended. `written` are bytes of flash, `line` those that went over the line, `size` all that it is."""

    result: str
    chip: str
    mac: str
    flash_size: int
    base: str  # version or name of the base image; empty when it was left as it is
    report: Report | None
    kept: int = 0  # files of the node
    written: int = 0
    line: int = 0
    size: int = 0


def flash(
    url: str,
    wish: Wish,
    notify: Notify = lambda step: None,
    environ: Mapping[str, str] = os.environ,
    stop: threading.Event | None = None,
) -> Flashed:
    """Flash the board at `url`; the errors of fleet.errors say what is wrong with it and what to try."""
    return _Job(url, wish, notify, environ, stop).run()


@dataclass(frozen=True)
class _Target:
    """A chip and what it is to hold."""

    found: Found
    base: Base | None
    files: Partition

    @property
    def base_pieces(self) -> list[Piece]:
        return [] if self.base is None else self.base.pieces()


class _Job:
    """One board on its way."""

    def __init__(
        self, url: str, wish: Wish, notify: Notify, environ: Mapping[str, str], stop: threading.Event | None
    ) -> None:
        self._url = url
        self._wish = wish
        self._firmware = wish.firmware  # of the product that the board is, as soon as that is known
        self._notify = notify
        self._loader = Esptool(url, wish.options, environ, stop)
        self._remote = Remote(url, environ)
        self._rescue = Rescue.of(environ)

    def run(self) -> Flashed:
        """All of it."""
        answer = self._ask()
        self._firmware = self._wish.firmware.of(self._kind(answer))
        target = self._current(answer)
        if target is not None:
            return self._prove(_flashed(UNCHANGED, target), answer.report.node if answer.report else "")
        if answer.report is not None and not (self._wish.yes or self._wish.dry_run):
            checks.refuse_undelivered(self._url, answer.report)
        kept = self._read_over_prompt(answer)
        with _held(self._url), self._restarted():
            target = self._look(answer)
            if self._wish.dry_run:
                return replace(self._planned(target), report=answer.report)
            kept = self._belongings(answer, target.found, kept)
            self._firmware = self._wish.firmware.of(keep.kind_of(kept) or self._wish.kind)
            files = image.build({**image.files_of(self._firmware), **kept}, target.files.size)
            pieces = target.base_pieces + layout.pieces(files, target.files.offset, fine=answer.report is not None)
            self._rescue.save(target.found.mac, kept)
            mounts = answer.report is not None or bool(kept)
            written = self._write(pieces, target, mounts)
        done = _flashed(FLASHED if written.flash else UNCHANGED, target)
        done = replace(done, kept=len(kept), written=written.flash, line=written.line, size=size_of(pieces))
        done = self._prove(done, keep.node_of(kept))
        self._rescue.forget(target.found.mac)
        return done

    def _ask(self) -> Answer:
        """Who is there."""
        self._notify(Step(Phase.ASK))
        with Console(self._url) as console:
            answer = console.identify()
            if answer.condition is Condition.PROMPT:  # it may be ours, without an identity
                console.write(_RESTART)
                with contextlib.suppress(TimedOutError):
                    answer = replace(answer, report=console.wait_report(_RESTART_S))
        return answer

    def _kind(self, answer: Answer) -> str:
        """The kind of node that the board is to be, as far as that is known before its file system was read."""
        report = None if self._wish.erase else answer.report
        return self._wish.kind or (report.kind if report else "")

    def _current(self, answer: Answer) -> "_Target | None":
        """The board, when it reports the right program and the MD5 of every part of it is right, too."""
        wish, report = self._wish, answer.report
        if report is None or wish.force or wish.erase or wish.dry_run or wish.belongings:
            return None
        if (report.manifest, report.fw) != (self._firmware.manifest, self._firmware.version):
            return None
        if self._rescue.load(report.mac):  # an attempt broke off: something of the node may be here alone
            return None
        with _held(self._url), self._restarted():
            target = self._look(answer)
            if not self._compare(target)[0]:
                return target
        with contextlib.suppress(FleetError), Console(self._url) as console:
            console.wait_report()  # it was reset: let it come up before it is stopped again
        return None

    def _compare(self, target: "_Target") -> tuple[list[Piece], list[Piece]]:
        """(what of base and program is not on the board, all of it)."""
        self._notify(Step(Phase.COMPARE))
        files = image.build(image.files_of(self._firmware), target.files.size)
        pieces = target.base_pieces + layout.program(files, target.files.offset)
        return self._loader.differing(pieces, target.found.flash_size), pieces

    def _planned(self, target: "_Target") -> Flashed:
        """What would be written, as far as it is the same for every node."""
        missing, pieces = self._compare(target)
        wanted = pieces if self._wish.force or self._wish.erase else missing
        return replace(
            _flashed(PLANNED if wanted else UNCHANGED, target), written=size_of(wanted), size=size_of(pieces)
        )

    def _read_over_prompt(self, answer: Answer) -> dict[str, bytes] | None:
        """What belongs to the node, the quick way; None when that way is closed."""
        if self._wish.erase:
            return {}
        if self._wish.dry_run or answer.condition not in (Condition.REPORT, Condition.PROMPT):
            return None
        self._notify(Step(Phase.KEEP))
        try:
            return keep.from_prompt(self._remote, lambda done, total: self._notify(Step(Phase.KEEP, done, total)))
        except FleetError:
            return None

    def _look(self, answer: Answer) -> "_Target":
        """The chip, checked against everything that was asked for."""
        self._notify(Step(Phase.LOOK))
        found = self._loader.look()
        checks.check_pins(self._url, self._wish, found, answer.report)
        base = self._base(found, answer)
        rows = partitions.parse(found.table) if base is None else base.table
        return _Target(found, base, partitions.files(rows, found.flash_size))

    def _base(self, found: Found, answer: Answer) -> Base | None:
        """The base image; None where nobody named one, none is there, and the board has one that works."""
        shelf = self._wish.shelf
        try:
            return shelf.find(found.chip)
        except NotFoundError:
            works = answer.condition in (Condition.REPORT, Condition.PROMPT)
            if shelf.is_named or self._wish.erase or not works:
                raise
            return None

    def _belongings(self, answer: Answer, found: Found, kept: dict[str, bytes] | None) -> dict[str, bytes]:
        """What the node is to find again, and what somebody gives it."""
        if not self._wish.erase:
            kept = self._saved(found, kept)
        kept = kept or {}
        given, old = self._wish.belongings, keep.node_of(kept)
        if given is None:
            return kept
        if old not in ("", given.node) and not self._wish.yes:
            raise NotAllowedError(
                f"the board at {self._url} is {old}, with its data and settings",
                hint=f"add --yes to make it {given.node}, or take another board",
            )
        return {**(kept if old == given.node else {}), **given.files(found)}

    def _saved(self, found: Found, kept: dict[str, bytes] | None) -> dict[str, bytes]:
        """What is on the board, with what an earlier attempt had read from it before it broke off."""
        rescued = self._rescue.load(found.mac)
        try:
            if kept is None:
                kept = keep.from_loader(
                    self._loader, found, lambda done, total: self._notify(Step(Phase.KEEP, done, total))
                )
        except NotAllowedError:
            if not rescued:
                raise
        return keep.completed(kept or {}, rescued)

    def _write(self, pieces: list[Piece], target: "_Target", mounts: bool) -> Written:
        """`mounts`: there is a file system that would be half the old and half the new one meanwhile."""
        wish = self._wish
        self._notify(Step(Phase.WRITE, 0, size_of(pieces)))
        return self._loader.write(
            pieces,
            target.found.flash_size,
            every=wish.force,
            erase=wish.erase,
            unmake=layout.root(target.files.offset) if mounts else None,
            progress=lambda done, total: self._notify(Step(Phase.WRITE, done, total)),
        )

    def _prove(self, done: Flashed, node: str) -> Flashed:
        """`done` with the report of the board; VerificationError when it reports something else."""
        if self._wish.options.after in _STAYS:
            return replace(done, result=WRITTEN)
        self._notify(Step(Phase.START))
        report = self._report()
        checks.check_report(self._url, report, self._firmware, node)
        return replace(done, report=report)

    def _report(self) -> Report:
        """What the board says once it has started. On a pseudo-terminal the last one to leave is its reset: a board
        that missed that is left once more."""
        try:
            return self._hear()
        except TimedOutError:
            if not _is_terminal(self._url):
                raise
        return self._hear()

    def _hear(self) -> Report:
        """One session of listening; a chip that is the USB device itself is away for a moment."""
        end = time.monotonic() + _RETURNS_S
        while True:
            try:
                with Console(self._url) as console:
                    return self._listen(console)
            except UnreachableError:
                if time.monotonic() > end:
                    raise
                time.sleep(_RETRY_S)

    def _listen(self, console: Console) -> Report:
        try:
            return console.wait_report(self._wish.report_s)
        except TimedOutError:
            if console.identify(_PROMPT_S).condition is not Condition.PROMPT:
                raise
        console.write(_RESTART)  # it came up while nobody listened
        return console.wait_report(self._wish.report_s)

    @contextlib.contextmanager
    def _restarted(self) -> Iterator[None]:
        """Whatever breaks off in here leaves no chip in its loader, as far as its port has a line for that."""
        try:
            yield
        except BaseException:
            with contextlib.suppress(FleetError), Console(self._url) as console:
                console.reset()
            raise


def _flashed(result: str, target: _Target) -> Flashed:
    found, base = target.found, target.base
    version = "" if base is None else base.version or base.name
    return Flashed(result, found.chip.name, found.mac, found.flash_size, version, None)


@contextlib.contextmanager
def _held(url: str) -> Iterator[None]:
    """A pseudo-terminal stays open: it has no reset line, so the last one to leave starts the program.

    Any other port must not: a chip that is a USB device itself comes back under another name while the old one is held.
    It is opened for reading only: who watches the terminal can then tell its close from that of a tool just before.
    """
    if not _is_terminal(url):
        yield
        return
    try:
        handle = os.open(url, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise refusal(url, error) from error
    try:
        yield
    finally:
        os.close(handle)


def _is_terminal(url: str) -> bool:
    """True for a pseudo-terminal."""
    return "://" not in url and Path(url).resolve().parent == _PTYS
