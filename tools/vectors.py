"""Write protocol/vectors from the tables of the tests: `python -m tools.vectors [--check]`.

The tables hold bytes that were written down by hand; this turns them, and a few messages of realistic size, into JSON
that any language can read. --check writes nothing and exits with 1 when a file is not what it would write.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from protocol import channels as c
from protocol import cose, events, topics, trust
from protocol.cbor import encode
from protocol.errors import DecodeError
from protocol.identity import Identity
from protocol.messages import DONE, E_PROBATION, RESET_WATCHDOG, Batch, Boot, Command, Config, Heartbeat, Reply, State
from protocol.records import Event, Record, Sample
from protocol.refusal_texts import NAMES
from protocol.tests import (
    judged,
    meaning,
    test_cbor,
    test_cose,
    test_message,
    test_records,
    test_topics,
    test_trust,
    test_update,
)
from protocol.trust import Signed
from protocol.update import CONFIRMED, Proof, Status
from tools.interpreter import ROOT

FOLDER = ROOT / "protocol" / "vectors"
_ORDER = (1 << 252) + 27742317777372353535851937790883648493  # of the base point of Ed25519

T = 1_785_758_400  # 2026-08-03 12:00:00 UTC
AIR_MINUTE = {
    c.PM1: Sample(61), c.PM25: Sample(87), c.PM10: Sample(123), c.T_AMB: Sample(2214), c.RH_AMB: Sample(5480),
    c.P: Sample(97_412), c.CO2: Sample(431), c.VOC_IDX: Sample(1040), c.STATUS: Sample(0),
}  # fmt: skip
LIGHT_REPORT = {
    c.LEVEL_TARGET: Sample(200), c.LEVEL_ACTUAL: Sample(200), c.LEVEL_REASON: Sample(c.REASON_PROGRAM),
    c.V: Sample(231_400), c.I: Sample(1760), c.P_ACTIVE: Sample(401, 1, 900, 3, 396, 409), c.E_ACTIVE: Sample(120_455),
}  # fmt: skip
BOOT = Boot(
    firmware="0.1.0", cause=RESET_WATCHDOG, slot="a", board="esp32-poe", kind="air", breadcrumb="sampling:sen66",
    prev_up_s=86_400, micropython="1.29.0", manifest=bytes(range(32)), crashes=1,
)  # fmt: skip
ENTRIES: dict[str, Record | Event] = {
    "an air node's minute of nine quantities": Record(1441, T, 4, AIR_MINUTE),
    "a light node's quarter of an hour": Record(96, T, 3, LIGHT_REPORT, 900),
    "the first event of a boot": Event(0, 3, 0, events.BOOT, 0, BOOT.to_map()),
}
MESSAGES: dict[str, Any] = {
    "five minutes of an air node": Batch(
        boot=29_762_641, entries=[Record(i, T + 60 * i, 4, AIR_MINUTE).encode() for i in range(5)]
    ),
    "a boot with all that a watchdog left": BOOT,
    "a state after a configuration that lost the broker": State(
        online=True, boot=29_762_641, firmware="0.1.0", kind="light", board="esp32-poe", slot="b", manifest=bytes(32),
        config_desired=8, config_applied=7, config_error=E_PROBATION, t=T,
        heartbeat=Heartbeat(up_s=600, heap_free=61_440, rssi_dbm=-67, time_quality=4, ntp_offset_ms=-12, mcu_cdeg=4150),
    ),
    "a command with arguments": Command(
        id=bytes(range(16)), name="override", args={"level": 120, "for_s": 1800}, issued=T, expires=T + 300, actor="ops"
    ),
    "the reply to it": Reply(id=bytes(range(16)), status=DONE, result={"until": T + 1800}, boot=29_762_641, t=T + 1),
    "a configuration of three settings": Config(rev=8, values={1: 60, 7: True, 27: 600}, issued=T, probation_s=120),
    "an identity": Identity(
        node="air-0001", kind="air", board="esp32-poe", boot0=29_762_640, ca=b"ca", cert=b"certificate", key=b"key",
        brokers=["broker.example:8883", "10.0.0.2:8883"], ntp=["pool.example"], made=T,
    ),
    "an identity that trusts a root": Identity(
        node="air-0001", kind="air", board="esp32-poe", boot0=29_762_640, ca=b"ca", cert=b"certificate", key=b"key",
        brokers=["broker.example:8883"], root=judged.ROOT.encode(), proof_key=bytes(range(32)),
    ),
    "a node that proves what it runs": Status(
        counter=7, stage=CONFIRMED, release=b"\x33" * 32, manifest=b"\x11" * 32, boot=29_762_643, t=T, root=1, floor=9,
        proof=Proof(nonce=b"\x44" * 16, manifest=b"\x11" * 32, slot="b", boot=5, confirmed=True, mac=bytes(32)),
    ),
}  # fmt: skip


def accepted(what: str, kind: str, data: bytes) -> dict[str, Any]:
    """A row of `accept`; raises when our own decoder does not take it, or writes it otherwise."""
    means, again = meaning.of(kind, data)
    if again != data:
        raise ValueError(f"{what}: not written as it was read")
    return {"what": what, "type": kind, "hex": data.hex(), "means": means}


def refused(what: str, kind: str, data: bytes) -> dict[str, Any]:
    """A row of `refuse`; raises when our own decoder takes it."""
    try:
        meaning.of(kind, data)
    except DecodeError as error:
        return {"what": what, "type": kind, "hex": data.hex(), "reason": str(error)}
    raise ValueError(f"{what}: not refused")


def cbor_file() -> dict[str, Any]:
    """cbor.json."""
    return {
        "accept": [accepted(what, "cbor", bytes.fromhex(text)) for what, (_, text) in test_cbor.WRITTEN.items()],
        "refuse": [refused(what, "cbor", bytes.fromhex(text)) for what, (text, _) in test_cbor.REFUSED.items()],
    }


def entries_file() -> dict[str, Any]:
    """entries.json."""
    tables: dict[str, dict[str, Any]] = {"record": test_records.RECORDS, "event": test_records.EVENTS}
    hostile: dict[str, dict[str, Any]] = {"record": test_records.NOT_RECORDS, "event": test_records.NOT_EVENTS}
    accept = [
        accepted(what, kind, bytes.fromhex(text)) for kind, rows in tables.items() for what, (_, text) in rows.items()
    ]
    accept += [accepted(what, type(item).__name__.lower(), item.encode()) for what, item in ENTRIES.items()]
    refuse = [refused(what, kind, encode(item)) for kind, rows in hostile.items() for what, item in rows.items()]
    return {"accept": accept, "refuse": refuse}


def messages_file() -> dict[str, Any]:
    """messages.json."""
    tables: dict[str, Any] = test_message.WRITTEN | test_update.WRITTEN
    accept = [accepted(what, type(item).__name__.lower(), bytes.fromhex(text)) for what, (item, text) in tables.items()]
    accept += [accepted(what, type(item).__name__.lower(), item.encode()) for what, item in MESSAGES.items()]
    hostile: dict[str, Any] = test_message.REFUSED | test_update.REFUSED
    refuse = [refused(what, kind.__name__.lower(), encode(item)) for what, (kind, item, _) in hostile.items()]
    return {"accept": accept, "refuse": refuse}


def signed_file() -> dict[str, Any]:
    """signed.json: `judge` has envelopes, the root to judge them under, and the verdict."""
    tables: dict[str, Any] = test_trust.WRITTEN
    accept = [accepted(what, "sign1", bytes.fromhex(text)) for what, (text, _) in test_cose.WRITTEN.items()]
    accept += [
        accepted(what, type(item).__name__.lower(), bytes.fromhex(text)) for what, (item, text) in tables.items()
    ]
    accept += [accepted(f"the {kind} of `judge`", kind, item.encode()) for kind, item in judged.DOCUMENTS.items()]
    refuse = [refused(what, "sign1", bytes.fromhex(text)) for what, (text, _) in test_cose.REFUSED.items()]
    hostile: dict[str, Any] = test_trust.REFUSED
    refuse += [refused(what, kind.__name__.lower(), encode(item)) for what, (kind, item, _) in hostile.items()]
    refuse += [refused(what, "root", make().encode()) for what, (make, _) in test_trust.SENSELESS.items()]
    return {"accept": accept, "refuse": refuse, "judge": [judge(what) for what in judged.JUDGED]}


def judge(what: str) -> dict[str, Any]:
    """A row of `judge`; raises when our own judge says otherwise."""
    kind, signers, code = judged.JUDGED[what]
    document = judged.DOCUMENTS[kind].encode()
    signed = Signed(document=document, signatures=[signature(document, kind, at, flaw) for at, flaw in signers])
    seen: list[tuple[int | None, bool, bytes]] = []
    for (_, flaw), found in zip(signers, trust.parse_signatures(signed), strict=True):
        place = trust.key_at(judged.ROOT, found.kid)
        seen.append((place, place is not None and flaw in ("", judged.REPORTED), found.report))
    said = trust.fault_of(judged.ROOT, judged.ROLES[kind], seen)
    if said != code:
        raise ValueError(f"{what}: judged {NAMES[said]}")
    return {
        "what": what, "type": kind, "roles": judged.ROLES[kind], "root": judged.ROOT.encode().hex(),
        "hex": signed.encode().hex(), "signers": [[at, holds, report.hex()] for at, holds, report in seen],
        "code": code, "name": NAMES[code],
    }  # fmt: skip


def signature(document: bytes, kind: str, at: int, flaw: str) -> bytes:
    """A signature with the key of that place in `judged`, and with that flaw."""
    public = Ed25519PrivateKey.from_private_bytes(judged.SEEDS[at]).public_key().public_bytes_raw()
    key = Ed25519PrivateKey.from_private_bytes(judged.SEEDS[judged.STRANGER if flaw == judged.BORROWED else at])
    typ = trust.CAMPAIGN_TYPE if flaw == judged.OTHER_TYPE else judged.TYPES[kind]
    header = cose.protected(typ, judged.REPORT if flaw == judged.REPORTED else b"")
    made = key.sign(cose.to_be_signed(header, cose.digest(document + b"x" * (flaw == judged.OTHER))))
    if flaw == judged.FLIPPED:
        made = bytes([made[0] ^ 1]) + made[1:]
    if flaw == judged.HIGH:
        made = made[:32] + (int.from_bytes(made[32:], "little") + _ORDER).to_bytes(32, "little")
    return cose.assemble(header, cose.kid(public), made)


def topics_file() -> dict[str, Any]:
    """topics.json."""
    good = [topics.up("air-1", name) for name in topics.UP] + [topics.down("air-1", name) for name in topics.DOWN]
    bad = dict(test_topics.NOT_TOPICS)
    bad |= {what: f"lum/1/{text}/up/tele" for what, (text, valid) in test_topics.NODE_IDS.items() if not valid}
    return {
        "accept": [accepted(topic, "topic", topic.encode()) for topic in good],
        "refuse": [refused(what, "topic", text.encode()) for what, text in bad.items()],
    }


FILES = {
    "cbor": cbor_file,
    "entries": entries_file,
    "messages": messages_file,
    "topics": topics_file,
    "signed": signed_file,
}


def text_of(name: str) -> str:
    """The text of a vector file: one row, one line, so that a difference is readable."""
    parts = []
    for verdict, rows in FILES[name]().items():
        lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        parts.append(f'"{verdict}": [\n{lines}\n]')
    return "{\n" + ",\n".join(parts) + "\n}\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check every file and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.vectors", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 when a file is out of date")
    check = parser.parse_args(arguments).check
    stale = 0
    for name in FILES:
        path, text = FOLDER / f"{name}.json", text_of(name)
        if path.exists() and path.read_text("utf-8") == text:
            continue
        stale += 1
        print(f"{path.relative_to(ROOT)}: {'out of date: run python -m tools.vectors' if check else 'written'}")
        if not check:
            path.write_text(text, "utf-8")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
