"""How the workers of xdist share the tests: all tests of one board go to one worker, which keeps its lock meanwhile.

Only workers collect tests and know which board each is meant for; they all come to the same answer, and write it down
for the process that shares the work out. (xdist's own `loadgroup` does not work with pytest 9.2.)
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

_NAME = "seats.json"


def write(directory: Path, boards: Mapping[str, str]) -> None:
    """Node id of each test, and the board that it is meant for."""
    part = directory / f"{_NAME}.{os.getpid()}"
    part.write_text(json.dumps(boards))
    part.replace(directory / _NAME)


class BoardScheduling(LoadScopeScheduling):  # type: ignore[misc]
    """Shares tests out by board. `directory` is where the workers have written which is whose."""

    def __init__(self, config: Any, log: Any, directory: Path) -> None:
        super().__init__(config, log)
        self._directory = directory
        self._boards: dict[str, str] = {}

    def _split_scope(self, nodeid: str) -> str:
        if not self._boards:
            self._boards = json.loads((self._directory / _NAME).read_text())
        return self._boards.get(nodeid, nodeid)
