"""What is wired to which pins: the pin maps of firmware/boards, so that a program meets its parts by pins alone."""

import runpy
from pathlib import Path
from typing import Any

from tools.interpreter import ROOT

BOARDS = ROOT / "firmware" / "boards"


def of(chip: str, kind: str, folder: Path = BOARDS) -> dict[str, list[Any]]:
    """{"i2c": [[SCL, SDA]], "uart": [[TX, RX]], "pwm": [pin]} of every pin map of that chip for that kind of node."""
    found: dict[str, list[Any]] = {"i2c": [], "uart": [], "pwm": []}
    for file in sorted(folder.glob(f"*_{kind}.py")):
        names = runpy.run_path(str(file))
        if names["CHIP"] == chip:
            found["i2c"] += [list(row[1:3]) for row in names["I2C"].values()]
            found["uart"] += [list(row[1:3]) for row in names["UART"].values()]
            found["pwm"] += [row[0] for row in names["PWM"].values()]
    return found
