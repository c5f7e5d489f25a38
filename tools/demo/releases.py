"""The two releases of the demonstration: `python -m tools.demo.releases PRESS FLEET KIND...` makes them.

A program of its own, for it types command lines whose output it catches, while the demonstration writes on the screen.
"""

import sys
from pathlib import Path

from tools.testbed.press import Press

GOOD, BAD = "9.1.0", "9.2.0"
BROKEN_KIND = "air"
# What the bench cannot see: the first value of a run stays for ever. It is a plausible one, whenever somebody looks.
DEFECT = {
    "node/drivers/sen66.py": (
        "            values[index] = unsigned(words[index])",
        "            values[index] = values[index] or unsigned(words[index])",
    )
}


def names(version: str, kinds: list[str]) -> list[str]:
    """How the releases of a version are called, one per kind."""
    return [f"{kind}-{version}" for kind in kinds]


def main(words: list[str]) -> int:
    """Build, sign and publish each version for each kind, with the keys in PRESS; the fleet trusts them already."""
    press = Press(Path(words[0]), Path(words[1]))
    for kind in words[2:]:
        press.release(GOOD, {}, product=kind)
        press.release(BAD, DEFECT if kind == BROKEN_KIND else {}, product=kind)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
