"""N runs as one page: a single HTML file that needs nothing else and loads nothing from anywhere.

wording   names, numbers and times as people read them
html      elements, which escape what is not an element
figures   what the runs amount to
charts    drawings
parts     what sections are made of
overview  the newest run, and the list of runs
matrix    boards, tests and measurements over the runs
page      all of it in order, with style.css and script.js inside
"""

from collections.abc import Sequence
from pathlib import Path

from fleet import files
from fleet.errors import FleetError, NotFoundError
from fleet.hil import results
from fleet.hil.report import page
from fleet.hil.report.figures import attention, boards
from fleet.hil.report.parts import Shown

__all__ = ["attention", "boards", "write"]


def write(directories: Sequence[Path], out: Path) -> list[tuple[Path, results.Run]]:
    """The page of these runs, oldest first, as the file `out`; links to artefacts are relative to it.

    Answers which were read: a damaged one is left out while there are others.
    """
    found: list[tuple[Path, results.Run]] = []
    fault: FleetError = NotFoundError("no run to report", hint="`fleet hil run` makes one")
    for directory in directories:
        try:
            found.append((directory, results.load(directory)))
        except FleetError as error:
            fault = error
    if not found:
        raise fault
    shown = [Shown.of(run, directory, out.absolute().parent) for directory, run in found]
    files.replace(out, page.page(shown).encode(), files.PUBLIC)
    return found
