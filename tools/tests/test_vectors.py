"""The vectors are current; the schema and cbor2, which know nothing of our decoder, judge them alike."""

import json
from typing import Any

import cbor2
import pytest

from protocol import cbor
from protocol.errors import DecodeError
from protocol.tests.test_cbor_cpython import in_order
from tools import vectors
from tools.cddl import Schema

SCHEMA = Schema((vectors.ROOT / "protocol" / "lumenair.cddl").read_text())
FILES = {name: json.loads((vectors.FOLDER / f"{name}.json").read_text()) for name in vectors.FILES}
ROWS = [row for name in ("cbor", "entries", "messages") for row in FILES[name]["accept"]]
HOSTILE = [row for name in ("entries", "messages") for row in FILES[name]["refuse"]]


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
    }
