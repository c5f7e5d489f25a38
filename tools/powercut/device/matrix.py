"""The matrix of one operation: which cuts there are, which of them are made here, what was found after each."""

import io
import sys

from tools.powercut.device.chip import Chip, Cutter
from tools.powercut.device.choice import Bad, Choice
from tools.powercut.device.facts import BadError, Facts
from tools.powercut.device.run import apart
from tools.powercut.device.stage import AGAIN, CUT, LIVE, Stage
from tools.sim.flash import Flash

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tools.powercut.device.choice import Cut
    from tools.powercut.device.operations.operation import Operation


class Matrix:
    """Runs one operation on `chip`, which becomes a new one, and cuts it. `on_bad(bad)` hears of every failure,
    `on_cut()` of every cut."""

    def __init__(
        self,
        operation: "Operation",
        choice: Choice,
        chip: Chip,
        on_bad: "Callable[[Bad], Any]",
        on_cut: "Callable[[], Any]",
    ) -> None:
        self.cuts = 0
        self.bad = 0
        self.operations = 0
        self._chip = chip
        self._operation = operation
        self._choice = choice
        self._on_bad = on_bad
        self._on_cut = on_cut

    def run(self) -> None:
        """Once to see what there is, once with every cut. RuntimeError when the two differ."""
        sizes: "list[int]" = []

        def look(_: int, size: int) -> "list[int]":
            sizes.append(size)
            return []

        self._perform(look)
        if self.bad:
            return
        self._choice.plan(sizes)
        self._perform(self._choice.keeps)
        if self.operations != len(sizes):
            raise RuntimeError("{} is not the same each time".format(self._operation.NAME))

    def _perform(self, keeps: "Callable[[int, int], list[int]]") -> None:
        chip, facts = self._chip, Facts()
        chip.erase()
        self._operation.prepare(Stage(Flash(chip), LIVE, facts))
        cutter = Cutter(chip, keeps, lambda number, keep: self._first(chip, facts.copy(), (number, keep)))
        try:
            self._operation.perform(Stage(cutter, LIVE, facts))
        except BadError as error:
            self._failed(Bad((cutter.operations, 0), None, "with the power on: " + str(error), chip.data))
        self.operations = cutter.operations

    def _first(self, chip: Chip, facts: Facts, cut: "Cut") -> None:
        """The power has failed; in the boot after it, it may fail once more."""

        def keeps(number: int, size: int) -> "list[int]":
            return self._choice.second(cut, number, size) if stage.boots else []

        def after(number: int, keep: int) -> None:
            twin = facts.copy()
            self._operation.again(twin)
            self._judge(Stage(Flash(chip), AGAIN, twin), chip, cut, (number, keep))

        stage = Stage(Cutter(chip, keeps, after), CUT, facts)
        self._judge(stage, chip, cut, None)

    def _judge(self, stage: Stage, chip: Chip, cut: "Cut", again: "Cut | None") -> None:
        """What the boot after that cut finds."""
        text = ""
        chip.mark()
        try:
            apart(lambda: self._operation.verdict(stage))
        except Exception as error:
            text = reason(error)
        chip.rollback()
        self.cuts += 1
        if text:
            self._failed(Bad(cut, again, text, chip.data))
        self._on_cut()

    def _failed(self, bad: Bad) -> None:
        self.bad += 1
        self._on_bad(bad)


def reason(error: Exception) -> str:
    """What was found, in one line; for anything but BadError with the place where it was raised."""
    if isinstance(error, BadError):
        return str(error)
    buffer = io.StringIO()
    sys.print_exception(error, buffer)  # type: ignore[attr-defined]
    return " | ".join([line.strip() for line in buffer.getvalue().strip().split("\n")[-5:]])
