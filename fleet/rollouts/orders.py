"""From what a step wants to what nodes get: signed campaigns, configurations, epochs. Nothing is kept here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fleet import campaigns, proofs, signing
from fleet.config import Config
from fleet.configure import PROBATION_S
from fleet.model import DesiredConfig, Ordered
from fleet.rollout.model import Order, Rollout, Stop
from fleet.rollout.plan import Goal, Member, Plan
from fleet.store import Store
from fleet.store.rollouts import Epoch
from protocol import trust
from protocol.trust import Campaign, Signed

STOP_S = 7 * 86400  # how long a node may be away and still hear that it shall stop
HELD_S = 86400  # a group stays halted so much longer than its campaigns: clocks of nodes may be behind


@dataclass(frozen=True)
class Made:
    """What nodes get. `counters` has the number of each order or stop."""

    campaigns: tuple[Ordered, ...] = ()
    configs: tuple[DesiredConfig, ...] = ()

    @property
    def counters(self) -> dict[str, int]:
        """{node: the number of what it gets}."""
        return {one.node: one.counter for one in self.campaigns} | {one.node: one.rev for one in self.configs}


class Orders:
    """Signs with the online key."""

    def __init__(self, store: Store, config: Config) -> None:
        self._store = store
        self._config = config

    def campaigns(
        self, head: Rollout, plan: Plan, members: Mapping[str, Member], wanted: Sequence[Order | Stop], now_s: int
    ) -> Made:
        """Orders to install, to boot what ran before, or to stop. SignatureError when no node would obey them."""
        if not wanted:
            return Made()
        roots = signing.roots(self._config)
        if any(isinstance(one, Order) for one in wanted):  # a halt is not lost because of a root: epochs outlive it
            campaigns.check_root(self._config, roots, now_s)
        signer, actor = signing.campaign_signer(self._config), actor_of(head.id)
        nodes = [one.node for one in wanted]
        counters, before = self._store.campaigns.next_counters(nodes), self._store.campaigns.orders(nodes)
        made = []
        for one in wanted:
            if isinstance(one, Stop):
                campaign, manifest = _stop(one, before.get(one.node), plan.now, now_s), b""
            else:
                campaign, manifest = _order(one, head, plan, members[one.node], now_s)
            campaign.counter = counters[one.node]
            made.append(campaigns.sign(campaign, signer, roots.version, manifest, actor))
        return Made(tuple(made))

    def settings(self, head: Rollout, plan: Plan, wanted: Sequence[Order | Stop], now_s: int) -> Made:
        """Configurations: those of the plan, or those that its rollout replaced."""
        if not wanted:
            return Made()
        stops = {one.node for one in wanted if isinstance(one, Stop)}
        takes_back = plan.goal is Goal.PREVIOUS
        replaced = self._store.rollouts.config_before(plan.parent if takes_back else head.id)
        made = []
        for node, now in self._store.configs.next([one.node for one in wanted]).items():
            values = {**now.values, **plan.settings}
            if takes_back or node in stops:
                values = replaced.get(node, dict(now.values))
            kept = {key: value for key, value in values.items() if value is not None}
            made.append(DesiredConfig(node, now.rev, kept, now_s, PROBATION_S))
        return Made((), tuple(made))

    def epoch(self, newest: Epoch | None, halted: Mapping[int, int], now_s: int) -> Epoch:
        """The epoch that follows `newest`, with these groups: {group: when the last of its campaigns expires}."""
        number = max(now_s, newest.number + 1 if newest else 1)  # above what nodes know that a backup does not
        kept = sorted(halted.items(), key=lambda item: item[1], reverse=True)[: trust.MAX_HALTED]
        document = trust.Epoch(number=number, issued=now_s, halted=sorted(group for group, _ in kept)).encode()
        signed = Signed(document=document, root=signing.roots(self._config).version)
        signed = signing.add(signed, trust.EPOCH_TYPE, signing.campaign_signer(self._config))
        return Epoch(number, now_s, dict(kept), signed.encode())


def actor_of(rollout: int) -> str:
    """Who ordered it, in the name of a rollout."""
    return f"rollout {rollout}"


def _stop(one: Stop, before: Ordered | None, now: bool, now_s: int) -> Campaign:
    """Its nonce is that of the order that it stops: a proof that crosses it on the way still counts."""
    nonce = before.nonce if before else proofs.new_nonce()
    return Campaign(
        counter=1, nodes=[one.node], action=trust.STOP, issued=now_s, expires=now_s + STOP_S, nonce=nonce, now=now
    )


def _order(one: Order, head: Rollout, plan: Plan, member: Member, now_s: int) -> tuple[Campaign, bytes]:
    manifest, target = plan.manifest_of(member), plan.target_of(member.kind)
    is_boot = plan.goal is Goal.PREVIOUS
    campaign = Campaign(
        counter=1,
        nodes=[one.node],
        action=trust.BOOT if is_boot else trust.INSTALL,
        release=target.digest if target and not is_boot else b"",
        manifest=manifest if is_boot else b"",
        issued=now_s,
        expires=one.expires_s,
        nonce=proofs.new_nonce(),
        now=plan.now,
        force=plan.force,
        group=head.group,
        fetch=list(one.fetch),
        switch=list(one.switch),
    )
    return campaign, manifest
