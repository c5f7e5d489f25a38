"""What a message means for the store: topic and bytes in, rows out. No clock, no socket, no database.

A message or entry that breaks the contract becomes a letter with the rule that it broke (SPEC 9.3). The node is taken
from the topic, which the broker guards, never from the payload.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from fleet.bus import Delivery
from fleet.ingest import decode
from fleet.model import TQ_AHEAD
from fleet.store.intake import Rows
from protocol import cbor, topics
from protocol.errors import DecodeError
from protocol.messages import Heartbeat, Log, Reply, State
from protocol.records import TQ_BOUND, TQ_RTC, TQ_UPTIME, Event
from protocol.update import REFUSED, Proof, Status

AHEAD_S = 86400  # no clock is believed that is further in the future than this: TQ_AHEAD
_MS = 1_000_000  # ns
_HEALTH = tuple(row[1] for row in Heartbeat.FIELDS)

# rows, node, topic, payload, received_ms; True when the node itself spoke, which its will is not
Handler = Callable[[Rows, int, str, bytes, int], bool]
Holds = Callable[[str, Proof], bool]  # whether a proof was made with the key of that node


class Sorter:
    """`lookup()` gives {node id: key} of every node; it is called again when an unknown id turns up.

    `holds` judges proofs; without it none holds."""

    def __init__(self, lookup: Callable[[], Mapping[str, int]], holds: Holds = lambda _node, _proof: False) -> None:
        self._lookup = lookup
        self._holds = holds
        self._nodes: Mapping[str, int] = {}
        self._looked = False  # once per batch is enough
        self._routes: dict[str, tuple[Handler, int]] = {}  # by topic; as many as nodes have topics
        self._handlers: dict[str, Handler] = {
            "tele": _tele,
            "event": _event,
            "state": _state,
            "log": _log,
            "reply": _reply,
            "ota": self._ota,
        }

    def sort(self, deliveries: Iterable[Delivery]) -> Rows:
        """The rows of a batch of messages."""
        rows = Rows()
        routes = self._routes
        self._looked = False
        for topic, payload, _mid, _session, at_ns, retained in deliveries:
            received_ms = at_ns // _MS
            try:
                route = routes.get(topic)
                handler, node = route or self._find(topic)
                if handler(rows, node, topic, payload, received_ms) and not retained:
                    rows.seen[node] = received_ms
            except DecodeError as error:
                rows.letters.append((topic, payload, str(error), received_ms))
        return rows

    def _find(self, topic: str) -> tuple[Handler, int]:
        """Who handles a topic that was not seen before, and its node's key; DecodeError when nobody does."""
        node, direction, name = topics.parse(topic)
        handler = self._handlers.get(name) if direction == "up" else None
        if handler is None:
            raise DecodeError(f"nothing is expected on {direction}/{name}")
        if node not in self._nodes and not self._looked:
            self._nodes, self._looked = self._lookup(), True
        if node not in self._nodes:
            raise DecodeError("no such node")
        route = self._routes[topic] = (handler, self._nodes[node])
        return route

    def _ota(self, rows: Rows, node: int, topic: str, payload: bytes, received_ms: int) -> bool:
        status = Status.decode(payload)
        t_s = min(status.t, received_ms // 1000)  # a clock that is ahead does not outrank what comes when it is right
        said = status.counter, status.stage, status.done, status.total, status.code, status.text
        about = status.release, status.manifest, status.root, status.floor, status.spare
        seen = 0 if status.stage == REFUSED else status.counter  # a counter that was refused is whoever's word
        rows.updates.append((node, received_ms, status.boot, t_s, *said, *about, seen))
        proof = status.proof
        if proof is None or not proof.mac:
            return True
        if not self._holds(topics.parse(topic)[0], proof):
            rows.letters.append((topic, payload, "proof: it was not made with the key of this node", received_ms))
        elif proof.confirmed and proof.nonce:
            claimed = proof.nonce, proof.manifest, proof.slot, proof.boot, proof.base
            rows.proved.append((received_ms, *claimed, node))
        return True


def _tele(rows: Rows, node: int, topic: str, payload: bytes, received_ms: int) -> bool:
    boot, entries, up_s = decode.batch(payload)
    horizon_s = received_ms // 1000 + AHEAD_S
    if up_s is not None:
        _bound(rows, node, boot, up_s, received_ms)
    for body in entries:
        try:
            seq, t, tq, samples, interval_s = decode.record(body)
        except DecodeError as error:
            rows.letters.append((topic, body, f"entry: {error}", received_ms))
            continue
        ts = t
        if tq == TQ_UPTIME or t > horizon_s:
            ts, tq = _arrived(t, tq, up_s, received_ms)
        rows.records.append((node, ts, boot, seq, tq, interval_s, body, received_ms))
        kept = rows.latest.get(node)
        if kept is None or ts >= kept[1]:
            rows.latest[node] = (node, ts, boot, seq, tq, interval_s, samples, received_ms)
    return True


def _event(rows: Rows, node: int, topic: str, payload: bytes, received_ms: int) -> bool:
    boot, entries, up_s = decode.batch(payload)
    horizon_s = received_ms // 1000 + AHEAD_S
    if up_s is not None:
        _bound(rows, node, boot, up_s, received_ms)
    for body in entries:
        try:
            event = Event.decode(body)
        except DecodeError as error:
            rows.letters.append((topic, body, f"entry: {error}", received_ms))
            continue
        ts, tq = event.t, event.tq
        if tq == TQ_UPTIME or ts > horizon_s:
            ts, tq = _arrived(ts, tq, up_s, received_ms)
        rows.events.append((node, boot, event.seq, ts, tq, event.code, event.phase, body, received_ms))
    return True


def _bound(rows: Rows, node: int, boot: int, up_s: int, received_ms: int) -> None:
    """A boot began no later than the arrival of a batch less its uptime (SPEC 5.5)."""
    rows.anchors.append((node, boot, received_ms // 1000 - up_s, TQ_BOUND))


def _arrived(t: int, tq: int, up_s: int | None, received_ms: int) -> tuple[int, int]:
    """(ts, tq) of an entry whose own date is no help: the latest that it can have been."""
    received_s = received_ms // 1000
    if tq != TQ_UPTIME:
        return received_s, TQ_AHEAD
    return received_s if up_s is None else received_s - max(0, up_s - t), TQ_UPTIME


def _state(rows: Rows, node: int, _topic: str, payload: bytes, received_ms: int) -> bool:
    state = State.decode(payload)
    health = _health(state.heartbeat)
    row = (node, state.online, received_ms, state.boot, state.firmware, state.slot, state.config_desired)
    config = state.config_applied, state.config_error, state.config_path
    rows.states.append((*row, *config, state.safe_mode, health, state.manifest))
    beat = state.heartbeat
    if beat is not None:
        rows.health.append((node, state.boot, beat.up_s, received_ms, health))
        if 0 < state.t <= received_ms // 1000 + AHEAD_S and beat.time_quality >= TQ_RTC:
            rows.anchors.append((node, state.boot, state.t - beat.up_s, beat.time_quality))
    return state.online


def _health(beat: Heartbeat | None) -> str:
    """A heartbeat as JSON: fields that are known, by name; bytes as hex."""
    found: dict[str, Any] = {name: getattr(beat, name) for name in _HEALTH} if beat is not None else {}
    plain = {name: value.hex() if isinstance(value, bytes) else value for name, value in found.items()}
    return json.dumps({name: value for name, value in plain.items() if value is not None})


def _log(rows: Rows, node: int, _topic: str, payload: bytes, received_ms: int) -> bool:
    line = Log.decode(payload)
    rows.logs.append((node, received_ms, line.boot, line.up_ms, line.level, line.tag, line.text, line.dropped))
    return True


def _reply(rows: Rows, node: int, _topic: str, payload: bytes, received_ms: int) -> bool:
    reply = Reply.decode(payload)
    result = cbor.encode(reply.result)
    rows.replies.append((reply.status, reply.code, reply.text, result, received_ms, reply.id.hex(), node))
    return True
