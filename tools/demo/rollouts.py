"""What the demonstration shows of rollouts: the newest in a line, and in a word how far each node is."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fleet.rollout.model import Execution, Phase, Stage
from fleet.rollout.plan import Goal
from fleet.store import Store
from fleet.store.rollouts import RolloutView

_WORDS = {Stage.QUEUED: "waits", Stage.TRIAL: "on trial"}


@dataclass(frozen=True)
class Now:
    """All rollouts at one moment."""

    headline: str = ""  # empty: there was none
    words: Mapping[str, str] = field(default_factory=dict)  # {node: how far the newest is that it takes part in}


def look(store: Store) -> Now:
    """What there is to show."""
    words: dict[str, str] = {}
    views = store.rollouts.all()
    for view in reversed(views):
        state = store.rollouts.state(view.id)
        words |= {node: word(view, one) for node, one in state.executions.items()}
    return Now(headline(views[0], store), words) if views else Now()


def headline(view: RolloutView, store: Store) -> str:
    """`rollout 1, release-9.1.0: running, wave canary, 2 of 6 nodes proved, its telemetry is compared`."""
    head, executions = view.head, store.rollouts.state(view.id).executions.values()
    proved = sum(one.stage is Stage.PROVED for one in executions)
    text = f"rollout {view.id}, {view.name}: {head.phase}"
    if head.phase is not Phase.RUNNING:
        return f"{text}, {proved} of {len(executions)} nodes proved"
    wave = view.plan.waves[head.wave]
    text += f", wave {wave.name}, {proved} of {len(executions)} nodes proved"
    arrived = all(one.stage is Stage.PROVED for one in executions if one.wave == head.wave)
    return f"{text}, its telemetry is compared" if arrived and wave.judged and view.plan.judging.enabled else text


def word(view: RolloutView, one: Execution) -> str:
    """How far a node is."""
    if one.stage is Stage.STOPPED and not one.tries:
        return "untouched"
    if one.stage is Stage.PROVED and view.plan.goal is Goal.PREVIOUS:
        return "back"
    if one.stage is Stage.ACTIVE and one.said:
        return one.said
    return _WORDS.get(one.stage, one.stage.value)
