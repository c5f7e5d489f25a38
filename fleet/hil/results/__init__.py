"""What a run of the bench found, kept so that the death of anything loses at most the line it was writing.

A run is a directory, named by its begin in UTC:

    begin.json      what was asked, the boards, the environment; written once, before anything else
    parts/*.jsonl   one line per thing that happened; each process appends to a file of its own (`Recorder`)
    run.json        all of it as one document (`Run`), written when the run ends
    artefacts/      files of tests
    junit.xml, pytest.log, report.html

Only begin.json is needed to read a run: `load` merges the parts of one that never ended. A test that has begun and
not ended counts as infrastructure: its worker died, which says nothing about the product.
"""

from fleet.hil.results.model import (
    BROKEN,
    FAILED,
    INFRASTRUCTURE,
    OUTCOMES,
    PASSED,
    QUARANTINED,
    READY,
    SKIPPED,
    UNUSED,
    Artefact,
    BoardFacts,
    Measurement,
    Result,
    Run,
)
from fleet.hil.results.recorder import ARTEFACTS, Recorder, Test
from fleet.hil.results.store import Follower, begin, end, load, now, parse, runs

__all__ = [
    "ARTEFACTS",
    "BROKEN",
    "FAILED",
    "INFRASTRUCTURE",
    "OUTCOMES",
    "PASSED",
    "QUARANTINED",
    "READY",
    "SKIPPED",
    "UNUSED",
    "Artefact",
    "BoardFacts",
    "Follower",
    "Measurement",
    "Recorder",
    "Result",
    "Run",
    "Test",
    "begin",
    "end",
    "load",
    "now",
    "parse",
    "runs",
]
