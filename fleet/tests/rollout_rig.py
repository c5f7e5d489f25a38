"""What the tests of rollouts share: a fleet with two releases, nodes that obey in a few turns, and their service.

The nodes are no firmware: they walk through the stages of an update, one at a turn, and stop when they are told.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fleet import proofs
from fleet.bus import Message
from fleet.config import Config
from fleet.deliver import Deliver
from fleet.ingest.sorter import Sorter
from fleet.model import Kind
from fleet.provision import Provisioner, Request
from fleet.rollout.canary import Judgement
from fleet.rollout.model import Command, Execution, Phase, Step, Verb
from fleet.rollout.plan import Gate, Judging, Limits, Member, Plan, Target, Wave
from fleet.rollout.replay import replay
from fleet.rollouts.driver import Driver
from fleet.rollouts.epoch import EpochDelivery
from fleet.rollouts.operate import operate
from fleet.store import Store
from fleet.store.releases import Published
from fleet.tests.cli_rig import make_fleet
from fleet.tests.store_rig import delivery
from fleet.tests.update_rig import Trusted, program
from protocol import refusals, topics, trust, update
from protocol.messages import State
from protocol.trust import BOOT, INSTALL, STOP, Campaign, Epoch, Signed
from protocol.update import Proof, Status

NOW_S = 1_763_800_000
BOOT_NUMBER = 30_000_000
WAY = (update.CHECKING, update.DOWNLOADING, update.WAITING, update.TRIAL, update.CONFIRMED)
GATE = Gate(soak_s=3, deadline_s=60, sample=2)
WAVES = (Wave("canary", count=1, judged=False, gate=GATE), Wave("rest", judged=False, gate=GATE))

Told = tuple[str, str, bytes]  # node, name of the topic, payload


@dataclass
class Node:
    """One node, and what it has published since it was asked last."""

    name: str
    key: bytes
    manifests: Mapping[bytes, bytes]  # {release: its manifest}
    runs: bytes
    bad: frozenset[bytes] = frozenset()  # manifests that it reverts
    boot: int = BOOT_NUMBER
    spare: bytes = b""
    campaign: Campaign | None = None
    stage: int = update.IDLE
    now_s: int = NOW_S
    epoch: Epoch | None = None
    deaf: bool = False  # to epochs
    seen: list[Campaign] = field(default_factory=list)  # every order that it took
    said: list[Told] = field(default_factory=list)

    def hear(self, name: str, payload: bytes) -> None:
        """What the broker has for it."""
        document = Signed.decode(payload).document
        if name == topics.EPOCH and self.deaf:
            return
        if name == topics.EPOCH:
            found = Epoch.decode(document)
            if self.epoch is None or found.number > self.epoch.number:
                self.epoch = found
            return
        campaign = Campaign.decode(document)
        if self.campaign is None or campaign.counter > self.campaign.counter:
            was, self.campaign = self.stage, campaign
            self.seen.append(campaign)
            self.stage = update.STOPPED if campaign.action == STOP else update.IDLE
            if campaign.action == STOP:
                if was == update.TRIAL:
                    self._swap()
                code = refusals.U_STOPPED if update.IDLE < was <= update.TRIAL else 0
                self.say(self.now_s, code=code)

    def turn(self, now_s: int) -> None:
        """The next stage of what it was ordered."""
        self.now_s = now_s
        if self.campaign is None or self.stage in update.FINAL:
            return
        if self.epoch is not None and self.campaign.group in self.epoch.halted:
            if self.stage == update.TRIAL:
                self._swap()
            self.stage = update.STOPPED
            self.say(now_s, code=refusals.U_HALTED)
            return
        self.stage = WAY[WAY.index(self.stage) + 1] if self.stage in WAY else WAY[0]
        if self.stage == update.TRIAL:
            self._swap()
            if self.runs in self.bad:
                self._swap()
                self.stage = update.REVERTED
        self.say(now_s, code=refusals.U_HUNG if self.stage == update.REVERTED else 0)

    def _swap(self) -> None:
        assert self.campaign is not None
        if self.campaign.action == INSTALL and self.stage == update.TRIAL and self.spare == b"":
            self.spare = self.manifests[self.campaign.release]
        if self.campaign.action == INSTALL and self.runs != self.manifests[self.campaign.release]:
            self.spare = self.manifests[self.campaign.release]
        self.runs, self.spare, self.boot = self.spare, self.runs, self.boot + 1
        self.state()

    def state(self, online: bool = True) -> None:
        """Its State."""
        message = State(online=online, boot=self.boot, manifest=self.runs, slot="b", firmware="1")
        self.said.append((self.name, "state", message.encode()))

    def say(self, now_s: int, **more: Any) -> None:
        """Its Status, with a proof once it is confirmed."""
        counter = self.campaign.counter if self.campaign else 0
        status = Status(counter=counter, stage=self.stage, boot=self.boot, t=now_s, root=1, spare=self.spare, **more)
        if self.stage == update.CONFIRMED and self.campaign:
            proof = Proof(nonce=self.campaign.nonce, manifest=self.runs, slot="b", boot=self.boot, confirmed=True)
            proof.mac = update.prove(self.key, self.name, proof)
            status.proof = proof
        self.said.append((self.name, "ota", status.encode()))


class Service:
    """What `fleet serve` does with rollouts, a second at a time and without threads."""

    def __init__(
        self,
        config: Config,
        publish: Callable[[Sequence[Message]], list[int]],
        judge: Callable[..., Judgement | None] = lambda *_: None,
    ) -> None:
        self.config = config
        self.store = Store.open(config.store_url)
        self.now_s = NOW_S
        secret = proofs.secret_of(config)
        judges = proofs.Judge(secret, lambda name: self.store.nodes.get(name).boot0)
        self._sorter = Sorter(self.store.nodes.keys, judges.holds)
        self._intake = self.store.intake()
        self.driver = Driver(self.store, config, judge=judge)
        self.deliver = Deliver(self.store, publish, lambda: self.now_s * 1000)

        def retained(topic: str, payload: bytes, retain: bool) -> None:
            publish([Message(topic, payload, retain)])

        self.halted = EpochDelivery(self.store, retained, lambda: 1)

    def take(self, told: Sequence[Told]) -> None:
        """Store what nodes said."""
        deliveries = [delivery(node, name, payload, self.now_s) for node, name, payload in told]
        self._intake.write(self._sorter.sort(deliveries))

    def tick(self, now_s: int, told: Sequence[Told] = ()) -> None:
        """One second of it."""
        self.now_s = now_s
        if told:
            self.take(told)
        self.driver.tick(now_s)
        self.halted.step()
        self.deliver.step()

    def close(self) -> None:
        self._intake.close()
        self.store.close()


@dataclass
class World:
    """A fleet, its nodes, and the broker between them and the service."""

    config: Config
    store: Store
    trusted: Trusted
    old: Published
    new: Published
    nodes: dict[str, Node]
    now_s: int = NOW_S
    wire: list[Message] = field(default_factory=list)  # everything that was ever published
    _service: Service | None = None

    @classmethod
    def make(cls, directory: Path, count: int = 4, bad: Sequence[str] = ()) -> "World":
        config = make_fleet(directory)
        store = Store.open(config.store_url)
        names = [f"air-{number:02}" for number in range(count)]
        Provisioner(config, store.nodes).provision(*(Request(name, Kind.AIR, "esp32") for name in names))
        trusted = Trusted(config)
        old, new = (trusted.publish(store, "air", f"1.{at}.0", 10 + at, program(f"1.{at}.0", 500)) for at in (0, 1))
        secret = proofs.secret_of(config)
        releases = {old.digest: old.manifest, new.digest: new.manifest}
        nodes = {
            name: Node(
                name, proofs.key_of(secret, name, store.nodes.get(name).boot0), releases, old.manifest,
                frozenset([new.manifest] if name in bad else []),
            )
            for name in names
        }  # fmt: skip
        world = cls(config, store, trusted, old, new, nodes)
        for node in nodes.values():
            node.state()
            node.say(NOW_S)
        return world

    @property
    def target(self) -> Target:
        return Target(Kind.AIR, self.new.id, self.new.digest, self.new.manifest, self.new.sequence)

    def plan(self, **more: Any) -> Plan:
        values: dict[str, Any] = {
            "name": "spring", "targets": (self.target,), "waves": WAVES, "limits": Limits(per_minute=6000),
            "judging": Judging(enabled=False), "expires_s": 3600,
        }  # fmt: skip
        return Plan(**{**values, **more})

    def members(self, plan: Plan) -> list[Member]:
        """The first node is the canary."""
        last = len(plan.waves) - 1
        return [
            Member(name, Kind.AIR, min(at, last), before=node.runs)
            for at, (name, node) in enumerate(self.nodes.items())
        ]

    def add(self, **more: Any) -> int:
        plan = self.plan(**more)
        return self.store.rollouts.add(plan, self.members(plan), [], "ops@desk", self.now_s, "00")

    def say(self, verb: Verb, rollout: int = 1, **more: Any) -> Step:
        return operate(self.store, self.config, rollout, Command(verb, "ops@desk", **more), self.now_s)

    @property
    def service(self) -> Service:
        if self._service is None:
            self._service = Service(self.config, self.publish)
        return self._service

    def publish(self, messages: Sequence[Message]) -> list[int]:
        self.wire += messages
        for message in messages:
            for node in self.nodes.values():
                if message.topic in (topics.EPOCH, topics.down(node.name, "ota")):
                    node.hear(message.topic, message.payload)
        return list(range(len(messages)))

    def told(self) -> list[Told]:
        """What nodes said since the last look."""
        found = [said for node in self.nodes.values() for said in node.said]
        for node in self.nodes.values():
            node.said.clear()
        return found

    def run(self, seconds: int, until: Callable[[], bool] = lambda: False) -> None:
        """So many seconds, or fewer: nodes take a turn, then the service a tick."""
        for _ in range(seconds):
            if until():
                return
            self.now_s += 1
            for node in self.nodes.values():
                node.turn(self.now_s)
            self.service.tick(self.now_s, self.told())

    def run_to(self, phase: Phase, rollout: int = 1, seconds: int = 200) -> None:
        self.run(seconds, lambda: self.phase(rollout) is phase)
        assert self.phase(rollout) is phase, self.store.rollouts.get(rollout).head

    def phase(self, rollout: int = 1) -> Phase:
        return self.store.rollouts.get(rollout).head.phase

    def stages(self, rollout: int = 1) -> dict[str, str]:
        return {node: one.stage.value for node, one in self.executions(rollout).items()}

    def executions(self, rollout: int = 1) -> Mapping[str, Execution]:
        return self.store.rollouts.state(rollout).executions

    def close(self) -> None:
        if self._service is not None:
            self._service.close()
        self.store.close()


def campaigns_of(wire: Sequence[Message]) -> dict[str, dict[int, set[bytes]]]:
    """{node: {counter: the payloads that were published under it}}."""
    found: dict[str, dict[int, set[bytes]]] = {}
    for message in wire:
        if message.topic.endswith("/down/ota"):
            campaign = Campaign.decode(Signed.decode(message.payload).document)
            found.setdefault(campaign.nodes[0], {}).setdefault(campaign.counter, set()).add(message.payload)
    return found


def actions_of(wire: Sequence[Message], action: int) -> dict[str, int]:
    """{node: how many orders with that action it got}."""
    found: dict[str, int] = {}
    for node, orders in campaigns_of(wire).items():
        for payloads in orders.values():
            campaign = Campaign.decode(Signed.decode(next(iter(payloads))).document)
            found[node] = found.get(node, 0) + (campaign.action == action)
    return {node: count for node, count in found.items() if count}


def assert_replays(world: World, rollout: int = 1) -> None:
    """The log holds, and every decision comes out of it once more."""
    world.store.audit.verify()
    view, members = world.store.rollouts.get(rollout), world.store.rollouts.members(rollout)
    entries = world.store.audit.entries(f"rollout {rollout}")
    decisions = list(replay(rollout, view.plan, members, [(one.seq, one.body) for one in entries if one.body]))
    assert [one.differs for one in decisions] == [""] * len(decisions)
    assert decisions[-1].after == world.store.rollouts.state(rollout)


__all__ = ["BOOT", "INSTALL", "STOP", "Node", "Service", "World", "actions_of", "campaigns_of", "replace", "trust"]
