"""The vectors are current; the schema and cbor2, which know nothing of our decoder, judge them alike."""

import hashlib
import json
from typing import Any

import cbor2
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from protocol import cbor, refusals
from protocol.errors import DecodeError
from protocol.tests.test_cbor_cpython import in_order
from tools import vectors
from tools.cddl import Schema

SCHEMA = Schema((vectors.ROOT / "protocol" / "lumenair.cddl").read_text())
FILES = {name: json.loads((vectors.FOLDER / f"{name}.json").read_text()) for name in vectors.FILES}
ROWS = [row for name in ("cbor", "entries", "messages", "signed") for row in FILES[name]["accept"]]
SENSELESS = [
    row for row in FILES["signed"]["refuse"] if row["type"] == "root"
]  # of good shape: keys twice and the like
HOSTILE = [row for name in ("entries", "messages", "signed") for row in FILES[name]["refuse"] if row not in SENSELESS]
JUDGED = FILES["signed"]["judge"]


def name_of(row: dict[str, Any]) -> str:
    return f"{row['type']}: {row['what']}"


def rule_of(row: dict[str, Any]) -> str:
    return "plain" if row["type"] == "cbor" else str(row["type"])


def test_the_files_are_current() -> None:
    assert vectors.main(["--check"]) == 0


@pytest.mark.parametrize("row", ROWS, ids=name_of)
def test_a_golden_vector_has_the_shape_of_the_schema(row: dict[str, Any]) -> None:
    assert SCHEMA.matches(rule_of(row), cbor2.loads(bytes.fromhex(row["hex"])))


@pytest.mark.parametrize("row", HOSTILE, ids=name_of)
def test_a_hostile_vector_has_not(row: dict[str, Any]) -> None:
    try:
        value = cbor.decode(bytes.fromhex(row["hex"]))
    except DecodeError:
        return  # refused before its shape matters
    assert not SCHEMA.matches(rule_of(row), value)


@pytest.mark.parametrize("row", ROWS, ids=name_of)
def test_cbor2_writes_a_golden_vector_alike(row: dict[str, Any]) -> None:
    data = bytes.fromhex(row["hex"])
    value = cbor2.loads(data)
    assert value == cbor.decode(data)
    assert cbor2.dumps(in_order(value)) == data


@pytest.mark.parametrize("row", JUDGED, ids=name_of)
def test_another_program_finds_the_same_signatures_to_hold(row: dict[str, Any]) -> None:
    root, signed = (cbor2.loads(bytes.fromhex(row[name])) for name in ("root", "hex"))
    assert SCHEMA.matches("root", root)
    assert SCHEMA.matches("signed", signed)
    assert SCHEMA.matches(row["type"], cbor2.loads(signed[1]))
    for data, (at, good, _) in zip(signed.get(2, []), row["signers"], strict=True):
        assert SCHEMA.matches("sign1", cbor2.loads(data))
        if at is not None:
            assert holds(signed[1], data, root[4][at], f"application/vnd.lumenair.{row['type']}") is good


def holds(document: bytes, data: bytes, public: bytes, typ: str) -> bool:
    """RFC 9052 section 4.4 and SPEC 14.2 with cbor2 and `cryptography` alone."""
    header, _, _, signature = cbor2.loads(data)
    payload = cbor2.dumps([-16, hashlib.sha256(document).digest()])
    try:
        key = Ed25519PublicKey.from_public_bytes(public)
        key.verify(signature, cbor2.dumps(["Signature1", header, b"", payload]))
    except InvalidSignature:
        return False
    return bool(cbor2.loads(header)[16] == typ)


def test_every_verdict_on_a_signature_has_its_vector() -> None:
    codes = {row["code"] for row in JUDGED}
    assert codes == {0, *range(refusals.U_UNSIGNED, refusals.U_NO_REPORT + 1)}


def test_batches_hold_what_their_topic_carries() -> None:
    whole = next(row for row in ROWS if row["what"] == "five minutes of an air node")
    assert SCHEMA.matches("tele", cbor2.loads(bytes.fromhex(whole["hex"])))


def test_every_type_has_vectors_of_both_sorts() -> None:
    for name, file in FILES.items():
        assert len(file["accept"]) >= 10, name
        assert len(file["refuse"]) >= 10, name
    types = {row["type"] for row in ROWS}
    assert types >= {
        "cbor",
        "record",
        "event",
        "batch",
        "boot",
        "state",
        "log",
        "command",
        "reply",
        "config",
        "identity",
        "sign1",
        "signed",
        "root",
        "release",
        "campaign",
        "ask",
        "block",
        "proof",
        "status",
    }
