"""Power drivers against real programs and servers: what they ask for, and what they say when it does not work."""

import json
import os
import pty
import socket
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from serial.rfc2217 import PortManager

from fleet.errors import FleetError, NotAllowedError, NotFoundError, TimedOutError, UnreachableError
from fleet.hil import power
from fleet.hil.power import http
from fleet.hil.power.base import OFF_S
from fleet.tests.hil_rig import PATIENCE_S, Plug, plugged, words


@dataclass(frozen=True)
class Desk:
    """A board as far as its power is concerned."""

    id: str
    port: str
    power: Any


def driver(tmp_path: Path, port: str = "/dev/null", **table: object) -> Any:
    return power.driver(Desk("air-1", port, power.read("here", table, tmp_path)))


def test_every_driver_says_whether_it_cuts() -> None:
    assert {name for name, kind in power.DRIVERS.items() if not kind.cuts} == {"none", "rts"}


def test_without_a_driver_the_board_is_on_and_cannot_be_switched_off(tmp_path: Path) -> None:
    none = driver(tmp_path, driver="none")
    none.on()
    with pytest.raises(NotAllowedError, match="nothing can switch off air-1"):
        none.cycle()


def test_real_power_stays_off_long_enough(tmp_path: Path) -> None:
    log = tmp_path / "log"
    say = [sys.executable, "-c", f"import sys; open({str(log)!r}, 'a').write(sys.argv[1])"]
    settings = power.read("here", {"driver": "command", "on": [*say, "1"], "off": [*say, "0"]}, tmp_path)
    slept: list[float] = []
    relay = power.DRIVERS["command"](settings, "air-1", "/dev/null", slept.append)
    relay.cycle()
    relay.cycle(7.5)
    assert slept == [OFF_S, 7.5]
    assert OFF_S >= 2
    assert log.read_text() == "0101"


PYTHON = "{python}"
COMMANDS = {
    "no shell looks at the words": ([PYTHON, "-c", "import sys; sys.exit(sys.argv[1] != '$X;ls')", "$X;ls"], None, ""),
    "one that fails": ([PYTHON, "-c", "print('relay 3 is gone'); exit(4)"], FleetError, "with 4: relay 3 is gone"),
    "one that is not there": (["/nonexistent/relay"], UnreachableError, "No such file"),
    "an empty one": ([], UnreachableError, "the command is empty"),
    "one that does not end": ([PYTHON, "-c", "import time; time.sleep(60)"], TimedOutError, "within 1 s"),
}


@pytest.mark.parametrize("case", COMMANDS)
def test_commands(case: str, tmp_path: Path) -> None:
    argv, error, cause = COMMANDS[case]
    line = [word.format(python=sys.executable) for word in argv]
    relay = driver(tmp_path, driver="command", on=line, off=["true"], timeout_s=1 if "not end" in case else 30)
    if error is None:
        relay.on()
        return
    with pytest.raises(error, match="cannot switch the power of air-1") as raised:
        relay.on()
    assert cause in raised.value.cause


UHUBCTL = """#!{python}
import sys
if sys.argv[1:5] == ["-l", "1-1.4", "-p", "2"]:
    open({log!r}, "a").write(" ".join(sys.argv[5:]) + ";")
elif sys.argv[2] == "2-1":
    sys.exit("There were permission problems while accessing USB.")
else:
    sys.exit("No compatible devices detected at location " + sys.argv[2] + "!")
"""


def test_uhubctl(tmp_path: Path) -> None:
    program, log = tmp_path / "uhubctl", tmp_path / "log"
    program.write_text(UHUBCTL.format(python=sys.executable, log=str(log)))
    program.chmod(0o755)
    hub = driver(tmp_path, driver="uhubctl", location="1-1.4", hub_port=2, program=str(program))
    hub.off()
    hub.on()
    assert log.read_text() == "-a off;-a on;"
    for location, cause, hint in (("2-1", "permission problems", "udev"), ("3-1", "No compatible", "lists the hubs")):
        with pytest.raises(FleetError) as raised:
            driver(tmp_path, driver="uhubctl", location=location, hub_port=2, program=str(program)).on()
        assert cause in raised.value.cause
        assert hint in raised.value.hint


PLUGS = {
    "a Tasmota with one relay": (
        {"driver": "tasmota"}, [(200, '{"POWER":"ON"}'), (200, '{"POWER":"OFF"}')],
        [("/cm", {"cmnd": "Power1 ON"}), ("/cm", {"cmnd": "Power1 OFF"})],
    ),
    "a Tasmota with several": (
        {"driver": "tasmota", "relay": 3}, [(200, '{"POWER3":"ON"}'), (200, '{"POWER3":"OFF"}')],
        [("/cm", {"cmnd": "Power3 ON"}), ("/cm", {"cmnd": "Power3 OFF"})],
    ),
    "a Shelly of the first generation": (
        {"driver": "shelly", "generation": 1, "channel": 1}, [(200, '{"ison":true}'), (200, '{"ison":false}')],
        [("/relay/1", {"turn": "on"}), ("/relay/1", {"turn": "off"})],
    ),
    "a Shelly of a later one": (
        {"driver": "shelly"}, [(200, '{"was_on":false}'), (200, '{"was_on":true}')],
        [("/rpc/Switch.Set", {"id": "0", "on": "true"}), ("/rpc/Switch.Set", {"id": "0", "on": "false"})],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", PLUGS)
def test_plugs_are_asked_as_their_makers_say(case: str, tmp_path: Path) -> None:
    table, answers, wanted = PLUGS[case]
    with plugged(Plug(list(answers))) as plug:
        made = driver(tmp_path, host=plug.address, **table)
        made.on()
        made.off()
    assert [(path.partition("?")[0], words(path)) for path in plug.asked] == wanted


FAULTS = {
    "it stays off": (200, '{"POWER":"OFF"}', FleetError, "it answered {'POWER': 'OFF'}"),
    "it does not know that command": (200, '{"Command":"Unknown"}', FleetError, "Unknown"),
    "it wants a password": (200, '{"WARNING":"Need user=<username>&password=<password>"}', NotAllowedError, "password"),
    "it wants a login": (401, "", NotAllowedError, "password"),
    "it is another kind of thing": (404, "", FleetError, "it answered 404"),
    "it is broken": (500, "", FleetError, "it answered 500"),
    "it answers a page": (200, "<html>", FleetError, "no JSON"),
    "it answers something else": (200, "[1]", FleetError, "it answered [1]"),
}


@pytest.mark.parametrize(
    ("kind", "case"),
    [
        (kind, case)
        for kind in ("tasmota", "shelly")
        for case in FAULTS
        if (kind, case) != ("shelly", "it wants a password")
    ],
)
def test_a_plug_that_does_not_switch(case: str, kind: str, tmp_path: Path) -> None:
    status, body, error, cause = FAULTS[case]
    with plugged(Plug([(status, body)])) as plug:
        with pytest.raises(error, match=f"cannot switch the power of air-1 by {plug.address}") as raised:
            driver(tmp_path, driver=kind, host=plug.address).on()
        assert cause in raised.value.cause


def test_a_plug_that_is_not_there(tmp_path: Path) -> None:
    with plugged(Plug([(200, "{}")])) as plug:
        address = plug.address
    with pytest.raises(UnreachableError) as raised:
        driver(tmp_path, driver="shelly", host=address).on()
    assert "refused" in raised.value.cause


def test_a_plug_that_is_too_slow_is_asked_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "TIMEOUT_S", 0.2)
    with plugged(Plug([(200, '{"was_on":true}')], delay_s=1.0)) as plug:
        with pytest.raises(UnreachableError) as raised:
            driver(tmp_path, driver="shelly", host=plug.address).on()
        assert "no answer within" in raised.value.cause
        assert len(plug.asked) == http.ATTEMPTS


LOGINS = {
    "a Tasmota": ({"driver": "tasmota", "user": "admin"}, None, '{"POWER":"ON"}'),
    "a Shelly of the first generation": ({"driver": "shelly", "generation": 1}, "basic", '{"ison":true}'),
    "a Shelly of a later one": ({"driver": "shelly"}, "digest", '{"was_on":true}'),
}


@pytest.mark.parametrize("case", LOGINS)
def test_a_password_reaches_the_plug_and_no_error_text(case: str, tmp_path: Path) -> None:
    table, scheme, body = LOGINS[case]
    (tmp_path / "plug.pw").write_text("s3cret/&?\n")
    (tmp_path / "plug.pw").chmod(0o600)
    login = (scheme, "admin", "s3cret/&?") if scheme else None
    with plugged(Plug([(200, body), (500, "")], login)) as plug:
        made = driver(tmp_path, host=plug.address, password_file="plug.pw", **table)
        made.on()
        if scheme is None:
            assert words(plug.asked[0])["password"] == "s3cret/&?"
        else:
            assert "s3cret" not in plug.asked[0]
        with pytest.raises(FleetError) as raised:
            made.on()
        assert "s3cret" not in f"{raised.value} {raised.value.hint}"
    with pytest.raises(UnreachableError) as gone:
        made.on()
    assert "s3cret" not in f"{gone.value} {gone.value.hint}"


def test_a_wrong_password(tmp_path: Path) -> None:
    (tmp_path / "plug.pw").write_text("wrong")
    (tmp_path / "plug.pw").chmod(0o600)
    with plugged(Plug([(200, "{}")], ("digest", "admin", "right"))) as plug:
        with pytest.raises(NotAllowedError) as raised:
            driver(tmp_path, driver="shelly", host=plug.address, password_file="plug.pw").on()
        assert "password" in raised.value.cause


def test_a_password_that_others_can_read(tmp_path: Path) -> None:
    (tmp_path / "plug.pw").write_text("x")
    (tmp_path / "plug.pw").chmod(0o644)
    with pytest.raises(NotAllowedError, match="can be read by others") as raised:
        driver(tmp_path, driver="shelly", host="h", password_file="plug.pw").on()
    assert raised.value.hint == f"chmod 600 {tmp_path / 'plug.pw'}"


def test_a_password_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="cannot read"):
        driver(tmp_path, driver="tasmota", host="h", password_file="plug.pw").on()


class Control(threading.Thread):
    """The control socket of a virtual board."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.heard: list[dict[str, Any]] = []
        self.answers: list[bytes] = []
        self.door = socket.socket(socket.AF_UNIX)
        self.door.bind(str(path))
        self.door.listen()

    def run(self) -> None:
        for answer in self.answers:
            connection, _ = self.door.accept()
            with connection, connection.makefile("rwb") as file:
                self.heard.append(json.loads(file.readline()))
                file.write(answer)
        self.door.close()


def test_a_virtual_board_is_asked_by_its_control_socket(tmp_path: Path) -> None:
    control = Control(tmp_path / "control")
    control.answers = [b'{"ok": true}\n'] * 2 + [b'{"ok": false, "error": "no such part"}\n', b"", b'{"ok": true}\n']
    control.start()
    board = driver(tmp_path, str(tmp_path / "port"), driver="virtual")
    board.cycle()
    with pytest.raises(FleetError, match="refuses fault: no such part"):
        board.ask("fault", part="sen67")
    with pytest.raises(UnreachableError, match="does not answer"):
        board.ask("status")
    assert driver(tmp_path, driver="virtual", control="control").ask("status") == {"ok": True}
    control.join()
    assert control.heard[:2] == [{"do": "power", "on": False}, {"do": "power", "on": True}]
    with pytest.raises(UnreachableError, match="does not answer"):
        board.off()


class Lines:
    """A serial device with lines and no bytes, for PortManager."""

    def __init__(self) -> None:
        self.history: list[tuple[str, bool]] = []
        self.baudrate, self.bytesize, self.parity, self.stopbits = 115200, 8, "N", 1
        self.xonxoff = self.rtscts = self.cts = self.dsr = self.ri = self.cd = self.break_condition = False

    def __setattr__(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)
        if name in ("rts", "dtr"):
            self.history.append((name, bool(value)))

    def reset_input_buffer(self) -> None:
        pass

    reset_output_buffer = reset_input_buffer


OLD_PYSERIAL = pytest.mark.filterwarnings("ignore:set(Daemon|Name):DeprecationWarning")


@pytest.fixture
def far_port() -> Iterator[tuple[str, Lines, threading.Thread]]:
    """A port elsewhere (RFC 2217), its lines, and the thread that ends when it is closed."""
    lines = Lines()
    door = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        door.settimeout(PATIENCE_S)
        connection, _ = door.accept()
        with connection, connection.makefile("wb", 0) as answers:
            connection.settimeout(PATIENCE_S)
            manager = PortManager(lines, answers)
            while data := connection.recv(1024):
                list(manager.filter(data))

    thread = threading.Thread(target=serve)
    thread.start()
    yield f"rfc2217://127.0.0.1:{door.getsockname()[1]}", lines, thread
    thread.join()
    door.close()


@OLD_PYSERIAL
def test_rts_holds_the_chip_in_reset_until_it_is_on_again(
    far_port: tuple[str, Lines, threading.Thread], tmp_path: Path
) -> None:
    url, lines, thread = far_port
    reset = driver(tmp_path, url, driver="rts")
    reset.on()  # nothing is held, so nothing is touched
    reset.off()
    assert lines.history[-2:] == [("dtr", False), ("rts", True)], "EN low, and GPIO0 high"
    assert thread.is_alive(), "the port stays open, else the lines would fall"
    reset.on()
    assert ("rts", False) in lines.history[-2:]
    thread.join()


@OLD_PYSERIAL
def test_rts_cycle_ends_with_the_port_free(far_port: tuple[str, Lines, threading.Thread], tmp_path: Path) -> None:
    url, lines, thread = far_port
    driver(tmp_path, url, driver="rts").cycle()
    thread.join()
    assert [value for name, value in lines.history if name == "rts"][-2:] == [True, False]


def test_a_pseudo_terminal_has_no_rts(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    try:
        with pytest.raises(NotAllowedError, match="of air-1 has no RTS line") as raised:
            driver(tmp_path, os.ttyname(slave), driver="rts").off()
        assert '"virtual"' in raised.value.hint
    finally:
        os.close(master)
        os.close(slave)


def test_a_socket_has_no_rts(tmp_path: Path) -> None:
    with pytest.raises(NotAllowedError, match="no RTS line"):
        driver(tmp_path, "socket://127.0.0.1:1", driver="rts").off()


def test_a_port_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError):
        driver(tmp_path, str(tmp_path / "ttyUSB9"), driver="rts").off()
