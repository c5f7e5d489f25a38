"""What the tests of planning share: a fleet of four stations and two lamps, and no service."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fleet.config import Config
from fleet.ingest.sorter import Sorter
from fleet.model import Kind
from fleet.provision import Provisioner, Request
from fleet.rollout import draft
from fleet.rollouts import planning, starting
from fleet.rollouts.planning import Planned
from fleet.store import Store
from fleet.store.releases import Published
from fleet.tests.cli_rig import make_fleet
from fleet.tests.store_rig import delivery
from fleet.tests.update_rig import Trusted, program
from protocol import update
from protocol.messages import State
from protocol.update import Status

NOW_S = 1_800_000_000
AIR = ("air-1", "air-2", "air-3", "air-4")
LAMPS = ("light-1", "light-2")
TAGS = {
    "air-1": {"site": "mitte", "district": "m1"},
    "air-2": {"site": "mitte"},
    "light-1": {"site": "mitte", "lat": "52.5163", "lon": "13.3777"},
    "light-2": {"site": "mitte", "lat": "52.5164", "lon": "13.3777"},
}


@dataclass
class Desk:
    """A fleet of four stations and two lamps, all on 1.4.0, and no service."""

    config: Config
    store: Store
    trusted: Trusted
    releases: dict[str, Published] = field(default_factory=dict)

    def publish(self, product: str, version: str, sequence: int, **more: Any) -> Published:
        found = self.trusted.publish(self.store, product, version, sequence, program(version), **more)
        self.releases[found.id] = found
        return found

    def say(self, node: str, runs: str = "", version: str = "", at_s: int = NOW_S, **status: Any) -> None:
        manifest = self.releases[runs].manifest if runs else b"\7" * 32
        state = State(online=True, boot=1, manifest=manifest, firmware=version or runs.partition("-")[2], slot="a")
        told = Status(boot=1, t=at_s, **{"root": 1, "stage": update.IDLE, **status})
        intake = self.store.intake()
        rows = [delivery(node, "state", state.encode(), at_s), delivery(node, "ota", told.encode(), at_s)]
        intake.write(Sorter(self.store.nodes.keys, lambda *_: False).sort(rows))
        intake.close()

    def plan(self, **tree: Any) -> Planned:
        given = tree if "goal" in tree else {"releases": ["air-1.5.0"], **tree}
        return planning.plan(self.store, self.config, draft.parse(given), NOW_S)

    def skipped(self, **tree: Any) -> Mapping[str, str]:
        return {one.node: one.reason for one in self.plan(**tree).skipped}


@contextmanager
def opened(directory: Path) -> Iterator[Desk]:
    """A desk; every node runs 1.4.0, and 1.5.0 is published."""
    config = make_fleet(directory / "fleet")
    with Store.open(config.store_url) as store:
        wanted = [*((name, Kind.AIR) for name in AIR), *((name, Kind.LIGHT) for name in LAMPS)]
        requests = [Request(name, kind, "esp32", tags=TAGS.get(name, {})) for name, kind in wanted]
        Provisioner(config, store.nodes).provision(*requests)
        found = Desk(config, store, Trusted(config))
        for product in ("air", "light"):
            for at, version in enumerate(("1.4.0", "1.5.0")):
                found.publish(product, version, 10 + at)
        for name, kind in wanted:
            found.say(name, f"{kind}-1.4.0")
        yield found


def start(desk: Desk, planned: Planned) -> int:
    view = starting.keep(desk.store, planned, "ops@desk", NOW_S)
    starting.start(desk.store, desk.config, view, "ops@desk", "", NOW_S, planned)
    return view.id
