"""What a run of the demonstration proved, as one JSON object."""

import os
import platform
from importlib.metadata import version
from typing import Any

from fleet.broker import binary
from fleet.store import Store
from protocol import events
from protocol.messages import Boot
from tools.demo.story import Told
from tools.testbed import Account, Testbed

PACKAGES = ("cbor2", "paho-mqtt", "sqlalchemy")


def summary(
    bed: Testbed, store: Store, account: Account, told: Told, first_record_s: float | None, seconds: float
) -> dict[str, Any]:
    """The result; `problem` is empty when every node reported, nothing is lost or there twice, and releases did as they
    should."""
    return {
        "nodes": len(account.records),
        "records": sum(account.records.values()),
        "lost": len(account.lost),
        "duplicates": account.duplicates,
        "first_record_s": None if first_record_s is None else round(first_record_s, 1),
        "good_release_proved": told.good_release_proved,
        "bad_release_exposed": told.bad_release_exposed,
        "bad_release_halted_s": told.bad_release_halted_s,
        "flashed": sum(node.flashed is not None for node in bed.nodes.values()),
        "esptool": version("esptool"),
        "broker": f"nats-server {binary.find(os.environ.get('FLEET_NATS_SERVER')).version}",
        "versions": {
            **_reported(store),
            "python": platform.python_version(),
            **{name: version(name) for name in PACKAGES},
        },
        "redelivered": account.redelivered,
        "refused": account.refused,
        "rate": bed.world.rate,
        "seconds": round(seconds, 1),
        "records_by_node": {seat.node: account.records.get(seat.node, 0) for seat in bed.seats},
        "problem": problem(bed, account) or told.problem,
    }


def _reported(store: Store) -> dict[str, str]:
    """What the nodes themselves say that they run."""
    for event in store.journal.events():
        if event.code == events.BOOT:
            boot = Boot.from_map(dict(event.attrs))
            return {"firmware": boot.firmware, "micropython": boot.micropython}
    return {}


def problem(bed: Testbed, account: Account) -> str:
    """What went wrong, or nothing."""
    silent = [seat.node for seat in bed.seats if not account.records.get(seat.node)]
    if silent:
        return f"no record from {', '.join(silent)}: see {bed.directory / 'nodes' / silent[0] / 'serial.log'}"
    if account.lost:
        return f"{len(account.lost)} entries did not arrive, for example {min(account.lost)}"
    if account.duplicates:
        return f"{account.duplicates} entries are stored twice"
    if account.refused:
        return f"{account.refused} messages were refused: fleet doctor says why"
    return ""
