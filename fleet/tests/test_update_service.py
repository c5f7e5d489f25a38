"""Orders to update through the real service and the real broker: pulled block by block, proved, whatever is lost."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fleet import campaigns
from fleet.campaigns import Wish
from fleet.config import Config
from fleet.releases import delta
from fleet.releases.archive import Archive
from fleet.store import Store
from fleet.store.releases import Published
from fleet.tests.cli_rig import Result, run
from fleet.tests.rig import wait_for
from fleet.tests.service_rig import PATIENCE_S, fleet_with, serving
from fleet.tests.update_rig import Puller, Trusted, program
from protocol import topics, trust
from protocol.update import PAYLOAD, ROOT, Ask

# paho leaves a socket whose handshake failed, as when a broker is killed, to the garbage collector
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

SIZE = 100_000  # bytes of a slot, which do not pack well: some 150 blocks
NAMES = ("air-1", "air-2")


@dataclass
class Fleet:
    """A fleet whose nodes run what nobody knows, and two releases."""

    config: Config
    store: Store
    first: Published
    fix: Published  # much like the first

    def boot0(self, node: str) -> int:
        return self.store.nodes.get(node).boot0

    def payload(self, release: Published, *runs: Published) -> bytes:
        archive = Archive(self.config.releases_dir)
        programs = [delta.Program.of(archive.get(row.manifest), archive.get) for row in (release, *runs)]
        return delta.delta(*programs) if runs else delta.full(*programs)

    def order(self, release: Published) -> None:
        views = [self.store.nodes.view(node) for node in NAMES]
        wish = Wish(trust.INSTALL, release)
        now_s = int(time.time())
        plans = campaigns.plan(self.store, self.config, views, wish, now_s)
        campaigns.order(self.store, self.config, plans, wish, "me@desk", now_s)

    def figures(self) -> "dict[str, int]":
        found = self.store.journal.newest_figures()
        assert found is not None
        return dict(found[1]["block_server"])

    def run(self, *words: str) -> Result:
        return run(*words, "--fleet", self.config.directory)


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    config = fleet_with(tmp_path / "fleet", *NAMES, ack_wait_s=5)
    trusted = Trusted(config)
    with Store.open(config.store_url) as store:
        yield Fleet(
            config,
            store,
            trusted.publish(store, "air", "1.0.0", 10, program("1.0.0", SIZE)),
            trusted.publish(store, "air", "1.0.1", 11, program("1.0.1", SIZE)),
        )


@contextlib.contextmanager
def pullers(fleet: Fleet, loss: float) -> Iterator[list[Puller]]:
    made = [Puller(fleet.config, node, fleet.boot0(node), bytes(32), loss, seed) for seed, node in enumerate(NAMES, 1)]
    try:
        yield made
    finally:
        for node in made:
            node.close()


def test_nodes_pull_over_a_line_that_loses_messages_and_prove_what_they_run(fleet: Fleet) -> None:
    with serving(fleet.config), pullers(fleet, 0.02) as nodes:
        done = fleet.run("node", "update", *NAMES, "--release", "air-1.0.0", "--wait", "--json")
        assert done.code == 0, done.err
        assert [(row["stage"], row["wanted"]) for row in done.json["updates"]] == [("proved", "air-1.0.0")] * 2
        assert [node.got[PAYLOAD] for node in nodes] == [fleet.payload(fleet.first)] * 2
        assert all(node.lost for node in nodes), "else it shows nothing"
        shown = fleet.run("node", "show", "air-1").out
        assert "air-1.0.0" in shown
        assert "proved 2" in shown
        again = fleet.run("node", "update", *NAMES, "--release", "air-1.0.1", "--wait", "--json")
        assert again.code == 0, again.err
        small = fleet.payload(fleet.fix, fleet.first)
        assert len(small) < 100
        assert [node.got[PAYLOAD] for node in nodes] == [small, small]
        wait_for(lambda: fleet.figures()["built"] == 2, "one payload for each pair among the figures", PATIENCE_S)


def test_the_service_is_killed_in_the_middle_of_a_download(fleet: Fleet) -> None:
    with serving(fleet.config) as service, pullers(fleet, 0) as nodes:
        fleet.order(fleet.first)
        assert nodes[0].half.wait(PATIENCE_S)
        service.kill()
        service.start()
        service.wait_ready()
        wait_for(lambda: len(proved(fleet)) == 2, "both proofs", PATIENCE_S)
    assert [node.got[PAYLOAD] for node in nodes] == [fleet.payload(fleet.first)] * 2


def proved(fleet: Fleet) -> list[str]:
    found = fleet.store.campaigns.updates()
    return [node for node, said in found.items() if said.proved and said.proved.manifest == fleet.first.manifest]


def test_questions_are_neither_stored_nor_kept_by_the_broker(fleet: Fleet) -> None:
    """Also those that come with QoS 1, retained or broken, from a node that does as it likes."""
    with serving(fleet.config) as service, pullers(fleet, 0) as (node, other):
        wait_for(lambda: len(fleet.store.campaigns.updates()) == 2, "the nodes", PATIENCE_S)
        asks = [b"\xff" * 100, Ask(what=ROOT, version=1).encode(), b""]
        for number in range(300):
            node._client.publish(topics.up(node.name, "block"), asks[number % 2], number % 4 // 2, number % 8 == 7)
        fleet.order(fleet.fix)
        wait_for(lambda: PAYLOAD in other.got, "what the other node asks for", PATIENCE_S)
        wait_for(lambda: fleet.figures()["refused"] > 0, "the refusals among the figures", PATIENCE_S)
        assert service.end() == 0
        service.start()
        service.wait_ready()
    assert fleet.store.journal.refused() == {}
    figures = fleet.figures()
    assert figures["refused"] == 0, "nothing was sent again"
