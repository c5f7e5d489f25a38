"""Orders to update as a use case: what is refused before it is sent, what is sent, and how an order stands."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from fleet import campaigns, proofs, signing
from fleet.campaigns import Progress, Verdict, Wish
from fleet.config import Config
from fleet.errors import FleetError, NotAllowedError, NotFoundError, PartlyFailedError, TimedOutError
from fleet.ingest.sorter import Sorter
from fleet.model import Kind, Ordered
from fleet.provision import Provisioner, Request
from fleet.signing import SignatureError
from fleet.store import Store
from fleet.store.releases import Published
from fleet.tests.cli_rig import make_fleet
from fleet.tests.store_rig import delivery
from fleet.tests.update_rig import FAR_S, Trusted, program
from protocol import refusals, trust, update
from protocol.messages import State
from protocol.refusal_texts import text
from protocol.trust import BOOT, INSTALL, STOP, Campaign, Signed
from protocol.update import Proof, Status

NOW_S = 1_763_800_000
BOOT_NUMBER = 30_000_000
SPARE = bytes([7]) * 32


@dataclass
class Desk:
    """A fleet with nodes and a release, and what the service would write."""

    config: Config
    store: Store
    trusted: Trusted
    release: Published

    def say(self, node: str = "air-1", at_s: int = NOW_S, **values: Any) -> None:
        """A Status of a node is stored."""
        secret = proofs.secret_of(self.config)
        judge = proofs.Judge(secret, lambda name: self.store.nodes.get(name).boot0)
        status = Status(**{"root": 1, "boot": BOOT_NUMBER, "t": at_s, "spare": SPARE, **values})
        self._take(delivery(node, "ota", status.encode(), at_s), Sorter(self.store.nodes.keys, judge.holds))

    def state(self, node: str, manifest: bytes) -> None:
        state = State(online=True, boot=BOOT_NUMBER, manifest=manifest, slot="b")
        self._take(delivery(node, "state", state.encode()), Sorter(self.store.nodes.keys))

    def _take(self, message: Any, sorter: Sorter) -> None:
        intake = self.store.intake()
        intake.write(sorter.sort([message]))
        intake.close()

    def proof(self, order: Ordered, **values: Any) -> Proof:
        claims = {"nonce": order.nonce, "manifest": order.manifest, "boot": BOOT_NUMBER, "slot": "b", "confirmed": True}
        made = Proof(**{**claims, **values})
        key = proofs.key_of(proofs.secret_of(self.config), order.node, self.store.nodes.get(order.node).boot0)
        made.mac = update.prove(key, order.node, made)
        return made

    @property
    def install(self) -> Wish:
        return Wish(INSTALL, self.release)

    def plan(self, wish: Wish, *nodes: str, now_s: int = NOW_S) -> list[campaigns.Plan]:
        views = [self.store.nodes.view(node) for node in nodes or ("air-1",)]
        return campaigns.plan(self.store, self.config, views, wish, now_s)

    def order(self, wish: Wish, *nodes: str) -> dict[str, Ordered]:
        return campaigns.order(self.store, self.config, self.plan(wish, *nodes), wish, "me@desk", NOW_S)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    config = make_fleet(tmp_path / "fleet")
    trusted = Trusted(config)
    with Store.open(config.store_url) as store:
        provisioner = Provisioner(config, store.nodes)
        kinds = {"air-1": Kind.AIR, "air-2": Kind.AIR, "old-1": Kind.AIR, "light-1": Kind.LIGHT}
        provisioner.provision(*(Request(node, kind, "esp32") for node, kind in kinds.items()))
        provisioner.retire("old-1")
        yield Desk(config, store, trusted, trusted.publish(store, "air", "1.4.0", 14, program("1.4.0")))


def test_an_order_is_signed_for_one_node_and_kept(desk: Desk) -> None:
    made = desk.order(replace(desk.install, now=True, lifetime_s=60), "air-1", "air-2")
    assert made == desk.store.campaigns.orders()
    order = made["air-1"]
    assert (order.counter, order.release, order.manifest) == (1, desk.release.digest, desk.release.manifest)
    signed = Signed.decode(order.envelope)
    assert signed.root == 1
    root = signing.roots(desk.config).current
    signing.verify(signed, root, [trust.CAMPAIGN], trust.CAMPAIGN_TYPE)
    assert Campaign.decode(signed.document) == Campaign(
        counter=1, nodes=["air-1"], action=INSTALL, release=desk.release.digest, issued=NOW_S, expires=NOW_S + 60,
        nonce=order.nonce, now=True,
    )  # fmt: skip
    assert order.nonce != made["air-2"].nonce
    assert desk.order(Wish(STOP))["air-1"].counter == 2


def test_the_program_before_is_named_by_its_manifest(desk: Desk) -> None:
    desk.say(counter=4)
    order = desk.order(Wish(BOOT))["air-1"]
    campaign = Campaign.decode(Signed.decode(order.envelope).document)
    assert (campaign.counter, campaign.manifest, campaign.release, order.manifest) == (5, SPARE, b"", SPARE)


# sentence: (node, what it said, wish, why it is refused)
REFUSED: dict[str, tuple[str, dict[str, Any] | None, Wish | None, str]] = {
    "it never said anything": ("air-1", None, None, ""),
    "it has a root": ("air-1", {}, None, ""),
    "it was provisioned without one": ("air-1", {"root": 0}, None, text(refusals.U_NO_ROOT)),
    "the other product": ("light-1", {}, None, text(refusals.U_PRODUCT)),
    "retired": ("old-1", None, None, "it is retired"),
    "at its floor": ("air-1", {"floor": 14}, None, ""),
    "below its floor": ("air-1", {"floor": 15}, None, text(refusals.U_ROLLBACK)),
    "nothing in the other slot": ("air-1", {"spare": b""}, Wish(BOOT), text(refusals.U_NO_SLOT)),
    "never said what is in the other slot": ("air-1", None, Wish(BOOT), text(refusals.U_NO_SLOT)),
    "a stop of what nobody knows": ("air-1", None, Wish(STOP), ""),
}


@pytest.mark.parametrize(("node", "said", "wish", "why"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused_here(desk: Desk, node: str, said: dict[str, Any] | None, wish: Wish | None, why: str) -> None:
    if said is not None:
        desk.say(node, **said)
    (plan,) = desk.plan(wish or desk.install, node)
    assert plan.refusal == why
    assert (node in desk.order(wish or desk.install, node)) == (not why)


@pytest.mark.parametrize("code", [refusals.U_HUNG, refusals.U_POWER, refusals.U_UNREACHED])
def test_what_failed_before_needs_force(desk: Desk, code: int) -> None:
    desk.say(stage=update.REVERTED, code=code, manifest=desk.release.manifest, counter=3)
    (plan,) = desk.plan(desk.install)
    assert plan.refusal == text(refusals.U_QUARANTINED)
    assert desk.plan(replace(desk.install, force=True))[0].refusal == ""


def test_a_board_that_the_release_does_not_serve(desk: Desk) -> None:
    other = desk.trusted.publish(desk.store, "air", "1.5.0", 15, program("1.5.0"), boards=["esp32s3_air"])
    assert desk.plan(Wish(INSTALL, other))[0].refusal == text(refusals.U_BOARD)


def test_a_release_that_no_node_would_take_is_refused_at_once(desk: Desk) -> None:
    with pytest.raises(SignatureError, match="expired"):
        desk.plan(desk.install, now_s=FAR_S)
    short = desk.trusted.publish(desk.store, "air", "1.5.0", 15, program("1.5.0"), expires=NOW_S + 5)
    with pytest.raises(SignatureError, match="the release has expired"):
        desk.plan(Wish(INSTALL, short), now_s=NOW_S + 5)
    desk.store.releases.yank(desk.release.digest, NOW_S, "ops@desk", "burns")
    with pytest.raises(NotAllowedError, match="burns"):
        desk.plan(Wish(INSTALL, desk.store.releases.get(desk.release.digest)))
    assert desk.store.campaigns.orders() == {}


def test_an_online_key_that_nodes_do_not_trust_is_noticed_here(desk: Desk) -> None:
    desk.config.campaign_key_file.write_bytes(signing.make.private_pem(signing.make.new_key()))
    with pytest.raises(SignatureError, match="online key"):
        desk.plan(desk.install)
    for path in desk.config.keys_dir.glob("root-*"):
        path.unlink()
    with pytest.raises(NotFoundError, match="no root of trust"):
        desk.plan(desk.install)


# sentence: (what the node says, verdict, stage, reason)
STANDS: dict[str, tuple[dict[str, Any] | None, Verdict, str, str]] = {
    "silence": (None, Verdict.OPEN, "ordered", "the node has not heard of it"),
    "an older order": ({"counter": 6}, Verdict.OPEN, "ordered", "the node has not heard of it"),
    "a newer order": ({"counter": 8}, Verdict.FAILED, "ordered", "another order took its place"),
    "a refusal of what somebody else sent": (
        {"counter": 1 << 31, "stage": update.REFUSED, "code": refusals.U_CAMPAIGN_FORGED},
        Verdict.OPEN, "ordered", "the node last spoke of an order that it refused",
    ),
    "on its way": ({"stage": update.DOWNLOADING}, Verdict.OPEN, "downloading", ""),
    "no time yet": (
        {"stage": update.CHECKING, "code": refusals.U_TIME}, Verdict.OPEN, "checking", text(refusals.U_TIME),
    ),
    "on trial": ({"stage": update.TRIAL}, Verdict.OPEN, "on trial", ""),
    "refused": ({"stage": update.REFUSED, "code": refusals.U_CHIP}, Verdict.FAILED, "refused", text(refusals.U_CHIP)),
    "reverted, in its own words": (
        {"stage": update.REVERTED, "code": refusals.U_CRASHED, "text": "ImportError: x"},
        Verdict.FAILED, "reverted", f"{text(refusals.U_CRASHED)}: ImportError: x",
    ),
    "a word and no proof": (
        {"stage": update.CONFIRMED}, Verdict.FAILED, "confirmed", "it says that it is done, and does not prove it",
    ),
    "a code of a newer node": ({"stage": update.FAILED, "code": 200}, Verdict.FAILED, "failed", "code 200"),
}  # fmt: skip


@pytest.mark.parametrize(("said", "verdict", "stage", "reason"), STANDS.values(), ids=STANDS)
def test_how_an_order_stands(
    desk: Desk, said: dict[str, Any] | None, verdict: Verdict, stage: str, reason: str
) -> None:
    desk.say(counter=6)
    order = desk.order(desk.install)["air-1"]
    assert order.counter == 7
    if said is not None:
        desk.say(at_s=NOW_S + 1, **{"counter": 7, "done": 5, "total": 9, **said})
    found = campaigns.progress(order, desk.store.campaigns.updates().get("air-1"), NOW_S)
    assert (found.verdict, found.stage, found.reason) == (verdict, stage, reason)


def test_only_a_proof_for_this_order_is_the_end(desk: Desk) -> None:
    def stands(order: Ordered, **proof: Any) -> str:
        made = desk.proof(order, **proof)
        desk.say(at_s=NOW_S + order.counter, counter=order.counter, stage=update.CONFIRMED, proof=made)
        return campaigns.progress(order, desk.store.campaigns.updates()["air-1"], NOW_S).stage

    order = desk.order(desk.install)["air-1"]
    assert stands(order, manifest=SPARE) == "confirmed", "it runs something else"
    assert stands(order, boot=BOOT_NUMBER + 1) == "proved"
    again = desk.order(desk.install)["air-1"]
    assert stands(again, nonce=order.nonce) == "confirmed", "that is the proof of the order before"
    assert stands(again, boot=BOOT_NUMBER + 2) == "proved"


def test_a_proof_on_another_base_image_is_none(desk: Desk) -> None:
    release = desk.trusted.publish(desk.store, "air", "1.5.0", 15, program("1.5.0"), base=b"image")
    assert release.base
    rows = {
        "another": (b"\1" * 32, "confirmed"),
        "the one of the release": (release.base, "proved"),
        "none": (b"", "proved"),
    }
    for at, (sentence, (base, stage)) in enumerate(rows.items()):
        orders = desk.order(Wish(INSTALL, release))
        made = desk.proof(orders["air-1"], base=base, boot=BOOT_NUMBER + at)
        desk.say(at_s=NOW_S + at, counter=orders["air-1"].counter, stage=update.CONFIRMED, proof=made)
        said = desk.store.campaigns.updates()["air-1"]
        assert campaigns.progress(orders["air-1"], said, NOW_S, release.base).stage == stage, sentence
        assert [one.stage for one in campaigns.watch(desk.store, orders, 0, lambda one: None)] == [stage], sentence


@pytest.mark.parametrize(("stage", "verdict"), [(update.STOPPED, Verdict.DONE), (update.TRIAL, Verdict.OPEN)])
def test_a_stop_is_done_when_nothing_goes_on(desk: Desk, stage: int, verdict: Verdict) -> None:
    order = desk.order(Wish(STOP))["air-1"]
    desk.say(counter=1, stage=stage)
    assert campaigns.progress(order, desk.store.campaigns.updates()["air-1"], NOW_S).verdict is verdict


def test_an_order_that_nobody_heard_of_expires(desk: Desk) -> None:
    order = desk.order(replace(desk.install, lifetime_s=60))["air-1"]
    assert campaigns.progress(order, None, NOW_S + 59).verdict is Verdict.OPEN
    found = campaigns.progress(order, None, NOW_S + 60)
    assert (found.verdict, found.reason) == (Verdict.FAILED, "it expired before the node heard of it")


def test_watching_tells_of_changes_and_ends_with_the_last(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaigns.time, "time", lambda: NOW_S)
    orders = desk.order(desk.install, "air-1", "air-2")
    told: list[Progress] = []
    assert len(campaigns.watch(desk.store, orders, 0, told.append)) == 2
    assert [one.stage for one in told] == ["ordered", "ordered"]

    def answer(one: Progress) -> None:
        told.append(one)
        if one.stage == "ordered":
            desk.say(one.node, counter=1, stage=update.CONFIRMED, proof=desk.proof(orders[one.node]))

    told.clear()
    found = campaigns.watch(desk.store, orders, 60, answer)
    assert [one.stage for one in told] == ["ordered", "ordered", "proved", "proved"]
    campaigns.require_done(desk.plan(desk.install, "air-1", "air-2"), found)


DONE, OPEN, GONE = (
    Progress("air-1", Verdict.DONE, "proved"),
    Progress("air-2", Verdict.OPEN, "waiting"),
    Progress("air-3", Verdict.FAILED, "reverted", reason="it hung"),
)
REFUSAL = campaigns.Plan("air-4", b"", b"", "it is retired")
ENDS = {
    "one is under way, one is done": ([DONE, OPEN], [], PartlyFailedError, "1 of 2 nodes did not do it"),
    "one failed, one is done": ([DONE, GONE], [], PartlyFailedError, "1 of 2"),
    "one was refused here, one is done": ([DONE], [REFUSAL], PartlyFailedError, "1 of 2"),
    "one failed": ([GONE], [], FleetError, "air-3: it hung"),
    "one is under way": ([OPEN], [], TimedOutError, "air-2: waiting"),
    "one failed, the other is under way": ([GONE, OPEN], [], TimedOutError, "none of 2 nodes did it; air-2"),
    "one was refused here": ([], [REFUSAL], NotAllowedError, "air-4: it is retired"),
    "one was refused here, one failed": ([GONE], [REFUSAL], FleetError, "none of 2"),
}


@pytest.mark.parametrize(("found", "refused", "error", "words"), ENDS.values(), ids=ENDS)
def test_how_it_may_end(
    found: list[Progress], refused: list[campaigns.Plan], error: type[FleetError], words: str
) -> None:
    plans = [*(campaigns.Plan(one.node, b"", b"") for one in found), *refused]
    with pytest.raises(error, match=words) as caught:
        campaigns.require_done(plans, found)
    assert type(caught.value) is error
    campaigns.require_done([campaigns.Plan("air-1", b"", b"")], [DONE])


def test_a_judge_notices_that_a_node_was_provisioned_anew() -> None:
    secret, boot0 = bytes(32), [5]
    judge = proofs.Judge(secret, lambda _node: boot0[0])

    def made(minute: int) -> Proof:
        proof = Proof(nonce=b"n", confirmed=True)
        proof.mac = update.prove(proofs.key_of(secret, "air-1", minute), "air-1", proof)
        return proof

    assert judge.holds("air-1", made(5))
    boot0[0] = 6
    assert judge.holds("air-1", made(6))
    assert not judge.holds("air-1", made(5)), "the key before is worth nothing any more"
