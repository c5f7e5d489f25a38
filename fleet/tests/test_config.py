import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from fleet import config
from fleet.errors import ConfigError, FleetError, NotFoundError

HERE = Path("fleet-dir")

# sentence: (file, parts of the error)
REFUSED = {
    "a section that does not exist": ("[brokr]", "brokr is not a setting", "did you mean broker?"),
    "a key that does not exist": ("[broker]\nprot = 1", "broker.prot is not a setting", "did you mean broker.port?"),
    "a key like no other": ("[broker]\nzzzzzz = 1", "broker.zzzzzz is not a setting", "known here: kind, host"),
    "a section that is a value": ("broker = 1", "broker must be a section", "[broker]"),
    "a number out of range": ("[broker]\nport = 0", "broker.port must be a whole number from 1 to 65535", "it is 0"),
    "text for a number": ('[broker]\nport = "1"', "broker.port must be a whole number", 'it is "1"'),
    "true for a number": ("[broker]\nport = true", "broker.port must be a whole number", "it is true"),
    "a float for a number": ("[store]\nraw_days = 1.5", "store.raw_days must be a whole number", "it is 1.5"),
    "a date for a number": ("[store]\nraw_days = 2026-01-01", "store.raw_days must be", "2026-01-01"),
    "a kind that does not exist": ('[broker]\nkind = "x"', "broker.kind must be text of the form", 'it is "x"'),
    "an empty host": ('[broker]\nhost = ""', "broker.host must be text of the form", 'it is ""'),
    "a time without a unit": ('[broker]\nsync = "30"', "broker.sync must be text", 'it is "30"'),
    "a list that is none": ('[nodes]\nntp = "a"', "nodes.ntp must be a list of texts", 'it is "a"'),
    "a list with a number": ("[nodes]\nntp = [1]", "nodes.ntp must be a list of texts", "it is [1]"),
    "a broker without a port": ('[nodes]\nbrokers = ["a"]', "nodes.brokers must be a list", 'it is ["a"]'),
    "no TOML": ("[broker\nport = 1", "is not TOML", "line 1"),
    "brackets without end": ("x = " + "[" * 20_000, "is not TOML", "recursion"),
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_refused(sentence: str, tmp_path: Path) -> None:
    text, *parts = REFUSED[sentence]
    (tmp_path / config.FILE).write_text(text)
    with pytest.raises(ConfigError) as caught:
        config.load(tmp_path)
    said = f"{caught.value.message} {caught.value.cause} {caught.value.hint}"
    assert str(tmp_path / config.FILE) in said
    for part in parts:
        assert part in said


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / config.FILE).write_bytes(b"\xff")
    with pytest.raises(ConfigError):
        config.load(tmp_path)


def test_a_directory_without_a_fleet_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError) as caught:
        config.load(tmp_path / "nowhere")
    assert "fleet init" in caught.value.hint


def test_the_default_file_means_the_defaults_and_shows_every_key() -> None:
    text = config.default_text()
    assert config.parse(tomllib.loads(text), HERE) == config.Config(HERE)
    for row in fields(config.Config)[1:]:
        for key in fields(row.type):
            assert f"#{key.name} = " in text
            assert key.metadata["text"].endswith(".")


def test_uncommented_the_default_file_means_the_same() -> None:
    lines = [
        line.removeprefix("#") if not line.startswith("# ") else line for line in config.default_text().splitlines()
    ]
    assert config.parse(tomllib.loads("\n".join(lines)), HERE) == config.Config(HERE)


def test_given_values_stand_in_the_file() -> None:
    values = {"broker": {"port": 1234, "names": ["a.example"]}, "nodes": {"tz": 'A"B'}}
    found = config.parse(tomllib.loads(config.default_text(values)), HERE)
    assert (found.broker.port, found.broker.names, found.nodes.tz) == (1234, ("a.example",), 'A"B')
    assert found == config.parse(values, HERE)


def test_nodes_are_sent_to_the_broker_unless_told_otherwise() -> None:
    assert config.parse({"broker": {"host": "b.example"}}, HERE).node_brokers == ("b.example:8883",)
    assert config.parse({"nodes": {"brokers": ["c:1", "d:2"]}}, HERE).node_brokers == ("c:1", "d:2")


def test_every_error_has_a_code_of_its_own_or_of_its_parent() -> None:
    def below(kind: type[FleetError]) -> list[type[FleetError]]:
        return [kind, *(each for child in kind.__subclasses__() for each in below(child))]

    tree = below(FleetError)
    assert {kind.exit_code for kind in tree} == set(range(1, 9))
    own = [kind.code for kind in tree if "code" in vars(kind)]
    assert len(set(own)) == len(own)
