"""Flashes a board and makes a node of it in one run of esptool: the identity is in the file system that is written.

What makes the node (key, certificate, register, note of what is unfinished) is `fleet.boards.provision`.
"""

import threading
from collections.abc import Mapping
from dataclasses import replace

from fleet.boards import flash, provision
from fleet.boards.flash import Flashed, Notify
from fleet.boards.probe import Facts
from fleet.boards.provision import Desk, Plan, Seen
from fleet.boards.spec import NodeSpec
from fleet.boards.wish import Belongings, Wish
from fleet.errors import FleetError, NotAllowedError
from fleet.flashing.esptool import Found
from protocol.identity import PATH


def flash_node(
    desk: Desk,
    url: str,
    spec: NodeSpec,
    wish: Wish,
    notify: Notify,
    environ: Mapping[str, str],
    stop: threading.Event,
) -> Flashed:
    """Make the board at `url` the node of `spec`; the errors are those of flashing and provisioning.

    What fails after the node is registered says so, and doing the same again completes it.
    """
    planned: list[Plan] = []

    def files(found: Found) -> Mapping[str, bytes]:
        plan = _plan(desk, url, spec, found, wish.yes)
        identity = provision.register(desk, plan)
        planned.append(plan)
        return {PATH: identity.encode()}

    try:
        done = flash.flash(url, replace(wish, belongings=Belongings(spec.node, files)), notify, environ, stop)
    except FleetError as error:
        if planned:
            provision.unfinished(spec.node, error)
        raise
    if planned and done.report is not None:
        provision.finish(desk, planned[0], done.report)
    return done


def _plan(desk: Desk, url: str, spec: NodeSpec, found: Found, yes: bool) -> Plan:
    plan = provision.plan(desk, Seen(url, Facts(chip=found.chip.name, mac=found.mac)), spec)
    if plan.doubts and not yes:
        raise NotAllowedError(" ".join(plan.doubts), hint="add --yes")
    return plan
