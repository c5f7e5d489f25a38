"""What is attached: asked politely over the console and, where somebody wants that, over the loader, with a reset."""

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace

from fleet.boards import probe
from fleet.errors import FleetError
from fleet.flashing import firmware, pinmaps
from fleet.flashing.console import SAYS, Answer, Condition, Console, Report
from fleet.flashing.esptool import Esptool, Options
from fleet.flashing.remote import Remote
from protocol import report as reports

_IDENTITIES = {probe.NONE: "without an identity", probe.DAMAGED: "with a damaged identity"}
_STATES = {probe.NONE: reports.UNPROVISIONED, probe.DAMAGED: reports.DAMAGED, probe.NODE: reports.NODE}


@dataclass(frozen=True)
class Seen:
    """A board; what it does not say is empty. `runs` are words for a person."""

    condition: str
    runs: str
    chip: str = ""
    mac: str = ""
    flash_size: int = 0  # bytes; known after a probe
    micropython: str = ""
    report: Report | None = None


def look(
    url: str,
    loader: Options | None = None,
    environ: Mapping[str, str] = os.environ,
    stop: threading.Event | None = None,
) -> Seen:
    """Who is at a port. Nothing is reset or stopped, unless `loader` says how to ask that, too."""
    with Console(url) as console:
        answer = console.identify()
    seen = _at_prompt(url, answer, environ) if answer.condition is Condition.PROMPT else _seen(answer)
    if loader is None:
        return seen
    found = Esptool(url, loader, environ, stop).look(stay=False)
    return replace(seen, chip=found.chip.name, mac=found.mac, flash_size=found.flash_size)


def _seen(answer: Answer) -> Seen:
    report = answer.report
    if report is None:
        return Seen(answer.condition.value, SAYS[answer.condition], micropython=answer.micropython)
    runs = f"Lumenair {report.fw}"
    return Seen(answer.condition.value, runs, _chip(report.board), report.mac, 0, answer.micropython, report)


def _at_prompt(url: str, answer: Answer, environ: Mapping[str, str]) -> Seen:
    """A board at its prompt runs nothing that a small program could disturb."""
    try:
        facts = probe.probe(Remote(url, environ))
    except FleetError:
        return _seen(answer)
    runs = f"MicroPython {facts.micropython}, at its prompt"
    if facts.fw:
        runs = f"Lumenair {facts.fw}, {_IDENTITIES.get(facts.identity, 'stopped')}"
    node = Report(node=facts.node, fw=facts.fw, slot=facts.slot, mac=facts.mac, state=_STATES.get(facts.identity, ""))
    return Seen(answer.condition.value, runs, facts.chip, facts.mac, 0, facts.micropython, node if facts.fw else None)


def _chip(board: str) -> str:
    """The chip of a pin map that our own firmware knows."""
    try:
        known = pinmaps.catalogue(firmware.directory())
    except FleetError:
        return ""
    return known[board].chip if board in known else ""
