"""A worker of the matrix: `micropython tools/powercut/device/main.py`, from the root of the repository.

A line on stdin says what to do: {"operations": [names], "choice": {as Choice takes it}, "images": directory}. Each
line on stdout is an object: {"operation", "cuts", "total"} now and then, {"operation", "failure": {"cut", "again",
"text", "image"}} for each failure, {"operation", "cuts", "total", "operations", "ms"} at the end of each operation.
"""

import json
import sys
import time

sys.path[0:1] = [".", "firmware"]

from tools.powercut.device.chip import Chip  # noqa: E402
from tools.powercut.device.matrix import Bad, Choice, Matrix  # noqa: E402
from tools.powercut.device.operations import ALL  # noqa: E402
from tools.sim.flash import BLOCK  # noqa: E402

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

BLOCKS = 64  # of the flash; the rules are those of 512
_TELL = 20  # cuts between two lines
_IMAGES = 5  # failing images of one operation that are kept


class Worker:
    """One operation's part of the work."""

    def __init__(self, name: str, choice: Choice, chip: Chip, images: str) -> None:
        self._name = name
        self._choice = choice
        self._images = images
        self._matrix = Matrix(ALL[name](), choice, chip, self._bad, self._cut)

    def run(self) -> None:
        """Make every cut, say what was found."""
        began = time.ticks_ms()  # type: ignore[attr-defined]
        self._matrix.run()
        ms = time.ticks_diff(time.ticks_ms(), began)  # type: ignore[attr-defined]
        self._tell_cuts(operations=self._matrix.operations, ms=ms)

    def _tell(self, **values: "Any") -> None:
        values["operation"] = self._name
        print(json.dumps(values))

    def _tell_cuts(self, **values: "Any") -> None:
        self._tell(cuts=self._matrix.cuts, total=self._choice.total, **values)

    def _cut(self) -> None:
        if self._matrix.cuts % _TELL == 0:
            self._tell_cuts()

    def _bad(self, bad: Bad) -> None:
        path = None
        if self._matrix.bad <= _IMAGES:
            cuts = ["{}-{}".format(*cut) for cut in (bad.cut, bad.again) if cut]
            path = "{}/{}-{}.img".format(self._images, self._name, "-".join(cuts))
            with open(path, "wb") as file:
                file.write(bad.image)
        self._tell(failure={"cut": bad.cut, "again": bad.again, "text": bad.text, "image": path})


def main() -> None:
    """Do what stdin says."""
    order = json.loads(sys.stdin.readline())
    chip = Chip(BLOCKS * BLOCK)
    for name in order["operations"]:
        Worker(name, Choice(**order["choice"]), chip, order["images"]).run()


if __name__ == "__main__":
    main()
