"""What nodes say, message by message, in words: for people who watch (`fleet node tail`)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fleet.commands import CODES, STATUS
from fleet.export import quantity, scaled, symbol
from protocol import messages, refusal_texts, registry, update
from protocol.errors import DecodeError
from protocol.records import FLAG_PASS, TQ_UPTIME, Event, Record
from protocol.topics import parse

LEVELS = {
    messages.LOG_ERROR: "error",
    messages.LOG_WARNING: "warning",
    messages.LOG_INFO: "info",
    messages.LOG_DEBUG: "debug",
}
PHASES = ("", "start", "end")
STAGES = {
    update.IDLE: "idle",
    update.CHECKING: "checking",
    update.DOWNLOADING: "downloading",
    update.INSTALLING: "installing",
    update.WAITING: "waiting",
    update.TRIAL: "on trial",
    update.CONFIRMED: "confirmed",
    update.REFUSED: "refused",
    update.FAILED: "failed",
    update.REVERTED: "reverted",
    update.STOPPED: "stopped",
}


@dataclass(frozen=True)
class Line:
    """One thing that a node said. `what` is record, event, state, log, reply, update or refused."""

    node: str
    what: str
    text: str
    fields: Mapping[str, Any]
    t_s: int | None = None  # when, by the node's clock


def lines(topic: str, payload: bytes) -> Iterator[Line]:
    """The lines of one message; one that breaks the contract is a line too, with the reason."""
    try:
        node, _, name = parse(topic)
    except DecodeError:
        return
    try:
        yield from list(_READERS.get(name, _nothing)(node, name, payload))
    except DecodeError as error:
        yield Line(node, "refused", f"{name} of {len(payload)} bytes: {error}", {"topic": name, "reason": str(error)})


def event_fields(code: int, phase: int, attrs: Mapping[int, Any]) -> dict[str, Any]:
    """Name, severity, phase and named attributes of an event."""
    row = registry.event(code)
    names = row.attributes if row else ()
    return {
        "event": row.name if row else f"event-{code}",
        "severity": row.severity if row else "info",
        "phase": PHASES[phase],
        "attributes": _boot(attrs) if row and not names else _named(names, attrs),
    }


def level_name(level: int) -> str:
    """The name of a log level of RFC 5424."""
    return LEVELS.get(level, str(level))


def stage_name(stage: int) -> str:
    """How far an update is; a newer node may send stages that we do not know."""
    return STAGES.get(stage, f"stage {stage}")


def refusal(code: int, text: str) -> str:
    """Why an update goes no further: what the code means, and the node's own words; "" for neither."""
    means = refusal_texts.text(code) if code else ""
    return ": ".join(filter(None, (means, text)))


def _named(names: tuple[str, ...], attrs: Mapping[int, Any]) -> dict[str, Any]:
    return {names[key - 1] if 0 < key <= len(names) else str(key): value for key, value in attrs.items()}


def _boot(attrs: Mapping[int, Any]) -> dict[str, Any]:
    try:
        boot = messages.Boot.from_map(dict(attrs))
    except DecodeError:
        return _named((), attrs)
    return {row[1]: getattr(boot, row[1]) for row in messages.Boot.FIELDS if row[0] in attrs}


def _tele(node: str, _: str, payload: bytes) -> Iterator[Line]:
    for entry in messages.Batch.decode(payload).entries:
        record = Record.decode(entry)
        values = {}
        flags = {}
        for channel, sample in record.samples.items():
            known = quantity(channel)
            text = scaled(sample.mean, known.per, known.digits)
            values[known.name] = f"{text} {symbol(known.unit)}".strip() if text else "missing"
            if sample.flag != FLAG_PASS:
                flags[known.name] = sample.flag
        fields = {"seq": record.seq, "interval_s": record.interval, "values": values, "flags": flags}
        words = (f"{name}={value}{'!' if name in flags else ''}" for name, value in values.items())
        yield Line(node, "record", f"#{record.seq} {' '.join(words)}", fields, _time(record.t, record.tq))


def _event(node: str, _: str, payload: bytes) -> Iterator[Line]:
    for entry in messages.Batch.decode(payload).entries:
        event = Event.decode(entry)
        fields = event_fields(event.code, event.phase, event.attrs or {})
        attributes = (f"{name}={_plain(value)}" for name, value in fields["attributes"].items() if value != "")
        words = (f"#{event.seq}", fields["event"], fields["phase"], *attributes)
        yield Line(node, "event", " ".join(filter(None, words)), {"seq": event.seq, **fields}, _time(event.t, event.tq))


def _plain(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value


def _state(node: str, _: str, payload: bytes) -> Iterator[Line]:
    state = messages.State.decode(payload)
    text = "online" if state.online else "offline"
    if state.firmware:
        text += f" {state.firmware} boot {state.boot} config {state.config_applied}/{state.config_desired}"
    if state.config_error:
        text += f" ({CODES.get(state.config_error, state.config_error)} {state.config_path})"
    if state.heartbeat:
        text += f" up {state.heartbeat.up_s} s"
    fields = {row[1]: getattr(state, row[1]) for row in messages.State.FIELDS if row[1] != "heartbeat"}
    yield Line(node, "state", text, fields, state.t or None)


def _log(node: str, _: str, payload: bytes) -> Iterator[Line]:
    log = messages.Log.decode(payload)
    level = level_name(log.level)
    gap = f" ({log.dropped} lines before it were not sent)" if log.dropped else ""
    fields = {"level": level, "tag": log.tag, "text": log.text, "up_ms": log.up_ms, "dropped": log.dropped}
    yield Line(node, "log", f"{level} {log.tag}: {log.text}{gap}", fields)


def _reply(node: str, _: str, payload: bytes) -> Iterator[Line]:
    reply = messages.Reply.decode(payload)
    status = STATUS[reply.status]
    why = " ".join(filter(None, (CODES.get(reply.code, str(reply.code)), reply.text)))
    fields = {"id": reply.id.hex(), "status": status, "code": reply.code, "result": reply.result, "text": reply.text}
    result = (f"{name}={value}" for name, value in reply.result.items())
    text = " ".join(filter(None, (reply.id.hex(), status, why, *result)))
    yield Line(node, "reply", text, fields, reply.t or None)


def _ota(node: str, _: str, payload: bytes) -> Iterator[Line]:
    said = update.Status.decode(payload)
    text = f"order {said.counter} {stage_name(said.stage)}"
    if said.done:
        text += f" {said.done} of {said.total} bytes"
    why = refusal(said.code, said.text)
    fields = {row[1]: getattr(said, row[1]) for row in update.Status.FIELDS if row[1] != "proof"}
    yield Line(node, "update", f"{text}: {why}" if why else text, fields, said.t or None)


def _nothing(_node: str, _name: str, _payload: bytes) -> Iterator[Line]:
    """Questions for blocks: thousands in an update, and nothing to people."""
    yield from ()


def _time(t: int, tq: int) -> int | None:
    return None if tq == TQ_UPTIME else t


_READERS = {"tele": _tele, "event": _event, "state": _state, "log": _log, "reply": _reply, "ota": _ota}
