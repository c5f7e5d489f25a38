"""A worker of the matrix: `micropython tools/powercut/device/main.py`, from the root of the repository.

A line on stdin says what to do: {"operations": [names], "choice": {as Choice takes it}, "images": directory}. What it
says on stdout says telling.py.
"""

import json
import sys

sys.path[0:1] = [".", "firmware"]

from node.tasks import supervise  # noqa: E402
from tools.powercut.device.chip import Chip  # noqa: E402
from tools.powercut.device.choice import Choice  # noqa: E402
from tools.powercut.device.matrix import Matrix  # noqa: E402
from tools.powercut.device.operations import ALL  # noqa: E402
from tools.powercut.device.telling import Teller  # noqa: E402
from tools.sim.flash import BLOCK  # noqa: E402

BLOCKS = 64  # of the flash; the rules are those of 512


class Memory:
    """What the node has for `gc` here: how much memory it leaves does not matter to its flash."""

    def collect(self) -> None:
        """Nothing, which saves a tenth of each boot; MicroPython collects by itself when there is no memory left."""


def main() -> None:
    """Do what stdin says."""
    supervise.gc = Memory()
    order = json.loads(sys.stdin.readline())
    chip = Chip(BLOCKS * BLOCK)
    for name in order["operations"]:
        choice = Choice(**order["choice"])
        teller = Teller(name, choice, order["images"])
        matrix = Matrix(ALL[name](), choice, chip, teller.on_bad, teller.on_cut)
        matrix.run()
        teller.done(matrix.operations)


if __name__ == "__main__":
    main()
