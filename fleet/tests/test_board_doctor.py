"""`fleet board doctor`: each fault of a board is named by its name, with what to try."""

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from fleet.boards import attached, doctor
from fleet.boards.doctor import Patient
from fleet.flashing import console, image, usb
from fleet.flashing.ports import Port
from fleet.tests import board_rig
from fleet.tests.cli_rig import Result, make_fleet, run
from fleet.tests.serial_rig import NODE, ScriptedPort, node
from tools.virtual_board.base import base_image
from tools.virtual_board.launch import BoardProcess

BOOTLOADER = board_rig.BOOTLOADER["esp32"]
TABLE = 0x8000
PROGRAM = 0x10000


def found(result: Result) -> dict[str, str]:
    """{check: status} of what was found."""
    return {row["check"]: row["status"] for row in result.json["findings"]}


def hints(result: Result) -> str:
    return " ".join(row["hint"] for row in result.json["findings"])


def examine(board: BoardProcess, url: str = "") -> Result:
    return run("board", "doctor", "--port", url or board.port, "--fleet", board.directory / "none", "--json")


def patched(*patches: tuple[int, bytes]) -> bytes:
    """The flash of a good board with some bytes changed."""
    data = bytearray(board_rig.flash())
    for at, piece in patches:
        data[at : at + len(piece)] = piece
    return bytes(data)


def with_files(**files: bytes) -> bytes:
    return board_rig.flash(files={**image.files_of(board_rig.program()), **{f"/{k}.cbor": v for k, v in files.items()}})


# sentence: (flash, exit code, what fails or warns, a word of a hint)
FLASHES: dict[str, tuple[Callable[[], bytes | None], int, dict[str, str], str]] = {
    "a blank board": (lambda: None, 1, {"program": "fail", "image": "fail"}, "fleet board flash"),
    "MicroPython alone": (lambda: board_rig.flash(files={}), 1, {"firmware": "fail"}, "fleet board flash"),
    "our firmware without identity": (board_rig.flash, 0, {"identity": "warn"}, "fleet board provision"),
    "an identity that cannot be read": (lambda: with_files(id=b"xx"), 1, {"identity": "fail"}, "--yes"),
    "a bootloader that is no more": (lambda: patched((BOOTLOADER, b"\0")), 1, {"image": "fail"}, "--force"),
    "an image of another chip": (
        lambda: patched((BOOTLOADER, base_image("esp32s3"))),
        1,
        {"program": "fail", "image": "fail", "partitions": "fail"},
        "--chip auto",
    ),
    "an image for more flash than there is": (
        lambda: patched((BOOTLOADER, base_image("esp32", "8MB"))),
        1,
        {"program": "fail", "flash-size": "fail"},
        "base image for this size",
    ),
    "a partition table that is damaged": (lambda: patched((TABLE, bytes(16))), 1, {"partitions": "fail"}, "--force"),
    "a program that is gone": (lambda: patched((PROGRAM, b"\xff" * 4096)), 1, {"image": "fail"}, "--force"),
    "a program that is another": (
        lambda: patched((PROGRAM, base_image("esp32")[PROGRAM - BOOTLOADER :].replace(b"icro", b"acro"))),
        1,
        {"program": "fail", "image": "fail"},
        "what is on the board is lost",
    ),
    "a file system that is none": (
        lambda: patched((board_rig.VFS, b"\x55" * 8192)),
        1,
        {"program": "fail", "files": "fail"},
        "esptool read-flash",
    ),
}


@pytest.mark.parametrize("fault", FLASHES)
def test_what_is_wrong_in_the_flash_is_named(tmp_path: Path, fault: str) -> None:
    make, code, bad, hint = FLASHES[fault]
    with board_rig.board(tmp_path / "b", make()) as board:
        result = examine(board)
    checks = found(result)
    assert (result.code, result.err) == (code, "")
    assert bad.items() <= checks.items()
    assert {check for check, status in checks.items() if status != "ok"} <= {*bad, "program", "files", "partitions"}
    assert hint in hints(result)
    assert all(row["hint"] for row in result.json["findings"] if row["status"] == "fail")


# sentence: (troubles, exit code, what fails or warns, a word of a hint)
TROUBLES: dict[str, tuple[dict[str, object], int, dict[str, str], str]] = {
    "a supply that is too weak": ({"brownout-boot": 1}, 1, {"brown-out": "fail"}, "500 mA"),
    "a program that hangs": ({"hang": 1}, 1, {"program": "fail", "flash": "warn"}, "EN"),
    "a board that answers nothing": ({"hang": 1, "mute": 1}, 5, {"program": "fail", "loader": "fail"}, "BOOT"),
    "a reset circuit that does not work": ({"hang": 1, "deaf-reset": 1}, 5, {"loader": "fail"}, "BOOT"),
    "a line that loses bytes": ({"drop": 7}, 1, {"prompt": "fail"}, "cable"),
}


@pytest.mark.parametrize("fault", TROUBLES)
def test_what_is_wrong_with_the_board_is_named(tmp_path: Path, fault: str) -> None:
    troubles, code, bad, hint = TROUBLES[fault]
    with board_rig.board(tmp_path / "b", board_rig.flash(), off=True) as board:
        for name, value in troubles.items():
            board.client.ask("trouble", name=name, value=value)
        board.client.ask("power", on=True)
        result = examine(board)
    assert result.code == code
    assert bad.items() <= found(result).items()
    assert hint in hints(result)


@pytest.mark.filterwarnings("ignore:set(Daemon|Name)")  # pyserial 3.5
def test_a_boot_pin_that_is_held_down_is_seen_where_the_port_can_reset(tmp_path: Path) -> None:
    with board_rig.board(tmp_path / "b", board_rig.flash(), off=True, rfc2217=True) as board:
        board.client.ask("trouble", name="stuck-boot", value=1)
        board.client.ask("power", on=True)
        result = examine(board, board.urls["rfc2217"])
    assert (result.code, found(result)["download"]) == (1, "fail")
    assert "BOOT" in hints(result)


# Nodes that answer are not disturbed

REPORTS = {
    "a node that is well": (NODE, 0, {"identity": "ok"}),
    "a node that a watchdog restarted": (NODE.replace('"cause": 1', '"cause": 3'), 0, {"start": "warn"}),
    "a node that waits to be accepted": (
        NODE.replace('"state": "node"', '"state": "claiming"'),
        0,
        {"identity": "warn"},
    ),
    "a node that is damaged": (NODE.replace('"state": "node"', '"state": "damaged"'), 1, {"identity": "fail"}),
}


@pytest.mark.parametrize("state", REPORTS)
def test_a_board_that_reports_is_believed_and_left_alone(tmp_path: Path, state: str) -> None:
    report, code, checks = REPORTS[state]
    with ScriptedPort(tmp_path / "port", node(report)) as wire:
        result = run("board", "doctor", "--port", wire.path, "--fleet", tmp_path / "none", "--json")
        typed = wire.typed
    assert (result.code, checks.items() <= found(result).items()) == (code, True)
    assert set(typed) <= set(b"\r\n\x02?"), "nothing that would stop a program"


def test_a_node_that_the_register_has_retired_is_ill(tmp_path: Path) -> None:
    make_fleet(tmp_path / "fleet")
    with ScriptedPort(tmp_path / "port", node()) as wire:
        patient = Patient(Port(str(wire.path)), {}, lambda name: doctor.Standing.RETIRED)
        last = list(doctor.examine(patient))[-1]
        result = run("board", "doctor", "--port", wire.path, "--fleet", tmp_path / "fleet", "--json")
    assert (last.status, last.check) == ("fail", "register")
    assert "register" not in found(result), "this fleet does not know it"


def test_people_read_lines_that_fit(tmp_path: Path) -> None:
    text = run("board", "doctor", "--port", tmp_path / "none").out
    assert text.startswith("FAIL  port         there is no port")
    assert "\n                   -> fleet board list" in text


# The computer's side

OPENING = {
    "permission": (errno.EACCES, "usermod"),
    "busy": (errno.EBUSY, "end that program"),
    "port": (errno.EIO, "plug"),
}


@pytest.mark.parametrize("check", OPENING)
def test_a_port_that_cannot_be_opened_is_unreachable_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, check: str
) -> None:
    code, hint = OPENING[check]

    def refuse(url: str, baud: int) -> None:
        raise console.refusal(url, OSError(code, "no"))

    monkeypatch.setattr(console, "open_port", refuse)
    with ScriptedPort(tmp_path / "port"):
        result = run("board", "doctor", "--port", tmp_path / "port", "--json")
    assert (result.code, found(result)[check]) == (5, "fail")
    assert hint in hints(result)


def test_a_busy_port_says_who_has_it(tmp_path: Path) -> None:
    with ScriptedPort(tmp_path / "port") as wire, console.Console(str(wire.path)):
        result = run("board", "doctor", "--port", wire.path, "--json")
    assert result.code == 5
    assert "held by" in result.json["findings"][0]["cause"]


BRIDGES = {
    (0x10C4, 0xEA60): ("ok", "cp210x"),
    (0x1A86, 0x7523): ("ok", "ch341"),
    (0x303A, 0x1001): ("ok", "Serial/JTAG"),
    (0x1234, 0x5678): ("warn", "1234:5678"),
}


@pytest.mark.parametrize("ids", BRIDGES)
def test_the_bridge_on_the_board_is_named(tmp_path: Path, ids: tuple[int, int]) -> None:
    status, words = BRIDGES[ids]
    port = Port(str(tmp_path / "none"), vid=ids[0], pid=ids[1])
    first = next(iter(doctor.examine(Patient(port, {}))))
    assert (first.check, first.status, words in first.text) == ("usb", status, True)


def device(sysfs: Path, where: str, ids: str, port: bool) -> None:
    """A device as the kernel shows it."""
    folder = sysfs / where
    (folder / f"{where}:1.0" / ("ttyUSB0" if port else "x")).mkdir(parents=True)
    for name, value in zip(("idVendor", "idProduct"), ids.split(":"), strict=True):
        (folder / name).write_text(f"{value}\n")


def test_a_bridge_without_a_driver_is_found_on_the_bus(tmp_path: Path) -> None:
    device(tmp_path, "1-1", "1a86:7523", port=False)
    device(tmp_path, "1-2", "10c4:ea60", port=True)
    device(tmp_path, "1-3", "0bda:8153", port=False)
    assert [(one.where, one.has_port) for one in usb.bridges(tmp_path)] == [("1-1", False), ("1-2", True)]
    (finding,) = doctor.no_port(tmp_path)
    assert (finding.check, "modprobe ch341" in finding.hint, "brltty" in finding.hint) == ("driver", True, True)


def test_no_board_at_all_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attached.ports, "attached", lambda environ: [])
    result = run("board", "doctor", "--json")
    assert (result.code, found(result)) == (5, {"port": "fail"})
    assert "cable" in hints(result)
