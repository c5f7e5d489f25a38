"""What bytes mean, in plain JSON: the form of `means` in the vectors (see vectors/README.md). For both interpreters."""

from protocol import cbor, claim, cose, topics, trust, update
from protocol.identity import Identity
from protocol.manifest import File, Manifest
from protocol.message import Message
from protocol.messages import MESSAGES
from protocol.records import Event, Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_EXACT = 1 << 53  # beyond it a JSON number is not exact in every language
DOCUMENTS = (Identity, Manifest, File) + claim.MESSAGES  # never sent over MQTT
SIGNED = trust.DOCUMENTS + update.MESSAGES
KINDS = {kind.__name__.lower(): kind for kind in MESSAGES + DOCUMENTS + SIGNED}


def plain(value: "Any") -> "Any":
    """A CBOR value or message in JSON: large integers, bytes and maps become objects of one member."""
    if isinstance(value, Message):
        return {row[1]: plain(getattr(value, row[1])) for row in value.FIELDS}
    if isinstance(value, dict):
        return {"map": [[plain(key), plain(value[key])] for key in sorted(value, key=cbor.encode)]}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    if type(value) is int and not -_EXACT < value < _EXACT:
        return {"int": str(value)}
    return value


def entry(value: "Record | Event") -> "Any":
    """A record or event in JSON."""
    means: "dict[str, Any]" = {"seq": value.seq, "t": value.t, "tq": value.tq}
    if isinstance(value, Event):
        means.update({"code": value.code, "phase": value.phase, "attributes": plain(value.attrs or {})})
        return means
    samples = []
    for channel in sorted(value.samples):
        sample = value.samples[channel]
        row = {"channel": channel, "mean": sample.mean, "flag": sample.flag, "n": sample.n}
        row.update({"sd": sample.sd, "min": sample.low, "max": sample.high})
        samples.append(row)
    means.update({"interval": value.interval, "samples": samples})
    return means


def of(kind: str, data: bytes) -> "tuple[Any, bytes]":
    """(meaning, the bytes written again) of `data` read as `kind`; raises DecodeError for what is to be refused."""
    if kind == "cbor":
        value = cbor.decode(data)
        return plain(value), cbor.encode(value)
    if kind == "topic":
        node, direction, name = topics.parse(str(data, "utf-8"))
        means: "dict[str, Any]" = {"node": node, "direction": direction, "name": name}
        means.update({"qos": topics.qos(name), "retain": direction + "/" + name in topics.RETAINED})
        return means, (topics.up if direction == "up" else topics.down)(node, name).encode()
    if kind == "record" or kind == "event":
        found = (Record if kind == "record" else Event).decode(data)
        return entry(found), found.encode()
    if kind == "sign1":
        sign = cose.parse(data)
        means = {"typ": sign.typ, "report": plain(sign.report), "kid": plain(sign.kid)}
        means["signature"] = plain(sign.signature)
        header = cose.protected(sign.typ, sign.report)
        return means, cose.assemble(header, sign.kid, sign.signature)
    message = trust.load_root(data) if kind == "root" else KINDS[kind].decode(data)
    return plain(message), message.encode()
