"""When nodes were heard: the times of their heartbeats, and how fast they are answered. For rehearsals of rollouts."""

import json
from collections.abc import Iterable

from sqlalchemy import Engine, Text, func, select, type_coerce

from fleet.store import schema
from fleet.store.dialect import reading

_BEAT = schema.heartbeat.c
_NODE = schema.node.c
_STATE = schema.node_state.c


class Presence:
    """Queries about the past of nodes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def span(self) -> tuple[int, int]:
        """When the first and the last heartbeat arrived that are kept, in seconds; zeros when there are none."""
        with reading(self._engine) as connection:
            first = connection.scalar(select(func.min(_BEAT.received_ms)))
            last = connection.scalar(select(func.max(_BEAT.received_ms)))
        return (first // 1000, last // 1000) if first is not None and last is not None else (0, 0)

    def beats(self, nodes: Iterable[str], begin_s: int, end_s: int) -> dict[str, list[int]]:
        """{node: when its heartbeats arrived, ascending}, in seconds; of a node without any an empty list.

        Reads an index alone: about a second for a million heartbeats.
        """
        found: dict[str, list[int]] = {node: [] for node in nodes}
        query = select(_BEAT.node, _BEAT.received_ms).order_by(_BEAT.received_ms)
        query = query.where(_BEAT.received_ms >= begin_s * 1000, _BEAT.received_ms < end_s * 1000)
        with reading(self._engine) as connection:
            keys = {row.key: found.get(row.id) for row in connection.execute(select(_NODE.key, _NODE.id))}
            for key, received_ms in connection.execute(query.execution_options(yield_per=10_000)):
                times = keys.get(key)
                if times is not None:
                    times.append(received_ms // 1000)
        return found

    def answers(self) -> dict[str, int]:
        """{node: median milliseconds from a message to its acknowledgement}, of nodes that said so last."""
        query = select(_NODE.id, type_coerce(_STATE.health, Text)).join(schema.node, _NODE.key == _STATE.node)
        with reading(self._engine) as connection:
            said = {row[0]: json.loads(row[1]).get("ack_p50_ms") for row in connection.execute(query)}
        return {node: answer for node, answer in said.items() if isinstance(answer, int)}
