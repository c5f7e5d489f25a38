"""Whether a node can take part in a rollout, decided before anything is sent, and in the words of a refusal."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fleet import campaigns, selection
from fleet.model import Kind, NodeUpdate, Standing
from fleet.rollout.plan import Goal, Plan, Skipped, Target
from fleet.store.nodes import NodeView
from fleet.store.releases import Published
from protocol import refusals
from protocol.refusal_texts import text
from protocol.trust import Release

U_NONE = refusals.U_NONE


@dataclass(frozen=True)
class Facts:
    """What the plan wants, and what is known of every node."""

    plan: Plan
    releases: Mapping[Kind, tuple[Target, Release]] = field(default_factory=dict)
    said: Mapping[str, NodeUpdate] = field(default_factory=dict)
    published: Mapping[tuple[str, bytes], Published] = field(default_factory=dict)  # by product and manifest
    desired: Mapping[str, Mapping[int, Any]] = field(default_factory=dict)  # with CONFIG: {node: its settings}


def skipped(view: NodeView, facts: Facts) -> Skipped | None:
    """Why a node that was selected does not take part; None when it does."""
    if view.node.standing is not Standing.ACCEPTED:
        return Skipped(view.node.id, f"it is {view.node.standing}")
    if facts.plan.goal is Goal.CONFIG:
        return _config(view, facts)
    said = facts.said.get(view.node.id)
    if said is not None and said.root == 0:
        return _coded(view, refusals.U_NO_ROOT)
    if facts.plan.goal is Goal.PREVIOUS:
        return None if said is not None and said.spare else _coded(view, refusals.U_NO_SLOT)
    return _release(view, said, facts)


def _coded(view: NodeView, code: int) -> Skipped:
    return Skipped(view.node.id, text(code), code)


def _config(view: NodeView, facts: Facts) -> Skipped | None:
    desired = facts.desired.get(view.node.id, {})
    if any(desired.get(key) != value for key, value in facts.plan.settings.items()):
        return None
    return Skipped(view.node.id, "it shall have these settings already")


def _release(view: NodeView, said: NodeUpdate | None, facts: Facts) -> Skipped | None:
    if view.node.kind not in facts.releases:
        return Skipped(view.node.id, f"the rollout has no release for {view.node.kind}")
    target, release = facts.releases[view.node.kind]
    code = campaigns.unfit(view, said, release, facts.plan.force)
    if code:
        return _coded(view, code)
    if _runs(view, said, target):
        return Skipped(view.node.id, "it runs that already")
    newer = _newer(view, target, release, facts)
    return Skipped(view.node.id, newer) if newer else None


def _runs(view: NodeView, said: NodeUpdate | None, target: Target) -> bool:
    if view.state is None or view.state.manifest != target.manifest:
        return False
    proved = said.proved if said else None
    return not target.base or proved is None or proved.manifest != target.manifest or proved.base == target.base


def _newer(view: NodeView, target: Target, release: Release, facts: Facts) -> str:
    """What it runs, when that is newer than the target: by sequence if we published it, else by version (semver)."""
    state = view.state
    if state is None:
        return ""
    runs = facts.published.get((view.node.kind.value, state.manifest))
    if runs is not None:
        return f"it runs {runs.id}, which is newer" if runs.sequence > target.sequence else ""
    if state.manifest != target.manifest and (selection.compare(state.firmware or None, release.version) or 0) > 0:
        return f"it runs version {state.firmware}, which is newer"
    return ""
