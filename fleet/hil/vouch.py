"""Whether a run of the bench vouches for a program: it passed, and what it tested was that program and no other."""

from hashlib import sha256
from pathlib import Path

from fleet.errors import FleetError, NotFoundError
from fleet.hil import results
from fleet.hil.results.store import MAX_FILE


def load(report: Path) -> tuple[bytes, results.Run]:
    """(SHA-256 of the file, the run in it) of a run.json; NotFoundError when it is none."""
    path = report / "run.json" if report.is_dir() else report
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
    except OSError as error:
        hint = "name the run.json of `fleet hil run`"
        raise NotFoundError(f"cannot read {path}", hint, error.strerror or str(error)) from error
    if len(data) > MAX_FILE:
        raise FleetError(f"{path} is too large for the report of a run", hint="name the run.json of `fleet hil run`")
    return sha256(data).digest(), results.parse(data, path)  # not read twice: it may be another one by then


def faults(run: results.Run, kind: str, manifest: str) -> list[str]:
    """Why a run does not vouch for a program of a kind; `manifest` is what its nodes report, as hex."""
    found = []
    if run.verdict != results.PASSED:
        found.append(f"run {run.id} has not passed: {run.verdict}")
    tested = {board.manifest for board in run.boards if board.kind == kind and board.manifest}
    if not tested:
        found.append(f"run {run.id} tested no board of kind {kind} that said what it runs")
    found += [f"run {run.id} tested another program: manifest {one}" for one in sorted(tested - {manifest})]
    return found
