"""Writing down what happens, in each process of a run."""

import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, replace
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

from fleet.hil.results.model import BROKEN, OUTCOMES, Artefact, Measurement, Result
from fleet.hil.results.store import PARTS, lines, now

ARTEFACTS = "artefacts"
MAX_MESSAGE = 4000  # characters
MAX_DETAIL = 20_000  # characters: a traceback and what was captured; the whole of it is an artefact
MAX_MEASUREMENTS = 1000  # of one test
_NAME = re.compile(r"[^A-Za-z0-9._-]+")


class Recorder:
    """Writes down what happens in one process of a run: of the one pytest, or of one xdist worker (`worker`)."""

    def __init__(self, directory: Path, worker: str = "main") -> None:
        self.directory = directory
        self.worker = worker
        path = directory / PARTS / f"{worker}-{os.getpid()}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)

    def expect(self, count: int) -> None:
        """So many tests will be run; every worker of xdist collects all of them and may say so."""
        self.line("expected", {"count": count})

    def board(self, board: str, state: str, reason: str = "", **facts: str) -> None:
        """What became known of a board: `state`, why, and the fields of BoardFacts that it said about itself."""
        self.line("board", {"id": board, "state": state, "reason": reason[:MAX_MESSAGE], **facts})

    def broken(self) -> dict[str, str]:
        """The boards that any process of this run could not bring up, and why: they are not tried again."""
        found = [tree for kind, tree in lines(self.directory) if kind == "board" and tree.get("state") == BROKEN]
        return {str(tree["id"]): str(tree.get("reason", "")) for tree in found}

    def test(self, test: str, repeat: int = 1, seed: int | None = None) -> "Test":
        """A test begins; `test` is its node id."""
        return Test(self, test, repeat, seed)

    def line(self, kind: str, tree: Mapping[str, Any]) -> None:
        """One write of one line, so that whoever reads sees all of it or none."""
        text = json.dumps({"kind": kind, "worker": self.worker, **tree}, ensure_ascii=False, allow_nan=False)
        os.write(self._handle, text.encode(errors="replace") + b"\n")

    def close(self) -> None:
        """Nothing more will be written."""
        os.close(self._handle)


class Test:
    """A test that is running: collects its measurements and files until `end`."""

    __test__ = False  # it is no test of pytest's

    def __init__(self, recorder: Recorder, test: str, repeat: int, seed: int | None) -> None:
        self._recorder = recorder
        self._result = Result(test, repeat=repeat, seed=seed, started=now(), worker=recorder.worker)
        self._tell("begun")

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """What was measured so far."""
        return self._result.measurements

    def use(self, *boards: str) -> None:
        """The boards that it got."""
        self._result = replace(self._result, boards=boards)
        self._tell("begun")

    def measure(
        self,
        name: str,
        value: float | Decimal,
        unit: str = "",
        low: float | Decimal | None = None,
        high: float | Decimal | None = None,
    ) -> Measurement:
        """Record a number; the caller decides what follows when it is not `ok`. ValueError when it is not finite."""
        low_, high_ = (None if limit is None else _number(limit) for limit in (low, high))
        found = Measurement(name[:200], _number(value), unit[:40], low_, high_)
        if len(self._result.measurements) >= MAX_MEASUREMENTS:
            raise ValueError(f"more than {MAX_MEASUREMENTS} measurements in one test")
        self._result = replace(self._result, measurements=(*self._result.measurements, found))
        return found

    def directory(self) -> Path:
        """A directory of its own within the run, for files that it writes while it runs."""
        result = self._result
        mark = sha256(f"{result.test}\0{result.repeat}\0{result.started}".encode()).hexdigest()[:6]
        short = _NAME.sub("-", result.test.rsplit("::", 1)[-1])[:80].strip("-")
        path = self._recorder.directory / ARTEFACTS / f"{short}-{result.repeat}-{mark}"
        path.mkdir(parents=True, exist_ok=True)
        return path

    def attach(self, name: str, data: bytes | str | None = None) -> Path:
        """A file of the test, shown by `name`: written now with `data`, or there already in `directory()`."""
        path = self.directory() / _NAME.sub("-", name)
        if data is not None:
            path.write_bytes(data.encode(errors="replace") if isinstance(data, str) else data)
        made = Artefact(name, str(path.relative_to(self._recorder.directory)))
        self._result = replace(self._result, artefacts=(*self._result.artefacts, made))
        return path

    def end(self, outcome: str, seconds: float, message: str = "", detail: str = "") -> Result:
        """It is over."""
        assert outcome in OUTCOMES
        self._result = replace(
            self._result,
            outcome=outcome,
            seconds=round(seconds, 3),
            message=message.strip()[:MAX_MESSAGE],
            detail=detail[-MAX_DETAIL:],
        )
        self._tell("ended")
        return self._result

    def _tell(self, kind: str) -> None:
        self._recorder.line(kind, {key: value for key, value in asdict(self._result).items() if key != "worker"})


def _number(value: float | Decimal) -> float:
    if not math.isfinite(value):
        raise ValueError(f"{value} is no measurement")
    return int(value) if value == int(value) else float(value)
