"""Orders to a program, and its answers (device/orders.py). A program takes orders whenever it waits; at the prompt it
does not wait, so there an order is left lying until something that is typed there uses hardware, flash or time."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tools.sim.models import Bench
from tools.sim.world import World
from tools.virtual_board.run import Run

KEPT = ("rate", "fault", "wifi", "cut", "log")  # hold as soon as the program would notice, answered or not
PENDING = {"pending": True}
LOOK_S = 0.1
PROMPT_LOOKS = 3  # in a row at the prompt: it is not between two lines


class ProgramError(ValueError):
    """An order that the program refused, or that it was not there to take; the text says why."""


@dataclass
class _Letter:
    """One order on its way."""

    answer: asyncio.Future[dict[str, Any]]
    taken: bool = False


class Asking:
    """The orders that were not answered yet."""

    def __init__(self) -> None:
        self._last = 0
        self._letters: dict[int, _Letter] = {}

    async def ask(self, run: Run, name: str, values: Mapping[str, Any], patience_s: float) -> dict[str, Any]:
        """Give an order; its answer, PENDING for one of KEPT at the prompt. ProgramError, see `_wait`."""
        self._last += 1
        number = self._last
        letter = self._letters[number] = _Letter(asyncio.get_running_loop().create_future())
        run.send({"do": name, **values, "id": number})
        try:
            found = await self._wait(run, name, letter, patience_s)
        finally:
            del self._letters[number]
        if "error" in found:
            raise ProgramError(found["error"])
        return found

    async def _wait(self, run: Run, name: str, letter: _Letter, patience_s: float) -> dict[str, Any]:
        """The answer; ProgramError when the program ends, stands at its prompt, or computes beyond `patience_s`."""
        deadline = time.monotonic() + patience_s
        looks = 0
        while not (await asyncio.wait({letter.answer}, timeout=LOOK_S))[0]:
            looks = looks + 1 if run.at_prompt() else 0
            if looks >= PROMPT_LOOKS and name in KEPT:
                return dict(PENDING)
            if looks >= PROMPT_LOOKS:
                raise ProgramError(f"the program stands at its prompt and takes no orders: {name}")
            if not letter.taken and time.monotonic() > deadline:
                raise ProgramError(f"the program takes no orders: {name} was not answered in {patience_s:g} s")
        return letter.answer.result()

    def heard(self, message: Mapping[str, Any]) -> None:
        """A message of the program: the answer to an order, or that it was taken."""
        letter = self._letters.get(message.get("id", 0))
        if letter is None or letter.answer.done():
            return
        letter.taken = True
        if "answer" in message:
            letter.answer.set_result(message["answer"])

    def fail(self) -> None:
        """Nobody is left to answer."""
        for letter in self._letters.values():
            if not letter.answer.done():
                letter.answer.set_exception(ProgramError("the program ended"))


def check_fault(kind: str, part: str, name: str) -> None:
    """ProgramError with what there is, when no such part is wired to a board of that kind, or it cannot fail so."""
    try:
        Bench(kind, lambda: 0, World()).fault(part, name, 0)
    except KeyError as error:
        raise ProgramError(
            f"no part {part} is wired to this board" if error.args == (part,) else error.args[0]
        ) from None
