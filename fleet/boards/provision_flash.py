"""Provisions boards that are blank, or run something else: firmware and identity in one run of esptool for each."""

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from fleet.boards import flash, provision
from fleet.boards.flash_node import flash_node
from fleet.boards.probe import Facts
from fleet.boards.provision import Desk, Provisioned, Seen
from fleet.boards.provision_many import FAILED, JOBS, Match, Outcome, unmatched
from fleet.boards.spec import NodeSpec
from fleet.boards.wish import Wish
from fleet.errors import FleetError, NotFoundError
from fleet.flashing.esptool import Esptool, Options

PLANNED = flash.PLANNED
Notify = Callable[[str, flash.Step], object]  # (node, how far it is); called from several threads, as is
Ended = Callable[[str, str], object]  # (node, action of its outcome)


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
    notify: Notify,
    ended: Ended,
    environ: Mapping[str, str] = os.environ,
    jobs: int = JOBS,
) -> list[Outcome]:
    """Flash the boards and make nodes of them; those that are done, with this very firmware, are left alone."""
    stop = threading.Event()

    def flash_one(one: Match) -> Outcome:
        if one.seen is None:
            return unmatched(one)
        outcome = _flash_one(desk, one.seen, one.spec, wish, notify, environ, stop)
        ended(one.spec.node, outcome.action)
        return outcome

    try:
        with ThreadPoolExecutor(jobs) as pool:
            return list(pool.map(flash_one, matches))
    finally:
        stop.set()


def _flash_one(
    desk: Desk,
    seen: Seen,
    spec: NodeSpec,
    wish: Wish,
    notify: Notify,
    environ: Mapping[str, str],
    stop: threading.Event,
) -> Outcome:
    report = seen.report
    try:
        current = report is not None and report.manifest == wish.firmware.of(report.kind).manifest
        if current and provision.is_done(desk, seen, spec):
            return Outcome(spec, provision.DONE, seen.url)
        action = provision.RENEWED if _exists(desk, spec.node) else provision.NEW
        done = flash_node(desk, seen.url, spec, wish, lambda step: notify(spec.node, step), environ, stop)
    except FleetError as error:
        return Outcome(spec, FAILED, seen.url, error=error)
    if wish.dry_run or done.report is None:  # what a board reports in a dry run is what it was before
        return Outcome(spec, PLANNED, seen.url)
    node = desk.store.nodes.get(spec.node)
    return Outcome(spec, action, seen.url, Provisioned(node, seen.url, action, done.report))


def _exists(desk: Desk, node: str) -> bool:
    try:
        desk.store.nodes.get(node)
    except NotFoundError:
        return False
    return True
