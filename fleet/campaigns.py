"""Use case: order nodes to run another program, and learn what became of it.

What a node would refuse is refused here first, as far as it is known here, and with the same words. An order is a row
of the database, signed with the online key; the service sends it until the node has heard of it. Nothing counts as
done but a proof by the program that runs (SPEC 15.7).
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from fleet import poll, proofs, signing
from fleet.config import Config
from fleet.errors import FleetError, NotAllowedError, PartlyFailedError, TimedOutError
from fleet.model import NodeUpdate, Ordered, Standing
from fleet.releases import contents, trust
from fleet.signing import Roots, SignatureError, Signer
from fleet.store import Store
from fleet.store.audit import Act, body_of
from fleet.store.nodes import NodeView
from fleet.store.releases import Published
from fleet.tail import refusal, stage_name
from protocol import refusals, update
from protocol.refusal_texts import text
from protocol.trust import BOOT, CAMPAIGN, CAMPAIGN_TYPE, INSTALL, STOP, Campaign, Release, Signed

LIFETIME_S = 86400
ACTIONS = {INSTALL: "install", STOP: "stop", BOOT: "previous"}


@dataclass(frozen=True)
class Wish:
    """What nodes shall do: install a release, boot the program in their other slot, or stop."""

    action: int  # INSTALL, BOOT, STOP
    release: Published | None = None  # with INSTALL
    now: bool = False  # restart also while a lamp is wanted
    force: bool = False  # also what failed on the node before
    lifetime_s: int = LIFETIME_S  # not begun afterwards


@dataclass(frozen=True)
class Plan:
    """What a wish means for one node."""

    node: str
    runs: bytes  # manifest of the program that runs; b"" = unknown
    manifest: bytes  # that shall run; b"" = whatever does
    refusal: str = ""  # why the node cannot be ordered so


class Verdict(StrEnum):
    """How an order stands."""

    OPEN = "open"
    DONE = "done"  # proved; or stopped
    FAILED = "failed"


@dataclass(frozen=True)
class Progress:
    """How far an order got, as its node says and proves."""

    node: str
    verdict: Verdict
    stage: str  # in words; "ordered" until the node has heard of it, "proved" at the end
    done: int = 0  # bytes
    total: int = 0
    reason: str = ""  # why it failed, or what it waits for


def plan(store: Store, config: Config, views: Sequence[NodeView], wish: Wish, now_s: int) -> list[Plan]:
    """What `wish` means for each of these nodes; changes nothing.

    NotAllowedError for a release that was yanked, SignatureError for one that no node would take, or when the root does
    not trust our online key; NotFoundError without a root.
    """
    roots = signing.roots(config)
    check_root(config, roots, now_s)
    release = None if wish.release is None else opened(wish.release, roots, now_s)
    said = store.campaigns.updates([view.node.id for view in views])
    return [_plan(view, said.get(view.node.id), wish, release) for view in views]


def order(
    store: Store, config: Config, plans: Sequence[Plan], wish: Wish, actor: str, now_s: int
) -> dict[str, Ordered]:
    """Sign an order for each plan without a refusal and keep it, which sends it; {node: order}.

    NotAllowedError for more than one node where the fleet demands approvals, unless they are to stop."""
    nodes = [one.node for one in plans if not one.refusal]
    if config.rollouts.approvals and len(nodes) > 1 and wish.action != STOP:
        raise NotAllowedError(
            f"{len(nodes)} nodes at once need approvals here",
            hint="`fleet rollout plan` shows a rollout to them, `fleet rollout start` asks for approvals",
            cause=f"rollouts.approvals is {config.rollouts.approvals} in fleet.toml",
        )
    signer, root = signing.campaign_signer(config), signing.roots(config).version
    counters = store.campaigns.next_counters(nodes)
    made = []
    for one in plans:
        if one.refusal:
            continue
        campaign = Campaign(
            counter=counters[one.node],
            nodes=[one.node],
            action=wish.action,
            release=wish.release.digest if wish.release else b"",
            manifest=one.manifest if wish.action == BOOT else b"",
            issued=now_s,
            expires=now_s + wish.lifetime_s,
            nonce=proofs.new_nonce(),
            now=wish.now,
            force=wish.force,
        )
        made.append(sign(campaign, signer, root, one.manifest, actor))
    figures = {"action": wish.action, "release": wish.release.digest if wish.release else b"", "force": wish.force}
    acts = [Act(now_s, actor, ACTIONS[wish.action], f"node {one.node}", "", body_of(figures)) for one in made]
    store.campaigns.set(made, acts)
    return {one.node: one for one in made}


def sign(campaign: Campaign, signer: Signer, root: int, manifest: bytes, actor: str) -> Ordered:
    """An order to the one node that `campaign` names, in its envelope; `manifest` shall run by it."""
    signed = signing.add(Signed(document=campaign.encode(), root=root), CAMPAIGN_TYPE, signer)
    about = campaign.counter, campaign.action, campaign.release, manifest, campaign.nonce
    times = campaign.issued, campaign.expires
    return Ordered(campaign.nodes[0], *about, signed.encode(), *times, actor, campaign.group)


def check_root(config: Config, roots: Roots, now_s: int) -> None:
    """SignatureError when nodes would take no order of ours under the present root."""
    root = roots.current
    if root.expires <= now_s:
        hint = "make the next root: `fleet key draft`"
        raise SignatureError(refusals.U_ROOT_EXPIRED, text(refusals.U_ROOT_EXPIRED), hint)
    signer = signing.campaign_signer(config)
    try:
        signing.verify(signing.add(Signed(document=b"\0"), CAMPAIGN_TYPE, signer), root, [CAMPAIGN], CAMPAIGN_TYPE)
    except SignatureError as error:
        cause = f"root {root.version} wants other keys in the role campaign"
        hint = "`fleet key list` shows which; make the next root with `fleet key draft`"
        raise SignatureError(refusals.U_CAMPAIGN_FORGED, "no node would obey our online key", hint, cause) from error


def opened(published: Published, roots: Roots, now_s: int) -> Release:
    """The release document, which nodes will take under the present root; errors as `plan` says."""
    if published.yanked_s is not None:
        cause = f"by {published.yanked_by}: {published.yanked_reason}"
        raise NotAllowedError(f"{published.id} was yanked", hint="`fleet release list` shows the others", cause=cause)
    signed, release = contents.opened(published.envelope)
    trust.verify(signed, release, roots.current, now_s)
    return release


def _plan(view: NodeView, said: NodeUpdate | None, wish: Wish, release: Release | None) -> Plan:
    runs = view.state.manifest if view.state else b""
    spare = said.spare if said else b""
    manifest = release.manifest if release else spare if wish.action == BOOT else b""
    if view.node.standing is not Standing.ACCEPTED:
        return Plan(view.node.id, runs, manifest, f"it is {view.node.standing}")
    code = refusals.U_NONE
    if said is not None and said.root == 0:
        code = refusals.U_NO_ROOT
    elif release is not None:
        code = unfit(view, said, release, wish.force)
    elif wish.action == BOOT and not spare:
        code = refusals.U_NO_SLOT
    return Plan(view.node.id, runs, manifest, text(code) if code else "")


def unfit(view: NodeView, said: NodeUpdate | None, release: Release, force: bool) -> int:
    """Why a node would refuse a release, U_* as far as it is known here; U_NONE when nothing speaks against it."""
    if release.product != view.node.kind.value:
        return refusals.U_PRODUCT
    if view.node.board not in release.boards:
        return refusals.U_BOARD
    if said is None:
        return refusals.U_NONE
    if release.sequence < said.floor:
        return refusals.U_ROLLBACK
    reverted = said.stage == update.REVERTED and said.manifest == release.manifest  # also when it may be innocent: then
    if reverted and not force:  # the node has tried it again as often as it does
        return refusals.U_QUARANTINED
    return refusals.U_NONE


def progress(ordered: Ordered, said: NodeUpdate | None, now_s: int, base: bytes = b"") -> Progress:
    """How far an order got, by what its node said last; `base` is the digest of the base image of its release."""
    if said is None or said.counter < ordered.counter:
        if now_s >= ordered.expires_s:
            return Progress(ordered.node, Verdict.FAILED, "ordered", reason="it expired before the node heard of it")
        return Progress(ordered.node, Verdict.OPEN, "ordered", reason="the node has not heard of it")
    if said.counter > ordered.counter and said.stage == update.REFUSED:
        return Progress(ordered.node, Verdict.OPEN, "ordered", reason="the node last spoke of an order that it refused")
    if said.counter > ordered.counter:
        return Progress(ordered.node, Verdict.FAILED, "ordered", reason="another order took its place")
    stage, reason = stage_name(said.stage), refusal(said.code, said.text)
    verdict = Verdict.OPEN
    if said.stage in update.FINAL:
        verdict = Verdict.DONE if ordered.action == STOP else Verdict.FAILED
    if said.stage == update.CONFIRMED and ordered.action != STOP:
        if is_proved(ordered, said, base):
            return Progress(ordered.node, Verdict.DONE, "proved", said.done, said.total)
        reason = "it says that it is done, and does not prove it"
    return Progress(ordered.node, verdict, stage, said.done, said.total, reason)


def is_proved(ordered: Ordered, said: NodeUpdate, base: bytes = b"") -> bool:
    """Whether the node proved, for this order, that it runs what it shall, on the base image `base` if that is given.

    A node with one partition takes no base image, and proves none.
    """
    proved = said.proved
    if proved is None or (proved.nonce, proved.manifest) != (ordered.nonce, ordered.manifest):
        return False
    return not base or proved.base in (b"", base)


def describe(one: Progress) -> str:
    """Where it is, and why, if there is a reason: `waiting: the node does not know the time`."""
    return f"{one.stage}: {one.reason}" if one.reason else one.stage


def watch(
    store: Store, orders: Mapping[str, Ordered], timeout_s: float, tell: Callable[[Progress], None]
) -> list[Progress]:
    """How the orders stand when all have ended, or after `timeout_s`. `tell` hears of each as it changes."""
    told: dict[str, Progress] = {}
    found = {release: store.releases.find(release) for release in {one.release for one in orders.values()}}
    bases = {release: row.base for release, row in found.items() if row}

    def look() -> list[Progress]:
        said = store.campaigns.updates(list(orders))
        now_s = int(time.time())
        found = [progress(one, said.get(node), now_s, bases.get(one.release, b"")) for node, one in orders.items()]
        for one in found:
            if told.get(one.node) != one:
                told[one.node] = one
                tell(one)
        return found

    def probe() -> list[Progress] | None:
        found = look()
        return found if all(one.verdict is not Verdict.OPEN for one in found) else None

    return poll.until(probe, timeout_s) or look()


def require_done(plans: Sequence[Plan], found: Sequence[Progress]) -> None:
    """Nothing when every node did it, otherwise FleetError.

    PartlyFailedError when some did, TimedOutError when one may still do it, NotAllowedError when all were refused here.
    """
    refused = {one.node: one.refusal for one in plans if one.refusal}
    open_ = {one.node: describe(one) for one in found if one.verdict is Verdict.OPEN}
    failed = {one.node: one.reason or one.stage for one in found if one.verdict is Verdict.FAILED}
    missing = {**refused, **failed, **open_}
    if not missing:
        return
    if len(missing) < len(plans):
        raise PartlyFailedError(f"{len(missing)} of {len(plans)} nodes did not do it", missing)
    node, why = next(iter((open_ or failed or refused).items()))
    which = node if len(missing) == 1 else f"none of {len(missing)} nodes did it; {node}"
    if open_:
        hint = f"`fleet node show {node}` tells how it goes on; the order stays in force"
        raise TimedOutError(f"{which}: {why}", hint=hint)
    if failed:
        raise FleetError(f"{which}: {why}", hint=f"`fleet node show {node}` and `fleet node logs {node}` tell more")
    again = why == text(refusals.U_QUARANTINED)
    hint = "--force tries it again all the same" if again else f"`fleet node show {node}` tells what is known of it"
    raise NotAllowedError(f"{which}: {why}", hint=hint)
