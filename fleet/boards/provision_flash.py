"""Provisions boards that are blank, or run something else: firmware and identity in one run of esptool for each."""

import os
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from fleet.boards import flash, provision
from fleet.boards.flash_node import flash_node
from fleet.boards.probe import Facts
from fleet.boards.provision import Desk, Provisioned, Seen
from fleet.boards.provision_many import FAILED, JOBS, Match, Outcome, Say, unmatched
from fleet.boards.wish import Wish
from fleet.errors import FleetError, NotFoundError
from fleet.flashing.esptool import Esptool, Options

PLANNED = flash.PLANNED


def look(url: str, environ: Mapping[str, str] = os.environ) -> Seen:
    """Who is at a port, asked through the loader where nothing else answers; the board is then left in it."""
    try:
        return provision.look(url)
    except FleetError:
        found = Esptool(url, Options(), environ).look()
        return Seen(url, Facts(chip=found.chip.name, mac=found.mac))


def flash_all(
    desk: Desk,
    matches: Sequence[Match],
    wish: Wish,
    say: Say,
    environ: Mapping[str, str] = os.environ,
    jobs: int = JOBS,
) -> list[Outcome]:
    """Flash the boards and make nodes of them; those that are done, with this very firmware, are left alone."""
    stop = threading.Event()

    def flash_one(one: Match) -> Outcome:
        seen, spec = one.seen, one.spec
        if seen is None:
            return unmatched(one)
        report = seen.report
        try:
            current = report is not None and report.manifest == wish.firmware.manifest
            if current and provision.is_done(desk, seen, spec):
                return Outcome(spec, provision.DONE, seen.url)
            action = provision.RENEWED if _exists(desk, spec.node) else provision.NEW
            steps = _Steps(spec.node, say)
            done = flash_node(desk, seen.url, spec, wish, steps.hear, environ, stop)
        except FleetError as error:
            return Outcome(spec, FAILED, seen.url, error=error)
        if done.report is None:
            return Outcome(spec, PLANNED, seen.url)
        node = desk.store.nodes.get(spec.node)
        return Outcome(spec, action, seen.url, Provisioned(node, seen.url, action, done.report))

    try:
        with ThreadPoolExecutor(jobs) as pool:
            return list(pool.map(flash_one, matches))
    finally:
        stop.set()


def _exists(desk: Desk, node: str) -> bool:
    try:
        desk.store.nodes.get(node)
    except NotFoundError:
        return False
    return True


class _Steps:
    """Tells each phase of flashing once."""

    def __init__(self, node: str, say: Say) -> None:
        self._node = node
        self._say = say
        self._phase: flash.Phase | None = None

    def hear(self, step: flash.Step) -> None:
        if step.phase is not self._phase:
            self._phase = step.phase
            self._say(self._node, step.phase.value)
