"""The committed vectors, as a receiver in another language would use them; on both interpreters."""

import json

from protocol import trust
from protocol.errors import DecodeError
from protocol.tests import meaning
from protocol.tests.expect import raises

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FOLDER = __file__.rsplit("/", 2)[0] + "/vectors/"
NAMES = ("cbor", "entries", "messages", "topics", "signed")


def load(name: str) -> "Any":
    with open(FOLDER + name + ".json") as file:
        return json.load(file)


def test_what_is_to_be_accepted_means_what_it_should_and_is_written_alike() -> None:
    for name in NAMES:
        for row in load(name)["accept"]:
            data = bytes.fromhex(row["hex"])
            means, again = meaning.of(row["type"], data)
            assert means == row["means"], (name, row["what"])
            assert again == data, (name, row["what"])


def test_what_is_to_be_refused_is_refused_for_its_reason() -> None:
    for name in NAMES:
        for row in load(name)["refuse"]:
            error = raises(DecodeError, meaning.of, row["type"], bytes.fromhex(row["hex"]))
            assert str(error) == row["reason"], (name, row["what"], str(error))


def test_what_was_signed_is_judged_as_it_should() -> None:
    for row in load("signed")["judge"]:
        root = trust.load_root(bytes.fromhex(row["root"]))
        signed = trust.Signed.decode(bytes.fromhex(row["hex"]))
        signers = []
        for found, (at, holds, report) in zip(trust.parse_signatures(signed), row["signers"]):
            assert trust.key_at(root, found.kid) == at, row["what"]
            assert found.report.hex() == report, row["what"]
            signers.append((at, holds, found.report))
        assert len(signers) == len(signed.signatures) == len(row["signers"]), row["what"]
        assert trust.fault_of(root, row["roles"], signers) == row["code"], row["what"]
