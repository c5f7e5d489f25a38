"""`fleet node update` without a service, and what `fleet node show` says of a node's program."""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from fleet import campaigns, proofs
from fleet.config import Config
from fleet.ingest.sorter import Sorter
from fleet.store import Store
from fleet.store.releases import Published
from fleet.tests.cli_rig import Result, add_nodes, make_fleet, run
from fleet.tests.store_rig import batch, delivery
from fleet.tests.update_rig import Trusted, program
from protocol import events, refusals, update
from protocol.messages import State
from protocol.records import PHASE_INSTANT, TQ_NTP_HOUR, Event
from protocol.update import Proof, Status

NOW_S = 1_800_000_000
BOOT = 29_000_001


@dataclass
class Desk:
    """A fleet without a service: what nodes say is put into its database."""

    config: Config
    store: Store
    old: Published
    new: Published

    def run(self, *words: str) -> Result:
        return run("node", *words, "--fleet", self.config.directory)

    def take(self, name: str, payload: bytes, at_s: int = NOW_S) -> None:
        secret = proofs.secret_of(self.config)
        judge = proofs.Judge(secret, lambda node: self.store.nodes.get(node).boot0)
        intake = self.store.intake()
        intake.write(Sorter(self.store.nodes.keys, judge.holds).sort([delivery("air-1", name, payload, at_s)]))
        intake.close()

    def confirm(self, manifest: bytes, base: bytes = b"") -> None:
        """air-1 proves for its newest order that it runs a program, on a base image of that digest."""
        order = self.store.campaigns.orders()["air-1"]
        made = Proof(nonce=order.nonce, manifest=manifest, slot="b", boot=BOOT, base=base, confirmed=True)
        secret = proofs.secret_of(self.config)
        made.mac = update.prove(proofs.key_of(secret, "air-1", self.store.nodes.get("air-1").boot0), "air-1", made)
        said = Status(counter=order.counter, stage=update.CONFIRMED, boot=BOOT, t=NOW_S, proof=made, root=1)
        self.take("ota", said.encode())


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    config = make_fleet(tmp_path / "fleet")
    add_nodes(config)
    trusted = Trusted(config)
    with Store.open(config.store_url) as store:
        old, new = (trusted.publish(store, "air", f"1.4.{n}", 10 + n, program(f"1.4.{n}")) for n in range(2))
        yield Desk(config, store, old, new)


def test_a_dry_run_says_what_would_be_and_orders_nothing(desk: Desk) -> None:
    desk.take("state", State(online=True, boot=BOOT, manifest=desk.old.manifest).encode())
    found = desk.run("update", "--where", "kind=air", "--release", "air-1.4.1", "--dry-run", "--json")
    assert found.code == 0
    assert [(row["node"], row["runs"], row["wanted"], row["order"]) for row in found.json["updates"]] == [
        ("air-1", "air-1.4.0", "air-1.4.1", None),
        ("air-2", None, "air-1.4.1", None),
    ]
    assert desk.store.campaigns.orders() == {}


def test_an_order_waits_in_the_database(desk: Desk) -> None:
    found = desk.run("update", "air-1", "--release", desk.new.digest.hex()[:10], "--expires", "2h")
    assert (found.code, found.out.split()) == (
        0, ["NODE", "RUNS", "WANTED", "ORDER", "STAGE", "REASON", "air-1", "-", "air-1.4.1", "1", "ordered", "-"],
    )  # fmt: skip
    assert "The service does not run" in found.err
    order = desk.store.campaigns.orders()["air-1"]
    assert order.expires_s - order.issued_s == 7200
    late = desk.run("update", "air-1", "--release", "air-1.4.1", "--wait", "--timeout", "0", "--json")
    assert (late.code, late.error["code"]) == (8, "timed-out")
    assert late.json["updates"][0]["order"] == 2


def test_whoever_waits_sees_what_the_node_runs_in_the_end(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = campaigns.watch

    def proved(store: Store, *rest: Any) -> Any:
        desk.confirm(desk.new.manifest)
        return watch(store, *rest)

    monkeypatch.setattr(campaigns, "watch", proved)
    desk.take("state", State(online=True, boot=BOOT, manifest=desk.old.manifest).encode())
    found = desk.run("update", "air-1", "--release", "air-1.4.1", "--wait", "--json")
    [row] = found.json["updates"]
    assert (found.code, row["stage"], row["runs"]) == (0, "proved", "air-1.4.1")


# sentence: (words, exit code, what the error says)
WRONG = {
    "nobody is named": (["--stop"], 2, "no node is named"),
    "nothing is wished": (["air-1"], 2, "say what the nodes shall do"),
    "two things are": (["air-1", "--stop", "--previous"], 2, "say what the nodes shall do"),
    "many nodes, and nobody to ask": (["--where", "kind=air", "--stop"], 2, "Order 2 nodes to stop?"),
    "no such release": (["air-1", "--release", "air-9"], 3, "no release air-9"),
    "no such node": (["air-9", "--stop"], 3, "no node air-9"),
    "the other product": (["light-1", "--release", "air-1.4.1"], 4, "the release is for another product"),
    "one of two refuses": (["air-1", "light-1", "--release", "air-1.4.1"], 6, "1 of 2 nodes did not do it"),
    "no time to begin": (["air-1", "--stop", "--expires", "0"], 2, "--expires"),
}


@pytest.mark.parametrize(("words", "code", "text"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_ordered(desk: Desk, words: list[str], code: int, text: str) -> None:
    found = desk.run("update", *words, "--json")
    assert found.code == code
    assert text in found.error["message"]


def test_a_node_shows_what_it_runs_and_whether_it_proved_that(desk: Desk) -> None:
    empty = desk.run("show", "air-1", "--json").json["node"]
    assert (empty["release"], empty["proof"], empty["update"]) == (None, {}, {})
    desk.run("update", "air-1", "--release", "air-1.4.1")
    desk.take("state", State(online=True, boot=BOOT, manifest=desk.new.manifest).encode())
    assert "Proof              not proved\n" in desk.run("show", "air-1").out
    desk.confirm(desk.new.manifest)
    shown = desk.run("show", "air-1").out
    assert "Release            air-1.4.1\n" in shown
    assert f"Proof              proved 2027-01-15 08:00 UTC by boot {BOOT}\n" in shown
    assert "Update             order 1, install air-1.4.1: proved\n" in shown
    desk.take("state", State(online=True, boot=BOOT + 1, manifest=desk.old.manifest).encode())
    after = desk.run("show", "air-1", "--json").json["node"]
    assert (after["release"], after["proof"]) == ("air-1.4.0", {}), "the proof is of another program"


def test_a_node_shows_the_micropython_that_an_update_brought(desk: Desk) -> None:
    image = b"image"
    made = Trusted(desk.config).publish(desk.store, "air", "1.4.2", 12, program("1.4.2"), base=image)
    digest = sha256(image).digest()
    for base, words in ((digest, "1.29.0"), (sha256(b"another").digest(), sha256(b"another").hexdigest()[:12])):
        desk.run("update", "air-1", "--release", "air-1.4.2")
        desk.take("state", State(online=True, boot=BOOT, manifest=made.manifest).encode())
        desk.confirm(made.manifest, base)
        assert f" by boot {BOOT}, on MicroPython {words}\n" in desk.run("show", "air-1").out
        proof = desk.run("show", "air-1", "--json").json["node"]["proof"]
        assert (proof["base"], proof["micropython"]) == (base.hex(), "1.29.0" if base == digest else None)


def test_a_node_shows_how_far_an_update_is_and_how_those_before_ended(desk: Desk) -> None:
    desk.run("update", "air-1", "--release", "air-1.4.1")
    said = Status(counter=1, stage=update.DOWNLOADING, done=4096, total=36_000, root=1, floor=9, boot=BOOT)
    desk.take("ota", said.encode())
    tried = {1: 0, 2: update.TRIAL, 3: 0, 4: "", 5: desk.old.manifest}
    attrs = {**tried, 2: update.REVERTED, 3: refusals.U_CRASHED, 4: "ImportError: x"}
    both = [
        Event(seq, NOW_S, TQ_NTP_HOUR, events.UPDATE, PHASE_INSTANT, one).encode()
        for seq, one in enumerate((tried, attrs))
    ]
    desk.take("event", batch(*both, boot=BOOT))
    shown = desk.run("show", "air-1").out
    assert "order 1, install air-1.4.1: downloading, 4.1 kB of 36 kB\n" in shown
    assert "reverted  air-1.4.0  the new program ended with an exception: ImportError: x\n" in shown
    found = desk.run("show", "air-1", "--json").json["node"]
    assert {key: found["update"][key] for key in ("root", "floor", "other_slot", "verdict")} == {
        "root": 1, "floor": 9, "other_slot": None, "verdict": "open",
    }  # fmt: skip
    assert [row["code"] for row in found["update_history"]] == [refusals.U_CRASHED], "a trial is no end"
    assert f"counter=0, stage=on trial, code=0, manifest={desk.old.manifest.hex()[:12]}\n" in shown
