"""What is known of nodes, as reports that the engine of rollouts understands.

A mirror of the newest facts is kept here to see what is new, never to decide what is true: it is filled from the
database, again and again, and a new one is as good as an old one.
"""

import json
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from fleet.model import Standing
from fleet.rollout.model import IN_FLIGHT, Execution, Report
from fleet.rollout.plan import Goal, Member, Plan
from fleet.store import Store
from fleet.store.facts import Fact
from protocol import messages, update
from protocol.trust import BOOT, INSTALL

WHOLE_MS = 30_000  # after so long all is read again, whatever was told meanwhile
OVERLAP_MS = 1_000  # what arrived in the same moment may be written later
GRACE_S = 86400  # an order that has begun is under way so long after its end


class Mirror:
    """The newest facts of the whole fleet; for one thread."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.facts: dict[str, Fact] = {}
        self._read_ms: int | None = None  # when all was read
        self._heard_ms = 0  # when the newest of all arrived

    def refresh(self, now_ms: int) -> set[str]:
        """Look at what arrived since the last look, sometimes at all; the nodes of which something is new."""
        whole = self._read_ms is None or not 0 <= now_ms - self._read_ms < WHOLE_MS
        if whole:
            self._read_ms, self._heard_ms = now_ms, 0  # a clock that was ahead is forgotten
        newest = self._store.facts.all() if whole else self._store.facts.since(self._heard_ms - OVERLAP_MS)
        return self._take(newest)

    def look(self, nodes: Iterable[str]) -> set[str]:
        """Look at some nodes; those of which something is new."""
        return self._take(self._store.facts.of(nodes))

    def _take(self, facts: Iterable[Fact]) -> set[str]:
        new = {fact.node for fact in facts if self.facts.get(fact.node) != fact}
        self.facts.update((fact.node, fact) for fact in facts)
        self._heard_ms = max([self._heard_ms, *(fact.last_seen_ms or 0 for fact in facts)])
        return new


def is_busy(fact: Fact, now_s: int) -> bool:
    """Whether the node's newest order may still be under way."""
    if fact.ordered is None or fact.action not in (INSTALL, BOOT):
        return False
    expires_s = fact.expires_s or 0
    if (fact.counter or 0) < fact.ordered:
        return expires_s > now_s
    return fact.counter == fact.ordered and fact.stage not in update.FINAL and expires_s + GRACE_S > now_s


def report_of(plan: Plan, settings: bool, member: Member, execution: Execution, fact: Fact) -> Report:
    """What is known of one node of a rollout; with `settings` it is about its configuration."""
    said = _of_settings(plan, execution, fact) if settings else _of_program(plan, member, execution, fact)
    return Report(
        node=fact.node,
        online=bool(fact.online),
        seen_s=(fact.last_seen_ms or 0) // 1000,
        manifest=fact.manifest or b"",
        retired=fact.standing == Standing.RETIRED.value,
        **said,
    )


def _of_program(plan: Plan, member: Member, execution: Execution, fact: Fact) -> dict[str, Any]:
    manifest, target = plan.manifest_of(member), plan.target_of(member.kind)
    base = target.base if target else b""
    counter, stage, code, text = fact.counter or 0, fact.stage or update.IDLE, fact.code or 0, fact.text or ""
    if stage == update.REFUSED and counter > max(fact.seen or 0, fact.ordered or 0):
        counter, stage, code, text = fact.seen or 0, update.IDLE, 0, ""  # of a forged order: whoever's word
    ours = max(execution.counter, execution.stop)
    if execution.stage in IN_FLIGHT and counter > max(fact.ordered or 0, ours):
        counter, stage, code, text = ours, update.IDLE, 0, ""  # of an order that nobody made: no way out of a gate
    if fact.ordered is not None and 0 < ours < fact.ordered and counter < fact.ordered:
        counter, stage, code, text = fact.ordered, update.IDLE, 0, ""  # somebody else ordered it since
    answers = fact.proved_nonce is not None and fact.proved_nonce == fact.nonce and fact.ordered == ours
    proved = answers and fact.proved_manifest == manifest and (not base or fact.proved_base in (b"", base))
    runs = bool(manifest) and fact.manifest == manifest
    return {"counter": counter, "stage": stage, "code": code, "text": text, "proved": proved, "runs": runs}


def _of_settings(plan: Plan, execution: Execution, fact: Fact) -> dict[str, Any]:
    rev, given, applied = fact.rev or 0, fact.config_desired or 0, fact.config_applied or 0
    ours = max(execution.counter, execution.stop)
    if 0 < ours < rev:  # somebody else configured it since
        return {"counter": rev, "stage": update.IDLE}
    done = ours > 0 and applied >= ours
    stage, code, text = update.WAITING, 0, ""
    if done:
        stage = update.CONFIRMED if has_settings(plan, fact) else update.STOPPED
    elif given == ours and fact.config_error not in (None, messages.E_NONE):
        stage, code, text = update.REFUSED, fact.config_error or 0, fact.config_path or ""
    proved = stage == update.CONFIRMED
    said = {"stage": stage, "code": code, "text": text, "proved": proved, "runs": proved}
    return {"counter": ours if done else given, **said}


def has_settings(plan: Plan, fact: Fact) -> bool:
    """Whether the configuration that the node shall have is that of the plan, not one that took it back."""
    wanted = _settings(fact.settings or "{}")
    return plan.goal is not Goal.CONFIG or all(wanted.get(str(key)) == value for key, value in plan.settings.items())


@lru_cache(4096)
def _settings(text: str) -> dict[str, Any]:
    """Nobody changes what several nodes share."""
    found: dict[str, Any] = json.loads(text)
    return found
