"""The node's door to the other application partition and to the name of its chip, on boards with and without one."""

from pathlib import Path

import pytest

from tools.interpreter import ROOT
from tools.virtual_board.base import app_image
from tools.virtual_board.chips import CHIPS
from tools.virtual_board.tests.programs import OTA, PARTITIONS, Rig, to_prompt

DOORS = {
    f"/{path.relative_to(top)}": path.read_text()
    for top, names in ((ROOT, "protocol/*.py"), (ROOT / "firmware", "node/board/*.py"))
    for path in sorted(top.glob(names))
} | {"/node/__init__.py": ""}
IMPORT = "from node.board.esp32 import Board\nbase = Board.base()\n"
WRITE = "for at in (0, 1024, 4095, 4096):\n    base.write(at, b'\\xe9' * min(1024, 4096 - at % 4096))\n"
READ = "view = memoryview(bytearray(3))\n"
ACTIVATE = """
from esp32 import Partition
try:
    base.activate()
    print(Partition(Partition.BOOT).info()[4])
except OSError as error:
    print(error.errno)
"""
IMAGE = app_image(CHIPS["esp32"], 4 << 20, 8192)

# sentence: (partitions, the one that runs, program, what it prints)
ROWS = {
    "a board with one application has no other": (PARTITIONS, None, "print(base)", "None"),
    "of two it is the one that does not run": (OTA, "ota_1", "print(base.label, base.size)", "ota_1 983040"),
    "one of two that are called so has no other": (OTA[:3] + OTA[4:], "ota_0", "print(base)", "None"),
    "what is written is read": (
        OTA,
        "ota_0",
        WRITE + READ + "base.read(4094, view)\nprint(bytes(view))",
        "b'\\xff\\xe9\\xe9'",
    ),
    "a sector that begins anew is erased": (
        OTA,
        "ota_0",
        WRITE + READ + "base.write(0, b'\\x11')\nbase.read(0, view)\nprint(bytes(view))",
        "b'\\x11\\xff\\xff'",
    ),
    "what is no image is not started": (
        OTA,
        "ota_0",
        ACTIVATE,
        "-5379",
    ),
    "what runs is read, too": (
        OTA,
        "ota_1",
        READ + "base.read_running(1, view)\nprint(bytes(view))",
        "b'\\xff\\xff\\xff'",
    ),
    "the one that runs can be confirmed, also twice": (
        OTA,
        "ota_0",
        "base.confirm()\nbase.confirm()\nprint('confirmed')",
        "confirmed",
    ),
    "where nobody goes back there is nothing to confirm": (
        PARTITIONS,
        None,
        "from node.board.base import Base\nBase.confirm()\nprint('confirmed')",
        "confirmed",
    ),
}


@pytest.mark.parametrize("sentence", ROWS)
def test_the_other_partition(tmp_path: Path, sentence: str) -> None:
    partitions, running, program, wanted = ROWS[sentence]
    rig = Rig(tmp_path, {**DOORS, "/main.py": IMPORT + program}, partitions=partitions, running=running)
    assert to_prompt(rig).splitlines()[0] == wanted


# sentence: (image in the other partition, what comes of it)
IMAGES = {
    "one for this chip is started next": (IMAGE, "ota_1"),
    "one that is damaged is not": (IMAGE[:5000] + b"?" + IMAGE[5001:], "-5379"),
    "one of which the end is missing is not": (IMAGE[:8000], "-5379"),
    "one for another chip is not": (app_image(CHIPS["esp32s3"], 4 << 20, 8192), "-5379"),
}


@pytest.mark.parametrize("sentence", IMAGES)
def test_an_image_in_the_other_partition(tmp_path: Path, sentence: str) -> None:
    data, wanted = IMAGES[sentence]
    rig = Rig(tmp_path, {**DOORS, "/main.py": IMPORT + ACTIVATE}, partitions=OTA, running="ota_0")
    rig.write(OTA[3]["offset"], data)
    assert to_prompt(rig).splitlines()[0] == wanted


@pytest.mark.parametrize("chip", ["esp32", "esp32s3", "esp32c3"])
def test_the_chip_is_called_as_esptool_calls_it(tmp_path: Path, chip: str) -> None:
    rig = Rig(tmp_path, {**DOORS, "/main.py": IMPORT + "print(Board.chip())"}, chip=chip)
    assert to_prompt(rig).splitlines()[0] == chip
