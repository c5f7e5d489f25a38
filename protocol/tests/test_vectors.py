"""The committed vectors, as a receiver in another language would use them; on both interpreters."""

import json

from protocol.errors import DecodeError
from protocol.tests import meaning
from protocol.tests.expect import raises

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FOLDER = __file__.rsplit("/", 2)[0] + "/vectors/"
NAMES = ("cbor", "entries", "messages", "topics")


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
