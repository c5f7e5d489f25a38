"""The board as a process: its directory, its control socket, its doors, several at once, and how it ends."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time

import pytest
import serial

from tools.interpreter import ROOT
from tools.virtual_board.base import base_image
from tools.virtual_board.client import BoardError, Client
from tools.virtual_board.launch import BoardDiedError, BoardProcess, arguments
from tools.virtual_board.tests.harness import run, told, tool

CHIPS = ("esp32", "esp32s3", "esp32c3")
AT = {"esp32": "0x1000", "esp32s3": "0x0", "esp32c3": "0x0"}
PATIENCE_S = 20.0


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    for chip in CHIPS:
        (folder / chip).write_bytes(base_image(chip, size=16384))
    return folder


def gone(pid: int) -> bool:
    """The process is no more, or a zombie that nobody has waited for."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(") ")[2][0] == "Z"
    except FileNotFoundError:
        return True


def until(condition, patience_s: float = PATIENCE_S) -> None:
    end = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def test_the_ready_line_names_everything_that_can_be_used(tmp_path):
    with BoardProcess(tmp_path / "b1", socket=True, rfc2217=True) as board:
        assert os.path.islink(board.port)
        assert board.urls["port"] == board.port
        assert board.urls["socket"].startswith("socket://127.0.0.1:")
        assert board.urls["rfc2217"].startswith("rfc2217://127.0.0.1:")
        assert board.client.ask("status")["state"] == "halted"
        assert not gone(board.pid)
    assert gone(board.pid)
    assert not os.path.lexists(board.port)


def test_a_directory_is_a_board_that_keeps_its_chip_its_address_and_its_flash(tmp_path):
    with BoardProcess(tmp_path / "b1", chip="esp32c3", mac="24:0A:C4:00:00:09", flash_size="2MB", off=True) as board:
        assert board.client.ask("status")["state"] == "off"
    with BoardProcess(tmp_path / "b1") as board:
        status = board.client.ask("status")
        assert (status["chip"], status["mac"], status["flash_size"]) == ("esp32c3", "24:0a:c4:00:00:09", 2 << 20)


REFUSED = {
    "another chip in the same directory": (["--chip", "esp32s3"], "is an esp32c3"),
    "another flash in the same directory": (["--flash-size", "8MB"], "another flash size"),
    "a flash that nobody makes": (["--flash-size", "3MB"], "3MB"),
    "no MAC address": (["--mac", "hello"], "no MAC address"),
    "time that stands still": (["--rate", "0"], "above 0"),
    "air and no air": (["--wifi", "a:b", "--no-wifi"], "not allowed with"),
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_options_that_make_no_sense_are_refused_with_2(sentence, tmp_path):
    words, reason = REFUSED[sentence]
    (tmp_path / "efuse.json").write_text(json.dumps({"chip": "esp32c3", "mac": "24:0a:c4:00:00:09"}))
    (tmp_path / "flash.bin").write_bytes(b"\xff" * (2 << 20))
    done = run("python", "-m", "tools.virtual_board", "--dir", str(tmp_path), *words)
    assert done.returncode == 2
    assert reason in done.stderr


def test_the_help_names_every_order_and_every_trouble():
    text = run("python", "-m", "tools.virtual_board", "--help").stdout
    for word in ("status", "cut {after, keep}", "wait {state", "probe", "bad-md5", "deaf-reset", "flash-id", "esptool"):
        assert word in text


def test_a_second_board_in_the_same_directory_is_refused(tmp_path):
    with BoardProcess(tmp_path / "b1"):
        done = run("python", "-m", "tools.virtual_board", "--dir", str(tmp_path / "b1"))
        assert (done.returncode, "another virtual board" in done.stderr) == (4, True)


def test_a_directory_with_a_long_name_has_a_control_socket_as_well(tmp_path):
    with BoardProcess(tmp_path / ("d" * 100) / "b1") as board:
        assert board.client.ask("status")["state"] == "halted"


def test_the_client_of_the_shell(tmp_path):
    with BoardProcess(tmp_path / "b1"):
        done = run("python", "-m", "tools.virtual_board.client", str(tmp_path / "b1"), "power", "on=false")
        assert json.loads(done.stdout) == {"state": "off"}
        done = run("python", "-m", "tools.virtual_board.client", str(tmp_path / "b1"), "explode")
        assert (done.returncode, "no order 'explode'" in done.stderr) == (1, True)
    done = run("python", "-m", "tools.virtual_board.client", str(tmp_path / "b1"), "status")
    assert (done.returncode, "no virtual board runs there" in done.stderr) == (1, True)


def test_a_place_where_no_directory_can_be_is_told_in_a_line(tmp_path):
    (tmp_path / "file").touch()
    done = run("python", "-m", "tools.virtual_board", "--dir", str(tmp_path / "file" / "b1"))
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert "cannot be a board: Not a directory" in done.stderr


def test_control_lines_that_are_no_orders_are_answered_and_end_nothing(tmp_path):
    with BoardProcess(tmp_path / "b1") as board, socket.socket(socket.AF_UNIX) as line:
        line.connect(str(tmp_path / "b1" / "control"))
        answers = line.makefile()
        for nonsense in (b"hello\n", b"[1]\n", b'{"do": 7}\n', b'{"do": "cut", "after": {}}\n', b"[" * 3000 + b"\n"):
            line.sendall(nonsense)
            assert json.loads(answers.readline())["ok"] is False
        answers.close()
        assert board.client.ask("status")["state"] == "halted"


def test_orders_within_an_event_loop(tmp_path):
    async def body() -> None:
        async with BoardProcess(tmp_path / "b1") as board:
            assert (await board.client.aask("status"))["state"] == "halted"
            with pytest.raises(BoardError, match="no order"):
                await board.client.aask("explode")
            await board.client.aask("quit")
            assert await board._child.wait() == 0
            with pytest.raises(BoardError, match="control"):
                await board.client.aask("status")

    asyncio.run(body())


def test_nobody_at_the_other_end_is_an_error_with_the_path(tmp_path):
    with pytest.raises(BoardError, match="control"):
        Client(tmp_path / "control").ask("status")
    with pytest.raises(BoardDiedError):
        BoardProcess(tmp_path, chip="esp8266").__enter__()


def test_a_board_ends_with_the_process_that_started_it(tmp_path, images):
    program = (
        "import sys, time; from pathlib import Path; from tools.virtual_board.launch import BoardProcess\n"
        "board = BoardProcess(Path(sys.argv[1])).__enter__(); print(board.pid, flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "b1")], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.stdout.close()
    assert not gone(pid)
    parent.kill()
    parent.wait()
    until(lambda: gone(pid))


def test_a_board_that_was_killed_leaves_a_directory_that_works(tmp_path, images):
    board = BoardProcess(tmp_path / "b1")
    with board:
        flash(board, images)
        program = board.client.ask("wait", state="app") and board.client.ask("status")["pid"]
        os.kill(board.pid, 9)
        until(lambda: gone(program))  # what it ran ends with it
    with BoardProcess(tmp_path / "b1") as board:
        assert board.client.ask("wait", state="app") == {"state": "app"}


def flash(board: BoardProcess, images, chip: str = "esp32", port: str = "") -> None:
    done = run("esptool", "--port", port or board.port, "write-flash", AT[chip], str(images / chip))
    assert done.returncode == 0, told(done)


@pytest.mark.parametrize("chip", CHIPS)
def test_every_chip_is_told_apart_and_boots_what_was_flashed(chip, tmp_path, images):
    with BoardProcess(tmp_path / "b1", chip=chip) as board:
        flash(board, images, chip)
        assert board.client.ask("wait", state="app") == {"state": "app"}
        done = run("mpremote", "connect", board.port, "exec", "import sys; print(sys.implementation._machine)")
        assert chip in done.stdout.replace("-", "").lower(), told(done)
        summary = run("espefuse", "--chip", chip, "--port", board.port, "summary")
        assert summary.returncode == 0
        assert board.client.ask("status")["mac"] in summary.stdout
        wrong = run("esptool", "--chip", CHIPS[CHIPS.index(chip) - 1], "--port", board.port, "chip-id")
        assert "Wrong chip argument" in told(wrong)


def test_several_boards_at_once_do_not_disturb_each_other(tmp_path, images):
    boards = [BoardProcess(tmp_path / chip, chip=chip) for chip in CHIPS for _ in range(1)]
    boards += [BoardProcess(tmp_path / "second")]
    names = [*CHIPS, "esp32"]
    try:
        for board in boards:
            board.__enter__()
        tools = [
            subprocess.Popen(
                [tool("esptool"), "--port", board.port, "write-flash", AT[chip], str(images / chip)],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            for board, chip in zip(boards, names, strict=True)
        ]
        for process in tools:
            text, _ = process.communicate(timeout=PATIENCE_S * 3)
            assert process.returncode == 0, text
        for board in boards:
            assert board.client.ask("wait", state="app") == {"state": "app"}
    finally:
        for board in boards:
            board.__exit__(None, None, None)


def test_the_tools_work_over_a_socket(tmp_path, images):
    with BoardProcess(tmp_path / "b1", socket=True) as board:
        flash(board, images, port=board.urls["socket"])
        board.client.ask("wait", state="app")
        done = run("mpremote", "connect", board.urls["socket"], "exec", "print(6*7)")
        assert done.stdout.strip() == "42", told(done)
        second = serial.serial_for_url(board.urls["socket"])
        refused = serial.serial_for_url(board.urls["socket"], timeout=PATIENCE_S)
        with pytest.raises(serial.SerialException):
            refused.read(1)
        second.close()


@pytest.mark.slow
def test_the_tools_reset_the_chip_by_its_lines_over_rfc2217(tmp_path, images):
    """Few commands only: pyserial sleeps 50 ms at each setting of the port, and esptool sets it around each command."""
    with BoardProcess(tmp_path / "b1", rfc2217=True) as board:
        url = board.urls["rfc2217"]
        flash(board, images)
        assert board.client.ask("wait", state="app") == {"state": "app"}
        boots = board.client.ask("status")["boots"]
        done = run("esptool", "--chip", "esp32", "--port", url, "--no-stub", "read-mac")
        assert board.client.ask("status")["mac"] in done.stdout
        assert "Chip was NOT reset" not in told(done)
        board.client.ask("wait", state="app")
        assert board.client.ask("status")["boots"] == boots + 1
        done = run("mpremote", "connect", url, "exec", "print(6*7)")
        assert done.stdout.strip() == "42", told(done)


def test_power_that_is_cut_within_a_write_leaves_a_board_that_can_be_flashed_again(tmp_path, images):
    with BoardProcess(tmp_path / "b1") as board:
        board.client.ask("cut", after=9, keep=1000)
        done = run("esptool", "--port", board.port, "write-flash", AT["esp32"], str(images / "esp32"))
        assert done.returncode != 0
        assert board.client.ask("status")["state"] == "off"
        assert board.client.ask("power", on=True) == {"state": "halted"}
        flash(board, images)
        assert board.client.ask("wait", state="app") == {"state": "app"}


def test_power_that_is_cut_within_what_somebody_types_at_the_prompt(tmp_path, images):
    (tmp_path / "file").write_bytes(os.urandom(10_000))
    with BoardProcess(tmp_path / "b1") as board:
        flash(board, images)
        run("mpremote", "connect", board.port, "exec", "pass")  # it is at its prompt
        before = board.client.ask("status")["operations"]
        assert board.client.ask("cut", after=5, keep=1) == {"pending": True}
        words = [tool("mpremote"), "connect", board.port, "fs", "cp", str(tmp_path / "file"), ":file"]
        with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as copying:
            assert board.client.ask("wait", state="off") == {"state": "off"}
            copying.kill()  # it would wait for an answer for a while
        assert board.client.ask("status")["operations"] == before + 5
        board.client.ask("power", on=True)
        done = run("mpremote", "connect", board.port, "fs", "ls")
        assert done.returncode == 0, told(done)


def test_a_digest_that_is_wrong_once_fails_a_write_once(tmp_path, images):
    with BoardProcess(tmp_path / "b1") as board:
        board.client.ask("trouble", name="bad-md5", value=1)
        done = run("esptool", "--port", board.port, "write-flash", AT["esp32"], str(images / "esp32"))
        assert "MD5 of file does not match" in told(done)
        flash(board, images)


def test_a_flash_that_says_it_is_smaller(tmp_path):
    with BoardProcess(tmp_path / "b1") as board:
        board.client.ask("trouble", name="flash-id", value="2MB")
        assert "Detected flash size: 2MB" in told(run("esptool", "--port", board.port, "flash-id"))


def test_a_mute_board_is_an_error_of_esptool(tmp_path):
    with BoardProcess(tmp_path / "b1") as board:
        board.client.ask("trouble", name="mute")
        done = run("esptool", "--port", board.port, "--connect-attempts", "1", "chip-id")
        assert (done.returncode, "No serial data received" in told(done)) == (2, True)


@pytest.mark.slow
def test_a_throttled_line_takes_the_time_that_its_bits_take(tmp_path):
    image = tmp_path / "random.bin"
    image.write_bytes(os.urandom(64 << 10))
    with BoardProcess(tmp_path / "b1", baud=460800) as board:
        begun = time.monotonic()
        done = run("esptool", "--port", board.port, "--baud", "460800", "write-flash", "0x200000", str(image))
        assert done.returncode == 0, told(done)
        assert time.monotonic() - begun > (64 << 10) * 10 / 460800


def test_keywords_become_options():
    assert arguments(
        {
            "chip": "esp32",
            "socket": True,
            "rfc2217": 0,
            "baud": None,
            "off": False,
            "wifi": {"a": "b"},
            "flash_size": "8MB",
        }
    ) == ["--chip=esp32", "--socket", "--rfc2217=0", "--wifi=a:b", "--flash-size=8MB"]
    assert arguments({"wifi": {}}) == ["--no-wifi"]
