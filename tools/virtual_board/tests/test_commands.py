"""The tools of the field, unmodified, called from a shell as their documentation says, on one board after the other."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.virtual_board.base import base_image
from tools.virtual_board.launch import BoardProcess
from tools.virtual_board.tests.harness import run, told

PORT, DIR = "PORT", "DIR"  # stand for the board's port and a folder with the files below
SCRIPT = "import os\nprint('files:', sorted(os.listdir()))\n"
MODULE = "def twice(x):\n    return 2 * x\n"

# sentence: (command, a text that it must say)
ESPTOOL = {
    "which chip": ("esptool --port PORT chip-id", "Detecting chip type... ESP32\n"),
    "which MAC address": ("esptool --port PORT read-mac", "24:0a:c4:00:00:01"),
    "which flash": ("esptool --port PORT flash-id", "Detected flash size: 4MB"),
    "the same without the stub": ("esptool --port PORT --no-stub flash-id", "Detected flash size: 4MB"),
    "the same at once, and stay": (
        "esptool --port PORT --before no-reset --after no-reset flash-id",
        "Staying in bootloader",
    ),
    "status registers of the flash": ("esptool --port PORT read-flash-status", "Flash memory status: 0x0000"),
    "a parameter of the flash": ("esptool --port PORT read-flash-sfdp 0 4", "SFDP[0..3]: 0x53 0x46 0x44 0x50"),
    "a register": ("esptool --port PORT read-mem 0x40001000", "0x00f01d83"),
    "everything away": ("esptool --chip esp32 --port PORT erase-flash", "Flash memory erased successfully"),
    "an image, fast": (
        "esptool --chip esp32 --port PORT --baud 921600 write-flash 0x1000 DIR/base.bin",
        "Hash of data verified",
    ),
    "is it there": ("esptool --port PORT verify-flash --diff 0x1000 DIR/base.bin", "Verification successful"),
    "only what is missing": (
        "esptool --port PORT write-flash --skip-flashed 0x1000 DIR/base.bin",
        "skipping write",
    ),
    "a digest by the ROM": (
        "esptool --port PORT --no-stub verify-flash 0x1000 DIR/base.bin",
        "Verification successful",
    ),
    "back to a file": ("esptool --port PORT read-flash 0x1000 0x10000 DIR/back.bin", "Read 65536 bytes"),
    "back without the stub": ("esptool --port PORT --no-stub read-flash 0x8000 0x400 DIR/slow.bin", "Read 1024 bytes"),
    "a region away": ("esptool --port PORT erase-region 0x200000 0x10000", "Flash memory region erased successfully"),
    "not compressed, without the stub": (
        "esptool --port PORT --no-stub write-flash --no-compress 0x300000 DIR/small.bin",
        "Hash of data verified",
    ),
    "compressed, without the stub": (
        "esptool --port PORT --no-stub write-flash --compress 0x310000 DIR/small.bin",
        "Hash of data verified",
    ),
    "two files in one go": (
        "esptool --port PORT write-flash 0x320000 DIR/small.bin 0x330000 DIR/small.bin",
        "Hash of data verified",
    ),
    "the eFuses": ("espefuse --port PORT summary", "24:0a:c4:00:00:01 (CRC 0x"),
    "the flash voltage": ("espefuse --port PORT summary --format json", '"block": 0'),
}
MPREMOTE = {
    "a line": ("mpremote connect PORT exec print(6*7)", "42"),
    "an expression": ("mpremote connect PORT eval 6*7", "42"),
    "a script": ("mpremote connect PORT run DIR/script.py", "files: ['boot.py']"),
    "a file there": ("mpremote connect PORT fs cp DIR/module.py :module.py", "cp"),
    "what is there": ("mpremote connect PORT fs ls", "module.py"),
    "a file on the screen": ("mpremote connect PORT fs cat :module.py", "return 2 * x"),
    "a directory": ("mpremote connect PORT fs mkdir :lib", "mkdir"),
    "a digest": ("mpremote connect PORT fs sha256sum :module.py", "module.py"),
    "a file back": ("mpremote connect PORT fs cp :module.py DIR/again.py", "cp"),
    "a module of the file that is there": ("mpremote connect PORT exec 'import module; print(module.twice(4))'", "8"),
    "a module from here": ("mpremote connect PORT mount DIR exec 'import here; print(here.WHERE)'", "in the shell"),
    "state that is kept": ("mpremote connect PORT exec x=7 resume exec print(x)", "7"),
    "state that is lost": ("mpremote connect PORT exec x=7 soft-reset exec \"print('x' in globals())\"", "False"),
    "space left": ("mpremote connect PORT df", "/"),
    "a file away": ("mpremote connect PORT fs rm :module.py", "rm"),
    "a reset": ("mpremote connect PORT reset", ""),
    "life after it": ("mpremote connect PORT resume exec 'import machine; print(machine.reset_cause())'", "2"),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("files")
    (folder / "base.bin").write_bytes(base_image("esp32"))
    (folder / "small.bin").write_bytes(os.urandom(3 << 12))
    (folder / "script.py").write_text(SCRIPT)
    (folder / "module.py").write_text(MODULE)
    (folder / "here.py").write_text("WHERE = 'in the shell'\n")
    return folder


@pytest.fixture(scope="module")
def board(tmp_path_factory) -> Iterator[BoardProcess]:
    with BoardProcess(tmp_path_factory.mktemp("board") / "b1", mac="24:0A:C4:00:00:01") as found:
        yield found


def carry_out(command: str, board: BoardProcess, files: Path) -> str:
    """The words of a command as a shell takes them apart; what it said. It must succeed."""
    import shlex

    words = shlex.split(command.replace(PORT, board.port).replace(DIR, str(files)))
    done = run(*words)
    assert done.returncode == 0, f"{command}: {told(done)}"
    return told(done)


@pytest.mark.slow
def test_esptool_espefuse_and_mpremote_work_as_documented(board, files):
    for sentence, (command, wanted) in {**ESPTOOL, **MPREMOTE}.items():
        assert wanted in carry_out(command, board, files), f"{sentence}: {command}"
    assert (files / "back.bin").read_bytes() == (files / "base.bin").read_bytes()[:65536]
    assert (files / "slow.bin").read_bytes()[:2] == b"\xaa\x50"
    assert (files / "again.py").read_text() == MODULE
