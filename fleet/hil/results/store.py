"""The directory of a run: begun, read while it goes on, merged at its end."""

import contextlib
import json
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from fleet import files
from fleet.errors import FleetError, NotFoundError
from fleet.hil.results.checked import known
from fleet.hil.results.model import BROKEN, INFRASTRUCTURE, Artefact, BoardFacts, Measurement, Result, Run

BEGIN, RUN, PARTS = "begin.json", "run.json", "parts"
MAX_FILE = 64 << 20  # bytes of one part or document
_KEY = {"expected": "count", "board": "id", "begun": "test", "ended": "test"}  # what a line of that kind must have


def begin(results: Path, run: Run) -> Path:
    """Make the directory of a new run, named by its begin, with its begin.json."""
    made = _new_directory(results, run.id) if run.id else _new_directory(results, f"{_stamp()}-{secrets.token_hex(2)}")
    (made / PARTS).mkdir()
    _write(made / BEGIN, replace(run, id=made.name, started=run.started or now()))
    return made


def end(directory: Path, exit_code: int | None) -> Run:
    """Merge the parts into run.json; the run."""
    run = replace(_merged(directory), ended=now(), exit_code=exit_code)
    _write(directory / RUN, run)
    return run


def load(directory: Path) -> Run:
    """A run, ended or not; NotFoundError when that is no run's directory."""
    whole = directory / RUN
    return _run(whole) if whole.exists() else _merged(directory)


def parse(data: bytes, path: Path) -> Run:
    """The run in a document such as run.json, which was read from `path`; FleetError when it is none."""
    return _run_of(_tree(data, path), path)


def runs(results: Path) -> list[Path]:
    """The directories of all runs, oldest first."""
    return sorted(path.parent for path in results.glob(f"*/{BEGIN}"))


def now() -> str:
    """The time, UTC, RFC 3339 to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


class Follower:
    """Reads the parts of a run while they grow: what is new since the last call, whole lines only."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.expected = 0  # tests that were collected; 0 = not known yet
        self._read: dict[Path, int] = {}

    def ended(self) -> list[Result]:
        """The tests that have ended since the last call."""
        found = []
        for kind, tree in self._lines():
            if kind == "ended":
                found.append(_result(tree))
            elif kind == "expected":
                self.expected = max(self.expected, tree["count"])
        return found

    def _lines(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for path in sorted((self.directory / PARTS).glob("*.jsonl")):
            with path.open("rb") as file:
                file.seek(self._read.get(path, 0))
                data = file.read(MAX_FILE)
            whole = data[: data.rfind(b"\n") + 1]
            self._read[path] = self._read.get(path, 0) + len(whole)
            yield from _trees(whole)


def _merged(directory: Path) -> Run:
    run = _run(directory / BEGIN)
    boards = {board.id: board for board in run.boards}
    open_tests: dict[tuple[Any, ...], Result] = {}
    results = []
    expected = 0
    for kind, tree in lines(directory):
        if kind == "board":
            old = boards.get(tree["id"]) or BoardFacts(tree["id"])
            boards[old.id] = _board(old, tree)
        elif kind == "expected":
            expected = max(expected, tree["count"])
        elif kind in ("begun", "ended"):
            result = _result(tree)
            key = (result.test, result.repeat, result.worker, result.started)
            open_tests.pop(key, None)
            if kind == "ended":
                results.append(result)
            else:
                open_tests[key] = result
    died = "it did not end: its process died, or the run was stopped"
    results += [replace(result, outcome=INFRASTRUCTURE, message=died) for result in open_tests.values()]
    results.sort(key=lambda result: (result.started, result.test, result.repeat))
    return replace(run, boards=tuple(boards.values()), results=tuple(results), expected=expected)


def _board(old: BoardFacts, tree: Mapping[str, Any]) -> BoardFacts:
    """What is known of a board after one more line; broken stays broken, and a fact is not forgotten."""
    known = (
        {row.name for row in fields(BoardFacts)} - {"tags"} - ({"state", "reason"} if old.state == BROKEN else set())
    )
    new = {name: str(value) for name, value in tree.items() if name in known and value != ""}
    return replace(old, **new)  # type: ignore[arg-type]  # every field but tags is a text


def lines(directory: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(kind, tree) of every whole line of every part."""
    for path in sorted((directory / PARTS).glob("*.jsonl")):
        with path.open("rb") as file:
            yield from _trees(file.read(MAX_FILE))


def _trees(data: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
    """The last line of a process that died may be torn."""
    for line in data.splitlines():
        with contextlib.suppress(ValueError, RecursionError, TypeError):
            tree = json.loads(line)
            if isinstance(tree, dict) and _KEY.get(str(tree.get("kind")), "?") in tree:
                yield _checked(str(tree.pop("kind")), tree)


def _checked(kind: str, tree: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The same; TypeError when a value is of another type."""
    if kind == "expected" and type(tree["count"]) is not int:
        raise TypeError(kind)
    if kind == "board":
        known(BoardFacts, tree)
    elif kind in ("begun", "ended"):
        _result(tree)
    return kind, tree


def _document(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE)
    except OSError as error:
        cause = error.strerror or str(error)
        raise NotFoundError(
            f"{path.parent} is no run of a bench", hint="`fleet hil report` lists them", cause=cause
        ) from error
    return _tree(data, path)


def _tree(data: bytes, path: Path) -> dict[str, Any]:
    try:
        tree = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise FleetError(f"{path} is damaged", cause=str(error)) from error
    if not isinstance(tree, dict):
        raise FleetError(f"{path} is damaged", cause="it is no object")
    return tree


def _run(path: Path) -> Run:
    return _run_of(_document(path), path)


def _run_of(tree: Mapping[str, Any], path: Path) -> Run:
    try:
        boards = [known(BoardFacts, row) for row in tree.get("boards", ())]
        results = map(_result, tree.get("results", ()))
        return replace(known(Run, tree), boards=tuple(boards), results=tuple(results))
    except (TypeError, AttributeError) as error:
        raise FleetError(f"{path} is damaged", cause=str(error)) from error


def _result(tree: Mapping[str, Any]) -> Result:
    result = known(Result, tree)
    measurements = tuple(known(Measurement, row) for row in tree.get("measurements", ()))
    artefacts = tuple(known(Artefact, row) for row in tree.get("artefacts", ()))
    return replace(result, measurements=measurements, artefacts=artefacts)


def _new_directory(results: Path, name: str) -> Path:
    try:
        (results / name).mkdir(parents=True)
    except OSError as error:
        raise FleetError(f"cannot make {results / name}", cause=error.strerror or str(error)) from error
    return results / name


def _stamp() -> str:
    return time.strftime("%Y-%m-%dT%H-%M-%SZ", time.gmtime())


def _write(path: Path, run: Run) -> None:
    tree = {**asdict(run), "totals": run.totals, "verdict": run.verdict}
    text = json.dumps(tree, indent=1, ensure_ascii=False, allow_nan=False)
    files.replace(path, text.encode(errors="replace"), files.PUBLIC)
