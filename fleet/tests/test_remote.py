"""Programs and documents on a board, through mpremote: what arrives, what is refused, and what is never seen."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.boards import probe
from fleet.errors import FleetError, TimedOutError, UnreachableError, VerificationError
from fleet.flashing import child, keep
from fleet.flashing.child import FloodError
from fleet.flashing.console import Condition, Console, PortLostError
from fleet.flashing.esptool import Esptool
from fleet.flashing.remote import FILE_MAX, BoardError, Remote
from fleet.tests import board_rig
from fleet.tests.rig import wait_for
from fleet.tests.serial_rig import ScriptedPort
from tools.virtual_board.launch import BoardProcess

SECRET = b"a key that nobody may see \x00\xff" * 40


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BoardProcess]:
    with board_rig.board(tmp_path_factory.mktemp("remote") / "b", board_rig.flash(), socket=True) as found:
        yield found


@pytest.mark.parametrize("size", [0, 1, 191, 192, 193, 4096])
def test_a_document_arrives_as_it_was_sent(board: BoardProcess, size: int) -> None:
    remote, data = Remote(board.port), os.urandom(size)
    remote.write("/x.bin", data)
    assert remote.read("/x.bin") == data
    assert remote.read("/x.bin.tmp") is None


def test_a_port_may_be_far_away(board: BoardProcess) -> None:
    remote = Remote(board.urls["socket"])
    remote.write("/far.bin", b"far")
    assert remote.read("/far.bin") == b"far"
    with Console(board.urls["socket"]) as console:
        assert console.identify().condition is Condition.PROMPT


def test_what_is_written_is_in_no_argument_list_and_no_file(board: BoardProcess, tmp_path: Path) -> None:
    """Looks at every process of ours, over and over, while a document is written."""
    seen: set[bytes] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    words = path.read_bytes()
                except OSError:
                    continue
                if b"mpremote" in words:
                    seen.add(words)

    watcher = threading.Thread(target=watch)
    watcher.start()
    environ = {**os.environ, "TMPDIR": str(tmp_path)}
    Remote(board.port, environ).write("/secret.bin", SECRET)
    done.set()
    watcher.join()
    assert any(b"soft-reset" in words and b"/dev/stdin" in words for words in seen)
    assert not any(SECRET[:20] in words or b"YSBrZXk" in words for words in seen)
    assert not list(tmp_path.iterdir())
    assert SECRET[:20] not in (board.directory / "serial.log").read_bytes()


def test_a_program_answers_with_what_json_knows(board: BoardProcess) -> None:
    program = "print('noise @answer {}')\nanswer = {'a': [1, None, 'ä'], 'b': {'c': True}}"
    assert Remote(board.port).ask(program) == {"a": [1, None, "ä"], "b": {"c": True}}


FAULTS = {
    "a program with a mistake": ("1/0", BoardError, "ZeroDivisionError"),
    "a module that is not there": ("import nothing_such", BoardError, "ImportError"),
    "no answer": ("answer = 7", BoardError, ""),
    "a name that is not there": ("x", BoardError, "NameError"),
    "a file system that is full": ("raise OSError(28)", BoardError, "28"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_fails_on_the_board_says_why(board: BoardProcess, fault: str) -> None:
    program, kind, cause = FAULTS[fault]
    with pytest.raises(kind) as raised:
        Remote(board.port).ask(program)
    assert cause in raised.value.cause


def test_a_file_that_is_too_large_is_not_taken(board: BoardProcess) -> None:
    remote = Remote(board.port)
    remote.write("/large.bin", bytes(3000))
    with pytest.raises(BoardError, match="too large"):
        remote.read("/large.bin", 2999)
    with pytest.raises(ValueError, match="no document"):
        remote.write("/x", bytes(FILE_MAX + 1))


def test_a_program_that_never_ends_is_ended_here(board: BoardProcess) -> None:
    with pytest.raises(TimedOutError, match="does not answer"):
        Remote(board.port, timeout_s=2).ask("while True: pass")
    board.client.ask("reset")
    assert Remote(board.port).ask("answer = {}") == {}


def test_a_board_without_micropython_has_no_prompt(tmp_path: Path) -> None:
    with ScriptedPort(tmp_path / "port") as wire, pytest.raises(UnreachableError, match="no prompt"):
        Remote(str(wire.path)).ask("answer = {}")


def test_a_port_that_is_in_use_or_not_there_says_so(tmp_path: Path) -> None:
    with (
        ScriptedPort(tmp_path / "port") as wire,
        Console(str(wire.path)),
        pytest.raises(UnreachableError, match="in use"),
    ):
        Remote(str(wire.path)).ask("answer = {}")
    with pytest.raises(UnreachableError, match="no port"):
        Remote(str(tmp_path / "none")).ask("answer = {}")


def test_a_board_that_is_unplugged_in_the_middle_is_an_error(tmp_path: Path) -> None:
    with ScriptedPort(tmp_path / "port") as wire:

        def unplug() -> None:
            wait_for(lambda: wire.typed, "mpremote")
            wire.unplug()

        thread = threading.Thread(target=unplug)
        thread.start()
        with pytest.raises((PortLostError, UnreachableError)):
            Remote(str(wire.path)).ask("answer = {}")
        thread.join()


def test_a_board_says_what_it_is(board: BoardProcess) -> None:
    facts = probe.probe(Remote(board.port))
    assert (facts.chip, facts.fw, facts.slot, facts.identity) == ("esp32", board_rig.program().version, "a", probe.NONE)
    assert {"esp32_air", "esp32_light"} <= set(facts.boards)
    assert facts.free > 0


@given(st.dictionaries(st.sampled_from(["machine", "boards", "free", "mac", "fw", "slot", "node"]), st.none()))
def test_a_board_that_answers_nonsense_is_an_error(answer: dict[str, object]) -> None:
    class Liar(Remote):
        def ask(self, program: str, fresh: bool = False) -> dict[str, object]:
            return answer

    with pytest.raises(FleetError, match="nonsense"):
        probe.probe(Liar("port"))


@pytest.mark.parametrize(("version", "enough"), [("1.24.0", True), ("1.23.9", False), ("2.0", True), ("", False)])
def test_versions_compare_as_numbers(version: str, enough: bool) -> None:
    assert probe.Facts(micropython=version).has_micropython((1, 24)) is enough


CHIPS = {
    "Generic ESP32 module with ESP32": "esp32",
    "Generic ESP32S3 module with ESP32S3": "esp32s3",
    "ESP32-C3 board with ESP32-C3": "esp32c3",
    "Raspberry Pi Pico with RP2040": "",
    "": "",
}


@pytest.mark.parametrize("machine", CHIPS)
def test_the_chip_is_the_last_word_of_a_machine(machine: str) -> None:
    assert probe.chip_of(machine) == CHIPS[machine]


def test_a_child_ends_with_its_parent(tmp_path: Path) -> None:
    sleeper = f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    script = "import os, sys; from fleet.flashing import child;"
    script += f"child.run([sys.executable, '-c', {sleeper!r}], '', 600, os.environ)"
    parent = subprocess.Popen([sys.executable, "-c", script])
    wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text(), "the child")
    pid = int((tmp_path / "pid").read_text())
    parent.kill()
    parent.wait()
    wait_for(lambda: not _runs(pid), "the end of the child")


def _runs(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][:3]
    except OSError:
        return False


def test_a_child_that_is_slow_is_killed() -> None:
    with pytest.raises(TimedOutError):
        child.run([sys.executable, "-c", "import time; time.sleep(600)"], "", 0.5, os.environ)


def lying(monkeypatch: pytest.MonkeyPatch, says: str) -> Remote:
    """A board whose every program prints `says` as its answer."""
    monkeypatch.setattr(Remote, "_mpremote", lambda *_, **__: f"@answer {says}\n")
    return Remote("/dev/liar")


TRUE = {"micropython": "1.29.0", "machine": "", "slot": "a", "fw": "", "boards": [], "identity": "none", "node": ""}
# sentence: what replaces an answer that makes sense
LIES: dict[str, dict[str, object]] = {
    "a number without end": {"free": float("inf")},
    "no number": {"free": float("nan")},
    "text for a number": {"free": "much"},
    "an order to a terminal": {"fw": "\x1b[2J"},
    "a path for a MAC address": {"mac": "../../x"},
    "half a MAC address": {"mac": "240ac"},
    "a number for a list": {"boards": 7},
    "nothing for a list": {"boards": None},
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_a_board_that_answers_nonsense_is_not_believed(monkeypatch: pytest.MonkeyPatch, lie: dict[str, object]) -> None:
    honest = {**TRUE, "mac": "240ac4000001", "free": 7}
    assert probe.probe(lying(monkeypatch, json.dumps(honest))).mac == "240ac4000001"
    with pytest.raises(UnreachableError, match="nonsense"):
        probe.probe(lying(monkeypatch, json.dumps({**honest, **lie})))


# sentence: the list of files
LISTS: dict[str, object] = {
    "no list": 7,
    "nothing": None,
    "no pairs": ["/data/x"],
    "a size that is none": [["/data/x", "big"]],
    "a size without end": [["/data/x", float("inf")]],
    "a negative size": [["/data/x", -(1 << 30)], ["/data/y", 1 << 30]],
    "more than there can be": [["/data/x", 1 << 30]],
    "a file of somebody else": [["/etc/passwd", 1]],
    "a way out": [["/data/../boot.py", 1]],
    "an order to a terminal": [["/data/\x1b[2J", 1]],
    "half a character": [["/data/\ud800", 1]],
    "the end of a name": [["/data/x\0y", 1]],
}


@pytest.mark.parametrize("files", LISTS.values(), ids=LISTS)
def test_a_list_of_files_that_makes_no_sense_is_refused(monkeypatch: pytest.MonkeyPatch, files: object) -> None:
    with pytest.raises(VerificationError, match="no sense"):
        keep.from_prompt(lying(monkeypatch, json.dumps({"files": files})))


@pytest.mark.parametrize("says", ['{"a":' + "[" * 100_000 + "]" * 100_000 + "}", '{"a":' + "9" * 5000 + "}", "{}x"])
def test_an_answer_that_nobody_can_read_is_an_error(monkeypatch: pytest.MonkeyPatch, says: str) -> None:
    with pytest.raises(BoardError, match="did not answer as expected"):
        lying(monkeypatch, says).ask("answer = {}")


def test_a_program_that_never_stops_talking_fills_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    talker = [sys.executable, "-c", "import os\nwhile True: os.write(1, bytes(65536))"]
    with pytest.raises(FloodError, match="more than"):
        child.run(talker, "", 60, os.environ)
    run = child.run
    monkeypatch.setattr(child, "run", lambda *rest: run(talker, *rest[1:]))
    with pytest.raises(BoardError, match="without an end"):
        Remote("/dev/talker").ask("answer = {}")


def test_what_lies_in_the_directory_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("mpremote", "esptool", "serial"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'run')!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)  # who names the directory there wants it
    with pytest.raises(UnreachableError, match="no port"):
        Remote(str(tmp_path / "none")).ask("answer = {}")
    with pytest.raises(UnreachableError, match="no port"):
        Esptool(str(tmp_path / "none")).look()
    assert not (tmp_path / "run").exists()
