"""A decision as the log keeps it: all that `step` was told, what it answered, and the numbers that its orders got."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import cbor2

from fleet.rollout import wire
from fleet.rollout.model import Order, Seen, State, Step

VERSION = 1


@dataclass(frozen=True, slots=True)
class Logged:
    """What the body of an audit entry says of one decision."""

    now_s: int
    seen: Seen
    step: Step  # as `step` returned it
    counters: Mapping[str, int] = field(default_factory=dict)  # {node: number of the order or stop that followed}

    def encode(self) -> bytes:
        """Canonical CBOR: the same decision has the same bytes."""
        found = [VERSION, self.now_s, wire.encode(self.seen), wire.encode(self.step), dict(self.counters)]
        return cbor2.dumps(found, canonical=True)

    def after(self, state: State) -> State:
        """The state that followed `state`: that of the step, with the numbers of its orders, one version on."""
        return settled(self.step, self.counters, state)


def decode(body: bytes) -> Logged:
    """The decision in a body; ValueError when there is none."""
    found = cbor2.loads(body)
    if not isinstance(found, list) or len(found) != 5 or found[0] != VERSION:
        raise ValueError("not a decision")
    return Logged(found[1], wire.decode(Seen, found[2]), wire.decode(Step, found[3]), found[4])


def settled(step: Step, counters: Mapping[str, int], before: State) -> State:
    """The state once a step was written: `step.after`, with the numbers of its orders and stops, one version on."""
    after = step.after(before)
    ordered = {one.node for one in step.actions if isinstance(one, Order)}
    executions = dict(after.executions)
    for node, counter in counters.items():  # a stop may come later than the step that wanted it
        one = executions[node]
        executions[node] = replace(one, counter=counter) if node in ordered else replace(one, stop=counter)
    return State(replace(step.rollout, version=before.rollout.version + 1), executions)
