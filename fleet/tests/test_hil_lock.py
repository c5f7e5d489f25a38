"""Locks of boards, between real processes: one user at a time, told by name, and nothing left when it is killed."""

import contextlib
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fleet.errors import NotAllowedError, TimedOutError
from fleet.hil import lock
from fleet.tests.hil_rig import until

HOLD = """
import sys
from pathlib import Path
from fleet.hil import lock
from fleet.tests.test_hil_lock import Port
with lock.acquire(Port(*sys.argv[2:4]), 30, Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@dataclass(frozen=True)
class Port:
    """A board as far as locks are concerned."""

    id: str
    port: str


@contextlib.contextmanager
def another(place: Path, board: Port) -> Iterator["subprocess.Popen[str]"]:
    """Another process that holds the board until its stdin ends."""
    words = [sys.executable, "-c", HOLD, str(place), board.id, board.port]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def board(tmp_path: Path) -> Port:
    (tmp_path / "ttyUSB0").touch()
    return Port("air-1", str(tmp_path / "ttyUSB0"))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return lock.directory({lock.VARIABLE: str(tmp_path / "locks")})


def test_a_board_has_one_user_and_says_who(board: Port, place: Path) -> None:
    assert lock.holder(board, place) is None
    with another(place, board) as process:
        found = lock.holder(board, place)
        assert found is not None
        assert (found.pid, found.board, found.command) == (process.pid, "air-1", f"-c {place} air-1 {board.port}")
        assert found.user
        assert found.since.endswith("Z")
        with pytest.raises(TimedOutError) as raised, lock.acquire(board, 0.0, place):
            pass
        assert raised.value.cause == f"air-1 is held by {found}"


def test_a_killed_user_leaves_nothing_behind(board: Port, place: Path) -> None:
    with another(place, board) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert lock.holder(board, place) is None, "the text that it left means nothing"
        with lock.acquire(board, 0.0, place):
            found = lock.holder(board, place)
            assert found is not None
            assert found.pid == os.getpid()
    assert lock.holder(board, place) is None


def test_waiting_ends_when_the_board_is_free(board: Port, place: Path) -> None:
    with another(place, board) as first:
        words = [sys.executable, "-c", HOLD, str(place), board.id, board.port]
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as second:
            assert first.stdin is not None
            first.stdin.close()
            assert second.stdout is not None
            assert second.stdout.readline() == "held\n"
            second.kill()


def test_waiting_is_bounded(board: Port, place: Path) -> None:
    with another(place, board):
        began = time.monotonic()
        with pytest.raises(TimedOutError, match=r"no free board within 0\.5 s: air-1"), lock.acquire(board, 0.5, place):
            pass
        assert time.monotonic() - began >= 0.5


def test_what_a_user_starts_does_not_keep_the_board(board: Port, place: Path) -> None:
    with lock.acquire(board, 0.0, place):
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"], close_fds=False)
    try:
        assert lock.holder(board, place) is None
        locks = set(place.iterdir())
        until(lambda: locks.isdisjoint(handle.resolve() for handle in Path(f"/proc/{child.pid}/fd").iterdir()))
    finally:
        child.kill()
        child.wait()


def test_a_lock_is_not_reentrant(board: Port, place: Path) -> None:
    with lock.acquire(board, 0.0, place), pytest.raises(TimedOutError, match="air-1"), lock.acquire(board, 0.0, place):
        pass


def test_looking_disturbs_nobody(board: Port, place: Path) -> None:
    code = f"""
from pathlib import Path
from fleet.hil import lock
from fleet.tests.test_hil_lock import Port
print("on", flush=True)
while True:
    lock.holder(Port("air-1", {board.port!r}), Path({str(place)!r}))
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as watcher:
        assert watcher.stdout is not None
        assert watcher.stdout.readline() == "on\n"
        for _ in range(50):
            with lock.acquire(board, 0.0, place):
                pass
        watcher.kill()


NAMES = {
    "a symlink and what it leads to": ("by-id", "ttyUSB0"),
    "a path with a detour": ("sub/../ttyUSB0", "ttyUSB0"),
    "two doors to one address": ("socket://desk:4000", "rfc2217://desk:4000?ign_set_control"),
    "two names of this machine": ("socket://localhost:4000", "socket://127.0.0.1:4000"),
    "capital letters": ("socket://DESK:4000", "socket://desk:4000"),
}


@pytest.mark.parametrize("case", NAMES)
def test_two_names_of_one_board(case: str, board: Port, place: Path, tmp_path: Path) -> None:
    (tmp_path / "by-id").symlink_to(tmp_path / "ttyUSB0")
    (tmp_path / "sub").mkdir()
    one, two = (Port("x", name if "://" in name else f"{tmp_path}/{name}") for name in NAMES[case])
    with lock.acquire(one, 0.0, place):
        assert lock.holder(two, place)
        with pytest.raises(TimedOutError), lock.acquire(two, 0.0, place):
            pass


def test_two_boards_do_not_meet(board: Port, place: Path) -> None:
    for other in ("ttyUSB1", "socket://desk:4000", "socket://desk:4001", "socket://other:4000", "socket://desk:bad"):
        with lock.acquire(board, 0.0, place), lock.acquire(Port("y", other), 0.0, place):
            pass


def test_a_board_that_comes_back_as_another_device_is_still_held(board: Port, place: Path, tmp_path: Path) -> None:
    name = tmp_path / "by-id"
    name.symlink_to(board.port)
    with lock.acquire(Port("air-1", str(name)), 0.0, place):
        name.unlink()
        name.symlink_to(tmp_path / "ttyUSB7")
        assert lock.holder(Port("air-1", str(name)), place)


def test_the_first_that_is_free_is_taken_and_all_or_none(place: Path) -> None:
    boards = [Port(name, f"socket://{name}:1") for name in ("a", "b", "c")]
    with lock.acquire(boards[0], 0.0, place), lock.acquire_any(boards, 1, 0.0, place) as held:
        assert [one.board for one in held] == ["b"]
        with pytest.raises(TimedOutError, match="a, b, c"), lock.acquire_any(boards, 2, 0.0, place):
            pass
        assert lock.holder(boards[2], place) is None, "nothing is kept of an attempt that failed"
        with lock.acquire_any(boards, 1, 0.0, place) as last:
            assert [one.board for one in last] == ["c"]


def test_the_locks_are_for_all_users(board: Port, place: Path) -> None:
    before = os.umask(0o077)
    try:
        with lock.acquire(board, 0.0, place):
            files = list(place.iterdir())
    finally:
        os.umask(before)
    assert stat.S_IMODE(place.stat().st_mode) == 0o1777
    assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [0o666]


def test_a_text_that_somebody_else_wrote_is_shown_without_its_control_characters(board: Port, place: Path) -> None:
    with lock.acquire(board, 0.0, place):
        file = next(place.iterdir())
        file.write_text('{"pid": 7, "user": "\\u001b[2J", "host": "h", "command": "c", "since": "s", "board": "b"}')
        assert str(lock.holder(board, place)) == "?[2J@h, pid 7 since s: c"
        file.write_bytes(b"\xff{")
        assert str(lock.holder(board, place)) == "somebody since an unknown time"


def test_the_directory_is_the_first_that_everybody_can_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, mode in (("roots", 0o755), ("everybodys", 0o1777)):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(mode)
    monkeypatch.setattr(lock, "PLACES", tuple(tmp_path / name for name in ("missing", "roots", "everybodys")))
    assert lock.directory({}) == lock.directory({}) == tmp_path / "everybodys" / "lumenair"


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotAllowedError, match="cannot make") as raised:
        lock.directory({lock.VARIABLE: str(tmp_path / "file" / "locks")})
    assert lock.VARIABLE in raised.value.hint


def test_a_worker_can_end_with_its_run(board: Port, place: Path) -> None:
    worker = (
        "from fleet import processes; from fleet.hil import lock; processes.end_with_parent();"
        "from fleet.tests.test_hil_lock import Port; from pathlib import Path; import sys, time;"
        f"held = lock.take([Port('air-1', {board.port!r})], 1, 9, Path({str(place)!r})); time.sleep(3600)"
    )
    run = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {worker!r}])"
    with subprocess.Popen([sys.executable, "-c", run]) as process:
        until(lambda: lock.holder(board, place))
        process.kill()
    until(lambda: lock.holder(board, place) is None, 5)


def _linked(file: Path, precious: Path) -> None:
    os.link(precious, file)


# sentence: what somebody else puts in the place of a lock
TRAPS: dict[str, Callable[[Path, Path], object]] = {
    "a link to a file of ours": lambda file, precious: file.symlink_to(precious),
    "another name of a file of ours": _linked,
    "a pipe that nobody writes to": lambda file, precious: os.mkfifo(file),
    "a directory": lambda file, precious: file.mkdir(),
}


@pytest.mark.parametrize("sentence", TRAPS)
def test_what_is_no_lock_is_neither_written_nor_waited_for(
    sentence: str, board: Port, place: Path, tmp_path: Path
) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    with lock.acquire(board, place=place):
        (file,) = place.iterdir()
    file.unlink()
    TRAPS[sentence](file, precious)
    with pytest.raises(NotAllowedError, match="cannot use"), lock.acquire(board, place=place):
        pass
    with pytest.raises(NotAllowedError, match="cannot use"):
        lock.holder(board, place)
    assert precious.read_text() == "mine"


@pytest.mark.parametrize(
    "text", ["[" * 4000, '{"pid":1e999,"user":1,"host":1,"command":1,"since":1,"board":1}', "\xff"]
)
def test_a_text_that_nobody_can_read_is_somebody(text: str, board: Port, place: Path) -> None:
    with lock.acquire(board, place=place):
        (file,) = place.iterdir()
        file.write_text(text)
        assert lock.holder(board, place) == lock.Holder()


def test_a_link_is_no_directory_for_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "PLACES", (tmp_path,))
    (tmp_path / "home").mkdir()
    (tmp_path / "lumenair").symlink_to(tmp_path / "home")
    with pytest.raises(NotAllowedError, match="no directory"):
        lock.directory({})
