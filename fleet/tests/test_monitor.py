"""`fleet board monitor`: lines with their time and meaning, over replugging, for people and for scripts."""

import json
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.boards import attached, monitor
from fleet.boards.monitor import Decoder
from fleet.tests.cli_rig import run
from fleet.tests.rig import wait_for
from fleet.tests.serial_rig import NODE, ScriptedPort

READY = b"ready?\r\n"
TRACEBACK = """\
Traceback (most recent call last):
  File "main.py", line 39, in <module>
OSError: 28
12.000 I link: connected to localhost:8883"""


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[ScriptedPort]:
    with ScriptedPort(tmp_path / "port") as found:
        yield found


def start(wire: ScriptedPort, *words: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "fleet", "board", "monitor", "--port", str(wire.path), *words]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wire.opened()
    while not select.select([child.stdout], [], [], 0.2)[0]:  # opening a port throws away what came before
        wire.say(READY)
    return child


def rest_of(child: "subprocess.Popen[str]") -> list[str]:
    """The lines that the child still prints, without those that `start` waited for."""
    out, err = child.communicate(timeout=30)
    assert err == ""
    return [line for line in out.splitlines() if READY.decode().strip() not in line]


def decoded(text: str) -> list[tuple[str, str]]:
    decoder = Decoder()
    return [(line.kind, line.severity) for line in (decoder.line(row, 0) for row in text.splitlines())]


def test_a_traceback_is_red_to_its_last_line_and_no_further() -> None:
    assert decoded(TRACEBACK) == [("sign", "error"), ("text", "error"), ("text", "error"), ("log", "info")]


def test_a_crash_of_the_interpreter_is_red_until_it_restarts() -> None:
    text = "Guru Meditation Error: Core 0\nPC: 0x40\n\nBacktrace: 0x40\nRebooting...\nets Jun 8\nhello"
    assert [severity for _, severity in decoded(text)] == ["error"] * 4 + ["info", "", ""]


def test_a_report_is_told_in_words() -> None:
    line = Decoder().line(NODE, 0)
    assert (line.kind, line.says) == ("report", "air-1 runs 0.1.0 in slot a, boot 12 after power on, 3 entries wait")
    assert line.fields["mac"] == "240ac4000001"


def test_a_script_waits_for_a_text_and_gets_one_object_per_line(wire: ScriptedPort) -> None:
    child = start(wire, "--until", "connected", "--timeout", "30", "--json")
    wire.say(TRACEBACK.replace("\n", "\r\n").encode() + b"\r\nnever seen\r\n")
    lines = [json.loads(line) for line in rest_of(child)]
    assert child.returncode == 0
    assert [line["text"] for line in lines] == TRACEBACK.splitlines()
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"]) for line in lines)
    assert lines[0]["hint"]
    assert lines[3]["fields"] == {"up_ms": 12000, "tag": "link", "text": "connected to localhost:8883"}


def test_a_text_that_does_not_come_is_exit_code_8(wire: ScriptedPort) -> None:
    found = run("board", "monitor", "--port", wire.path, "--until", "connected", "--timeout", "1", "--json")
    assert (found.code, found.error["code"]) == (8, "timed-out")
    assert found.error["hint"]


def test_time_alone_ends_it_well_and_a_prompt_is_shown_although_its_line_never_ends(wire: ScriptedPort) -> None:
    child = start(wire, "--timeout", "2")
    wire.say(b">>> ")
    (line,) = rest_of(child)
    assert child.returncode == 0
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3}  >>> ", line)


def test_a_board_that_is_unplugged_is_waited_for(wire: ScriptedPort) -> None:
    child = start(wire, "--until", "second", "--timeout", "30")
    wire.say(b"first\r\n")
    wire.unplug()
    wire.plug()
    assert child.stdout is not None
    said: list[str] = []
    while not any("is back" in line for line in said):
        said.append(child.stdout.readline())
    wait_for(lambda: wire.say(b"second\r\n") or child.poll() is not None, "the end of the monitor")
    assert rest_of(child)[-1].endswith("  second")
    assert [line for line in said if "first" in line or "went away" in line]
    assert child.returncode == 0


def test_ctrl_c_ends_it_as_it_ends_every_command(wire: ScriptedPort) -> None:
    child = start(wire)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=30)
    assert (child.returncode, err.strip()) == (130, "Interrupted.")


def test_colours_tell_how_bad_it_is(wire: ScriptedPort, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(monitor, "follow", lambda *_: map(Decoder().line, TRACEBACK.splitlines(), range(4)))
    out = run("board", "monitor", "--port", wire.path, tty=True).out
    assert "\x1b[31m\x1b[1mTraceback" in out
    assert "00:00:00.003" in out


def test_a_board_without_a_reset_line_is_restarted_over_its_prompt(wire: ScriptedPort) -> None:
    assert run("board", "monitor", "--port", wire.path, "--reset", "--timeout", "1").code == 0
    assert wire.typed == b"\r\x03\x03\x02\x04"


def test_no_board_at_all_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attached.ports, "attached", lambda environ: [])
    found = run("board", "monitor")
    assert found.code == 5
    assert "--port" in found.err
