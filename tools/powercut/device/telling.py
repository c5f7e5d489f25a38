"""How a worker of the matrix tells what it does. Runs on both interpreters.

Each line on stdout is a JSON object: {"operation", "cuts", "total"} now and then, {"operation", "failure": {"cut",
"again", "text", "image"}} for each failure, {"operation", "cuts", "total", "operations", "ms"} at the end of each
operation.
"""

import json
import time

from tools.powercut.device.choice import Bad, Choice

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_TELL = 20  # cuts between two lines
_IMAGES = 5  # failing images of one operation that are kept
_NS = 1000000  # in a millisecond


class Teller:
    """Hears of the cuts of one operation. Failing flashes go to files in the directory `images`."""

    def __init__(self, name: str, choice: Choice, images: str) -> None:
        self.cuts = 0
        self.bad = 0
        self._name = name
        self._choice = choice
        self._images = images
        self._began = time.time_ns()

    def on_cut(self) -> None:
        """A cut was made."""
        self.cuts += 1
        if self.cuts % _TELL == 0:
            self._tell_cuts()

    def on_bad(self, bad: Bad) -> None:
        """It has shown something."""
        path = None
        self.bad += 1
        if self.bad <= _IMAGES:
            cuts = ["{}-{}".format(*cut) for cut in (bad.cut, bad.again) if cut]
            path = "{}/{}-{}.img".format(self._images, self._name, "-".join(cuts))
            with open(path, "wb") as file:
                file.write(bad.image)
        self._tell(failure={"cut": bad.cut, "again": bad.again, "text": bad.text, "image": path})

    def done(self, operations: int) -> None:
        """That was all; so many flash operations were there to cut."""
        self._tell_cuts(operations=operations, ms=(time.time_ns() - self._began) // _NS)

    def _tell_cuts(self, **values: "Any") -> None:
        self._tell(cuts=self.cuts, total=self._choice.total, **values)

    def _tell(self, **values: "Any") -> None:
        values["operation"] = self._name
        print(json.dumps(values))
