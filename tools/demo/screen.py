"""Where the demonstration is seen: a live table on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Sequence

from rich.console import Console
from rich.live import Live

from tools.demo import table

PLAIN_S = 5.0  # between two lines off a terminal


class Screen:
    """`with` keeps a table at the bottom of a terminal; what is said goes above it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._printed = 0.0

    def __enter__(self) -> "Screen":
        if self._console.is_terminal:
            self._live = Live(console=self._console, auto_refresh=False)
            self._live.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.__exit__(None, None, None)
            self._live = None

    def say(self, text: str) -> None:
        """Something that stays to be read."""
        self._console.print(text, highlight=False, soft_wrap=True, markup=False)

    def draw(self, rows: Sequence[table.Line], headlines: Sequence[str]) -> None:
        """How the fleet is now."""
        if self._live is not None:
            self._live.update(table.render(rows, headlines), refresh=True)
        elif time.monotonic() - self._printed >= PLAIN_S:
            self._printed = time.monotonic()
            self.say("; ".join([*headlines, table.plain(rows)]))
