"""Use cases over the log of a rollout: take every decision again, and ask what other gates would have done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fleet.errors import NotFoundError, UsageError, VerificationError
from fleet.rollout import replay as again
from fleet.rollout import whatif as otherwise
from fleet.rollout.canary import rejudge
from fleet.rollout.model import Verb, Verdict
from fleet.rollout.plan import Plan
from fleet.rollout.replay import Decision
from fleet.rollout.whatif import Answer
from fleet.store import Store
from fleet.store.rollouts import RolloutView

DECISIONS = frozenset({"step", *Verb})  # what entries of the log are called that hold one


@dataclass(frozen=True)
class Replayed:
    """A rollout's decisions, each taken once more."""

    rollout: RolloutView
    decisions: Sequence[Decision]
    faults: Mapping[int, str]  # {number of the entry: what is not as the log says}; empty = all is

    @property
    def first(self) -> int | None:
        """The first entry that differs."""
        return min(self.faults, default=None)


def replay(store: Store, name: str) -> Replayed:
    """Take every decision of a rollout again, and judge its evidence again; NotFoundError.

    VerificationError when the chain of the log is broken, or an entry holds no decision.
    """
    rollout = store.rollouts.get(name)
    store.audit.verify()
    bodies = [(one.seq, one.body) for one in store.audit.entries(f"rollout {rollout.id}") if one.action in DECISIONS]
    members = store.rollouts.members(rollout.id)
    try:
        decisions = list(again.replay(rollout.id, rollout.plan, members, bodies))
    except (ValueError, LookupError, TypeError) as error:
        cause = f"an entry holds no decision: {error}"
        raise VerificationError(f"the log of rollout {rollout.id} cannot be read", cause=cause) from error
    faults = {one.seq: one.differs for one in decisions if one.differs}
    faults = {**_verdicts(store, decisions), **faults}
    if decisions and not faults and (differs := _end(store, decisions[-1])):
        faults[decisions[-1].seq] = differs
    return Replayed(rollout, decisions, faults)


def require_same(found: Replayed) -> None:
    """VerificationError that names the first decision which comes out otherwise."""
    if found.first is None:
        return
    also = f"; {len(found.faults) - 1} more differ" if len(found.faults) > 1 else ""
    raise VerificationError(
        f"entry {found.first} of the log does not come out as it was logged",
        cause=found.faults[found.first] + also,
        hint="another version of this program decided it, or somebody changed the database: `fleet audit verify`",
    )


def whatif(
    store: Store, name: str, gate: Mapping[str, int], limits: Mapping[str, int], judging: Mapping[str, int]
) -> tuple[RolloutView, Plan, Answer]:
    """(the rollout, the plan with other gates, what that would have done); UsageError when nothing would be other."""
    found = replay(store, name)
    if not found.decisions:
        raise NotFoundError(
            f"rollout {found.rollout.id} has decided nothing yet", hint="`fleet rollout start` begins it"
        )
    plan = otherwise.changed(found.rollout.plan, gate, limits, judging)
    if plan == found.rollout.plan:
        raise UsageError("these are the gates that it had", hint="for example --failure-ceiling 2")
    verdicts = _otherwise(store, found.decisions, judging) if judging else {}
    members = store.rollouts.members(found.rollout.id)
    return found.rollout, plan, otherwise.whatif(plan, members, found.decisions, verdicts)


def _packets(store: Store, decisions: Sequence[Decision]) -> dict[int, dict[str, object]]:
    """{key: evidence packet} behind the verdicts of these decisions."""
    keys = {one.logged.seen.evidence for one in decisions if one.logged.seen.verdict is not None}
    return {key: store.rollouts.evidence(key) for key in sorted(keys - {0})}


def _verdicts(store: Store, decisions: Sequence[Decision]) -> dict[int, str]:
    """{number of the entry: why} of verdicts that do not follow from their evidence."""
    packets = _packets(store, decisions)
    found = {}
    for one in decisions:
        seen = one.logged.seen
        if seen.verdict is None or seen.evidence not in packets:
            continue
        try:
            verdict = rejudge(packets[seen.evidence]).verdict
        except (KeyError, TypeError, ValueError) as error:
            found[one.seq] = f"evidence {seen.evidence} cannot be read: {error}"
            continue
        if verdict is not seen.verdict:
            found[one.seq] = f"telemetry said {seen.verdict}, and evidence {seen.evidence} says {verdict}"
    return found


def _otherwise(store: Store, decisions: Sequence[Decision], judging: Mapping[str, int]) -> dict[int, Verdict]:
    """{key: what the packet says} with other error rates."""
    found = {}
    for key, packet in _packets(store, decisions).items():
        rules = packet["rules"]
        if isinstance(rules, dict):
            found[key] = rejudge({**packet, "rules": {**rules, **judging}}).verdict
    return found


def _end(store: Store, last: Decision) -> str:
    """What the database has otherwise than the last decision left it; "" for nothing."""
    state = store.rollouts.state(last.after.rollout.id)
    if state.rollout.version != last.after.rollout.version:
        return ""  # it went on meanwhile
    differ = [node for node, one in last.after.executions.items() if state.executions.get(node) != one]
    if state.rollout == last.after.rollout and not differ:
        return ""
    return (
        f"the database has other nodes than the log: {', '.join(differ[:3])}" if differ else "another head than the log"
    )
