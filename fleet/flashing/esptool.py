"""The loader of a chip, through esptool as a subprocess: what is there, read, write only what differs, compare, erase.

One call here is one esptool process, from reset to reset. Files that it reads and writes are in memory (/dev/shm)
where there is such a place: keys of nodes are among them.
"""

import contextlib
import itertools
import os
import re
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fleet.errors import FleetError, NotAllowedError, UnreachableError, UsageError, VerificationError
from fleet.flashing import child, partitions
from fleet.flashing.chips import CHIPS, Chip
from fleet.flashing.console import BAUD as ROM_BAUD
from fleet.flashing.console import open_port
from fleet.flashing.loader_errors import error_of
from fleet.flashing.piece import Piece

BAUD = 460800  # the most that every USB bridge of the field does
BEFORE = ("default-reset", "usb-reset", "no-reset", "no-reset-no-sync")
AFTER = ("hard-reset", "soft-reset", "no-reset", "no-reset-stub", "watchdog-reset")
IDLE_S = 180.0  # a chip of 16 MB takes up to two minutes to erase itself, without a word
_KEPT = 400  # lines of output for the reason of a failure
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - a directory of ours is made in it
_CHIP = re.compile(r"Connected to (ESP\S+) on |^Chip is (ESP\S+)|Detecting chip type\.* *(ESP\S+)")
_MAC = re.compile(r"^\s*(?:BASE )?MAC:\s+((?:[0-9a-f]{2}:){5}[0-9a-f]{2})\s*$", re.IGNORECASE)
_SIZE = re.compile(r"[Dd]etected flash size: (\d{1,4})MB")
_AT = re.compile(r"(?:Writing at|Reading from) (0x[0-9a-f]{8})")
_SKIPPED = re.compile(r"at (0x[0-9a-f]{8}) already in flash")
_WROTE = re.compile(r"Wrote (\d+) bytes(?: \((\d+) compressed\))? at (0x[0-9a-f]{8})")
_COMPARED = re.compile(r"Verification (successful|failed) \(digest")

Progress = Callable[[int, int], object]  # (bytes done, bytes in all)


@dataclass(frozen=True)
class Options:
    """How to reach the loader, as esptool names it."""

    chip: str = "auto"
    baud: int = BAUD
    before: str = BEFORE[0]
    after: str = AFTER[0]
    no_stub: bool = False


@dataclass(frozen=True)
class Found:
    """A chip: `mac` is 12 hexadecimal digits, `flash_size` bytes, `table` the sector of the partition table."""

    chip: Chip
    mac: str
    flash_size: int
    table: bytes


@dataclass(frozen=True)
class Written:
    """What a write did: bytes of flash, bytes on the line, and the bytes that were there already."""

    flash: int = 0
    line: int = 0
    skipped: int = 0


class Esptool:
    """The loader of the chip at `url`. Errors are those of `loader_errors`; `stop` ends what runs."""

    def __init__(
        self,
        url: str,
        options: Options | None = None,
        environ: Mapping[str, str] = os.environ,
        stop: threading.Event | None = None,
    ) -> None:
        self.url = url
        self._options = options or Options()
        # Nobody's settings, no colours, no wrapped lines.
        own = {"NO_COLOR": "1", "COLUMNS": "400", "PYTHONIOENCODING": "utf-8"}
        self._environ = {key: value for key, value in environ.items() if not key.startswith("ESP")} | own
        self._stop = stop

    def look(self, stay: bool = True) -> Found:
        """What chip there is; it stays in its loader unless told not to. At the loader's own bit rate: it is little."""
        with _scratch() as directory:
            out = directory / "table"
            words = ("read-flash", "--flash-size", "detect", hex(partitions.OFFSET), hex(partitions.SIZE), str(out))
            said = self._run(*words, after="no-reset" if stay else "", baud=ROM_BAUD)
            table = out.read_bytes()
        name, mac = _first(_CHIP, said).lower().replace("-", ""), _first(_MAC, said).lower().replace(":", "")
        if name not in CHIPS:
            raise UsageError(
                f"{self.url}: the chip is {name or 'unknown'}", cause=f"the firmware runs on {', '.join(CHIPS)}"
            )
        megabytes = int(_first(_SIZE, said) or 0)
        if not megabytes:
            raise VerificationError(f"{self.url}: the flash does not say its size", hint="check its supply and wiring")
        return Found(CHIPS[name], mac, megabytes << 20, table)

    def read(self, offset: int, size: int, progress: Progress | None = None) -> bytes:
        """A region of the flash; the chip stays in its loader."""
        with _scratch() as directory:
            out = directory / "flash"
            follow = _Follower([Piece("", offset, bytes(size))], progress)
            self._run("read-flash", hex(offset), hex(size), str(out), after="no-reset", follow=follow)
            return out.read_bytes()

    def write(
        self,
        pieces: Sequence[Piece],
        flash_size: int,
        every: bool = False,
        erase: bool = False,
        unmake: tuple[int, int] | None = None,
        progress: Progress | None = None,
    ) -> Written:
        """Write those pieces whose MD5 is not that of the flash, or `every` one, in this order; each is compared.

        `erase` erases the whole chip first, `unmake` a region of (address, bytes): what would make sense of the rest
        while that is half written. `flash_size` goes into the header of the bootloader.
        """
        if unmake is not None and not erase:
            self._blank(*unmake)
        flags = ["--erase-all"] if erase else [] if every else ["--skip-flashed"]
        follow = _Follower(pieces, progress)
        with _scratch() as directory:
            files = _files(pieces, directory)
            self._run("write-flash", "--flash-size", _megabytes(flash_size), *flags, *files, follow=follow)
        return follow.written

    def _blank(self, address: int, size: int) -> None:
        """Make a region blank; by writing, which the loader in ROM can do, too."""
        with _scratch() as directory:
            self._run("write-flash", *_files([Piece("blank", address, b"\xff" * size)], directory), after="no-reset")

    def differing(self, pieces: Sequence[Piece], flash_size: int) -> list[Piece]:
        """The pieces that the flash does not hold, by their MD5. Nothing is written."""
        ordered = sorted(pieces, key=lambda piece: piece.offset)
        with _scratch() as directory:
            words = ("verify-flash", "--flash-size", _megabytes(flash_size), *_files(ordered, directory))
            said = self._run(*words, may_fail="Verification failed")
        verdicts = [found[1] for line in said if (found := _COMPARED.search(line))]
        return [piece for piece, verdict in itertools.zip_longest(ordered, verdicts) if verdict != "successful"]

    def erase(self) -> None:
        """Erase the whole flash."""
        self._run("erase-flash")

    def _run(
        self,
        *words: str,
        after: str = "",
        baud: int = 0,
        follow: "_Follower | None" = None,
        may_fail: str = "",
    ) -> list[str]:
        """What esptool said, line by line. A failure is an error, unless it is about `may_fail`."""
        wanted = self._options
        command = [sys.executable, "-P", "-m", "esptool", "--port", self.url, "--chip", wanted.chip]
        command += ["--baud", str(baud or wanted.baud), "--before", wanted.before, "--after", after or wanted.after]
        command += ["--no-stub"] if wanted.no_stub else []
        said: list[str] = []

        def hear(line: str) -> None:
            said.append(line)
            del said[:-_KEPT]
            if follow is not None:
                follow.hear(line)

        code = child.follow([*command, *words], hear, IDLE_S, self._environ, self._stop)
        text = "\n".join(said)
        if code and not (may_fail and may_fail in text):
            raise self._why_not_opened(text) or error_of(self.url, text)
        return said

    def _why_not_opened(self, said: str) -> FleetError | None:
        """The reason that esptool does not tell."""
        if "Could not open" not in said:
            return None
        try:
            open_port(self.url, ROM_BAUD).close()
        except (UnreachableError, NotAllowedError) as error:
            return error
        return UnreachableError(f"{self.url} was in use for a moment", hint="run it again")


class _Follower:
    """Follows esptool through the pieces."""

    def __init__(self, pieces: Sequence[Piece], progress: Progress | None) -> None:
        self._pieces = pieces
        self._all = sum(len(piece.data) for piece in pieces)
        self._progress = progress
        self.written = Written()

    def hear(self, line: str) -> None:
        """A line of output."""
        now = self.written
        if found := _AT.search(line):
            self._tell(int(found[1], 16))
        elif found := _SKIPPED.search(line):
            size = next((len(piece.data) for piece in self._pieces if piece.offset == int(found[1], 16)), 0)
            self.written = Written(now.flash, now.line, now.skipped + size)
            self._tell(int(found[1], 16) + size)
        elif found := _WROTE.search(line):
            size = int(found[1])
            self.written = Written(now.flash + size, now.line + int(found[2] or size), now.skipped)
            self._tell(int(found[3], 16) + size)

    def _tell(self, address: int) -> None:
        """The piece that ends at `address`, or holds it, is done up to there, and so are those before it."""
        if self._progress is None:
            return
        done = 0
        for piece in self._pieces:
            if piece.offset < address <= piece.end:
                self._progress(done + address - piece.offset, self._all)
                return
            done += len(piece.data)


def _files(pieces: Sequence[Piece], directory: Path) -> list[str]:
    """Write the pieces down; their addresses and names, as esptool takes them."""
    words: list[str] = []
    for piece in pieces:
        path = directory / f"{piece.offset:#010x}"
        path.write_bytes(piece.data)
        words += [hex(piece.offset), str(path)]
    return words


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    """A directory that nobody else can enter, and that is gone afterwards."""
    place = _SHARED_MEMORY if os.access(_SHARED_MEMORY, os.W_OK | os.X_OK) else None
    with tempfile.TemporaryDirectory(prefix="lumenair-", dir=place) as name:
        yield Path(name)


def _megabytes(size: int) -> str:
    return f"{size >> 20}MB"


def _first(pattern: re.Pattern[str], said: Sequence[str]) -> str:
    """The first thing that the pattern finds."""
    found = next(filter(None, map(pattern.search, said)), None)
    return next(filter(None, found.groups())) if found else ""
