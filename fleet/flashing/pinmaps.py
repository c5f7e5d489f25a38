"""The pin maps of the firmware: which board a node can be, with which chip and of which kind."""

import ast
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fleet.errors import NotFoundError, UsageError
from fleet.model import Kind


@dataclass(frozen=True)
class PinMap:
    """`name` is the file in firmware/boards and ends with the kind of node that it is for."""

    name: str
    chip: str
    kind: Kind


def catalogue(firmware: Path) -> Mapping[str, PinMap]:
    """Every pin map of a firmware by name; NotFoundError when there is none."""
    found = {}
    for path in sorted((firmware / "boards").glob("[a-z]*.py")):
        kind = path.stem.rpartition("_")[2]
        chip = _chip(path)
        if chip and kind in [known.value for known in Kind]:
            found[path.stem] = PinMap(path.stem, chip, Kind(kind))
    if not found:
        raise NotFoundError(f"no pin maps in {firmware / 'boards'}", hint="name the firmware: --firmware DIR")
    return found


def choose(known: Mapping[str, PinMap], name: str, kind: str, chip: str) -> PinMap:
    """The pin map that is named, or the only one for a kind and a chip; UsageError when none or several fit.

    What is empty is not known: it is then no condition.
    """
    if name and name not in known:
        near = difflib.get_close_matches(name, known, 1)
        raise UsageError(f"there is no board {name}", hint=f"did you mean {near[0]}?" if near else _listed(known))
    fits = [
        one
        for one in known.values()
        if name in ("", one.name) and kind in ("", one.kind.value) and chip in ("", one.chip)
    ]
    if len(fits) == 1:
        return fits[0]
    if name:
        own = known[name]
        raise UsageError(
            f"{name} does not fit",
            cause=f"it is for a node of kind {own.kind.value} with {own.chip}"
            + (f", and this board has {chip}" if chip and chip != own.chip else ""),
            hint=_listed({one.name: one for one in known.values() if chip in ("", one.chip)}) or _listed(known),
        )
    what = " ".join(filter(None, ("a node of kind", kind))) if kind else "a node"
    with_chip = f" with {chip}" if chip else ""
    if not fits:
        raise UsageError(f"there is no pin map for {what}{with_chip}", hint=_listed(known))
    hint = f"say --kind, or --board: {', '.join(one.name for one in fits)}"
    raise UsageError(f"several pin maps fit {what}{with_chip}", hint=hint)


def _listed(known: Mapping[str, PinMap]) -> str:
    return f"there are {', '.join(known)}" if known else ""


def _chip(path: Path) -> str:
    """The string that `CHIP = ...` says; nothing when the file does not."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "CHIP":
            return str(ast.literal_eval(node.value))
    return ""
