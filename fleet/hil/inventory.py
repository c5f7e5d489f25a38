"""bench.toml: the boards of a bench. Each key stands here once; `load` checks the file against these tables."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from fleet.errors import ConfigError, NotFoundError
from fleet.flashing.chips import CHIPS
from fleet.hil import power, schema
from fleet.hil.schema import key

FILE = "bench.toml"
MAX_FILE = 1 << 20  # bytes
_ID = r"[a-z0-9][a-z0-9-]{0,31}"
_WORD = r"[A-Za-z0-9][A-Za-z0-9._-]*"


@dataclass(frozen=True)
class Quarantine:
    """Why a board must not decide anything."""

    reason: str = field(metadata=key("What is wrong with it, in words.", form=r"(?s).*\S.*"))
    since: date = field(metadata=key("The day on which it was set aside: 2026-11-22."))


@dataclass(frozen=True)
class Board:
    """One board: a [[board]] of the file."""

    id: str = field(metadata=key("Its name on this bench: lower case, digits and hyphens.", form=_ID))
    port: str = field(
        metadata=key(
            "Its serial port: a path, best one of /dev/serial/by-id, or any pyserial URL; relative to the file.",
            form=r"\S+",
            path=True,
        )
    )
    chip: str = field(
        default="esp32", metadata=key(f"The chip, as esptool names it: {', '.join(CHIPS)}.", form="|".join(CHIPS))
    )
    kind: str = field(default="air", metadata=key("What it is built to be: air or light.", form="air|light"))
    pins: str = field(
        default="",
        metadata=key(
            "Its pin map, a file of firmware/boards; empty = the usual one of its kind and chip.", form=r"\w*"
        ),
    )
    baud: int = field(default=460800, metadata=key("The speed at which it is flashed.", low=9600, high=4_000_000))
    tags: tuple[str, ...] = field(default=(), metadata=key("Words to choose it by.", form=_WORD))
    fixtures: tuple[str, ...] = field(
        default=(), metadata=key("What is wired to it, by the names that tests ask for.", form=_WORD)
    )
    power: Any = field(
        default=None, metadata=key('What switches its power: {driver = "uhubctl", location = "1-1.4", hub_port = 2}.')
    )
    notes: str = field(default="", metadata=key("For people."))
    quarantine: Quarantine | None = field(
        default=None, metadata=key('Set aside: {reason = "relay sticks", since = 2026-11-22}.')
    )


@dataclass(frozen=True)
class About:
    """The bench itself: the [bench] of the file."""

    name: str = field(default="bench", metadata=key("What reports call it.", form=r".*\S.*"))
    results: str = field(default="results", metadata=key("Where runs are kept; relative to the file.", form=r".+"))
    micropython: str = field(
        default="", metadata=key("The base image for its boards, as `fleet board flash --micropython` takes it.")
    )
    address: str = field(
        default="127.0.0.1", metadata=key("This computer as the boards reach it: a name or an address.", form=r"\S+")
    )
    wifi_ssid: str = field(
        default="", metadata=key("The Wi-Fi of its boards; empty for virtual ones.", form=r".{0,32}")
    )
    wifi_psk_file: str = field(
        default="", metadata=key("A file (mode 600) whose first line is the key of that Wi-Fi.", path=True)
    )


@dataclass(frozen=True)
class Bench:
    """The whole file."""

    path: Path
    about: About
    boards: tuple[Board, ...]

    @property
    def directory(self) -> Path:
        """What relative paths of the file count from."""
        return self.path.parent

    @property
    def results(self) -> Path:
        """Where runs are kept."""
        return self.directory / self.about.results  # of a bench that was not read from a file

    def board(self, board_id: str) -> Board:
        """The board of that id; NotFoundError."""
        return self.select(ids=[board_id])[0]

    def select(
        self,
        ids: Sequence[str] = (),
        tags: Sequence[str] = (),
        chips: Sequence[str] = (),
        kinds: Sequence[str] = (),
        fixtures: Sequence[str] = (),
        quarantined: bool = True,
    ) -> tuple[Board, ...]:
        """The boards that fit everything given, in the order of the file: one of several ids, chips and kinds, all tags
        and fixtures. NotFoundError for an id that is not in the file.
        """
        known = {board.id for board in self.boards}
        for board_id in ids:
            if board_id not in known:
                hint = f"its boards: {', '.join(sorted(known))}"
                raise NotFoundError(f"no board {board_id} in {self.path}", hint=hint)
        return tuple(
            board
            for board in self.boards
            if (not ids or board.id in ids)
            and (not chips or board.chip in chips)
            and (not kinds or board.kind in kinds)
            and {*tags} <= {*board.tags}
            and {*fixtures} <= {*board.fixtures}
            and (quarantined or board.quarantine is None)
        )


def load(path: Path) -> Bench:
    """The bench in a file, or in bench.toml of a directory; NotFoundError, or ConfigError with file, board and key."""
    where = path / FILE if path.is_dir() else path
    try:
        with where.open("rb") as file:
            tree = tomllib.loads(file.read(MAX_FILE).decode())
    except FileNotFoundError:
        hint = "name another with --bench; docs/howto/run-the-bench.md shows how to write one"
        raise NotFoundError(f"no bench in {where}", hint=hint) from None
    except OSError as error:
        raise ConfigError(f"cannot read {where}", cause=error.strerror or str(error)) from error
    except (ValueError, RecursionError) as error:  # no UTF-8, or beyond what its reader takes, too
        raise ConfigError(f"{where} is not TOML", hint="correct that line", cause=str(error)) from error
    return parse(tree, where.absolute())


def parse(tree: dict[str, Any], path: Path) -> Bench:
    """The bench in a parsed file; ConfigError names file, board and key of the first fault."""
    schema.refuse_unknown(str(path), tree, ("bench", "board"))
    about = schema.read(f"{path}: [bench]", About, tree.get("bench", {}), path.parent)
    rows = tree.get("board", [])
    if not isinstance(rows, list) or not rows:
        raise ConfigError(f"{path} has no board", hint="write [[board]] on a line of its own, with id and port below")
    boards = [_board(path, number, row) for number, row in enumerate(rows, 1)]
    _refuse_twins(path, boards)
    return Bench(path, about, tuple(boards))


def _board(path: Path, number: int, row: Any) -> Board:
    name = row.get("id") if isinstance(row, dict) else None
    where = f"{path}: board {name if isinstance(name, str) and name else number}"
    made = schema.read(where, Board, row, path.parent)
    values = dict(vars(made))
    values["power"] = power.read(
        f"{where}: power", {"driver": "none"} if made.power is None else made.power, path.parent
    )
    if made.quarantine is not None:
        values["quarantine"] = schema.read(f"{where}: quarantine", Quarantine, made.quarantine, path.parent)
    return Board(**values)


def _refuse_twins(path: Path, boards: Sequence[Board]) -> None:
    for key_name in ("id", "port"):
        seen: dict[str, str] = {}
        for board in boards:
            value = getattr(board, key_name)
            if value in seen:
                raise ConfigError(f"{path}: board {board.id}: {key_name} {value} is that of board {seen[value]} too")
            seen[value] = board.id
