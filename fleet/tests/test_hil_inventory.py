"""bench.toml: what it may say, what each mistake is answered with, and choosing boards."""

import contextlib
from dataclasses import fields
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.errors import ConfigError, NotFoundError
from fleet.hil import inventory, power
from fleet.hil.inventory import About, Board, Quarantine

WHOLE = """
[bench]
name = "mitte"
results = "out"

[[board]]
id = "air-desk"
port = "/dev/ttyUSB0"
chip = "esp32s3"
kind = "air"
pins = "esp32s3_air"
baud = 921600
tags = ["poe", "nightly"]
fixtures = ["sen66"]
power = {driver = "uhubctl", location = "1-1.4", hub_port = 2}
notes = "left of the window"

[[board]]
id = "lamp-desk"
port = "rfc2217://bench-2:4000"
kind = "light"
tags = ["nightly"]
power = {driver = "tasmota", host = "plug-3", password_file = "plug.pw"}
quarantine = {reason = "the relay sticks", since = 2026-11-22}
"""
ONE = '[[board]]\nid = "a"\nport = "p"\n'


def load(tmp_path: Path, text: str) -> inventory.Bench:
    (tmp_path / "bench.toml").write_text(text)
    return inventory.load(tmp_path)


def test_a_whole_file(tmp_path: Path) -> None:
    bench = load(tmp_path, WHOLE)
    air, lamp = bench.boards
    assert (bench.about.name, bench.results) == ("mitte", tmp_path / "out")
    assert (air.port, air.chip, air.baud, air.tags) == ("/dev/ttyUSB0", "esp32s3", 921600, ("poe", "nightly"))
    assert (air.power.location, air.power.hub_port, power.name(air.power)) == ("1-1.4", 2, "uhubctl")
    assert lamp.port == "rfc2217://bench-2:4000"
    assert lamp.power.password_file == str(tmp_path / "plug.pw")
    assert lamp.quarantine == Quarantine("the relay sticks", date(2026, 11, 22))


def test_what_is_left_out_has_its_default_and_paths_count_from_the_file(tmp_path: Path) -> None:
    bench = load(tmp_path, ONE)
    assert bench.boards == (Board("a", str(tmp_path / "p"), power=bench.boards[0].power),)
    assert power.name(bench.boards[0].power) == "none"
    assert bench.results == tmp_path / "results"


def test_every_key_says_what_it_means() -> None:
    kinds = [About, Board, Quarantine, *(driver.Settings for driver in power.DRIVERS.values())]
    for kind in kinds:
        for row in fields(kind):
            assert row.metadata["text"].endswith("."), f"{kind.__name__}.{row.name}"


MISTAKES = {
    "a key that was meant to be another": (ONE + 'knd = "air"', "board a: knd is not a key", "kind"),
    "a section that was meant to be another": ("[bnch]\n" + ONE, "bnch is not a key", "bench"),
    "a driver that was meant to be another": (ONE + 'power = {driver = "tasmata", host = "x"}', "tasmata", "tasmota"),
    "a driver without its settings": (ONE + 'power = {driver = "uhubctl"}', "power (uhubctl) has no location", "hub"),
    "a power table without a driver": (ONE + 'power = {host = "x"}', "power must name its driver", "rts"),
    "a key of another driver": (
        ONE + 'power = {driver = "shelly", host = "x", relay = 1}',
        "power (shelly): relay is not a key",
        "channel",
    ),
    "a number out of its range": (ONE + "baud = 10", "board a: baud must be a whole number from 9600", "speed"),
    "a text instead of a number": (ONE + 'baud = "fast"', "board a: baud must be a whole number", "speed"),
    "a chip that nobody makes": (ONE + 'chip = "esp33"', "board a: chip must be text of the form", "esptool"),
    "a tag that is no word": (ONE + 'tags = ["a b"]', "board a: tags must be a list of texts", "choose"),
    "a quarantine without a date": (ONE + 'quarantine = {reason = "x"}', "quarantine has no since", "2026-11-22"),
    "a quarantine whose date is a text": (
        ONE + 'quarantine = {reason = "x", since = "today"}',
        "quarantine: since must be a date",
        "day",
    ),
    "a quarantine without a reason": (
        ONE + 'quarantine = {reason = " ", since = 2026-11-22}',
        "quarantine: reason must be text",
        "wrong",
    ),
    "a quarantine that is a word": (ONE + "quarantine = true", "quarantine must be a table", ""),
    "a board without a port": ('[[board]]\nid = "a"\n', "board a has no port", "serial"),
    "a board without an id": ('[[board]]\nport = "p"\n', "board 1 has no id", "name"),
    "a board whose id is a number": ('[[board]]\nid = 7\nport = "p"\n', "board 1: id must be text", "name"),
    "two boards of one id": (ONE + ONE, "board a: id a is that of board a", ""),
    "two boards at one port": (ONE + '[[board]]\nid = "b"\nport = "./p"\n', "", ""),
    "no board at all": ('[bench]\nname = "x"\n', "has no board", "[[board]]"),
    "a board section in single brackets": ('[board]\nid = "a"\n', "has no board", "[[board]]"),
    "no TOML": ("[[board]\n", "is not TOML", "line"),
    "brackets without end": ("x = " + "[" * 100_000, "is not TOML", "line"),
    "a number without end": ("x = " + "9" * 5000, "is not TOML", "line"),
}


@pytest.mark.parametrize("case", [name for name in MISTAKES if name != "two boards at one port"])
def test_a_mistake_names_its_place_and_what_to_do(case: str, tmp_path: Path) -> None:
    text, message, hint = MISTAKES[case]
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, text)
    assert str(tmp_path / "bench.toml") in raised.value.message
    assert message in raised.value.message
    assert hint in raised.value.hint


def test_two_boards_at_one_port_are_refused_however_it_is_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is that of board a too"):
        load(tmp_path, ONE + '[[board]]\nid = "b"\nport = "./p"\n')


def test_no_file() -> None:
    with pytest.raises(NotFoundError, match="no bench in"):
        inventory.load(Path("/nonexistent"))


CHOICES = {
    "nothing asked is everything": ({}, ["air-desk", "lamp-desk"]),
    "by id": ({"ids": ["lamp-desk"]}, ["lamp-desk"]),
    "by a tag": ({"tags": ["nightly"]}, ["air-desk", "lamp-desk"]),
    "all tags must be there": ({"tags": ["nightly", "poe"]}, ["air-desk"]),
    "one of several chips": ({"chips": ["esp32s3", "esp32c3"]}, ["air-desk"]),
    "by kind": ({"kinds": ["light"]}, ["lamp-desk"]),
    "by what is wired to it": ({"fixtures": ["sen66"]}, ["air-desk"]),
    "without those in quarantine": ({"quarantined": False}, ["air-desk"]),
    "nothing fits": ({"kinds": ["light"], "tags": ["poe"]}, []),
}


@pytest.mark.parametrize("case", CHOICES)
def test_choosing(case: str, tmp_path: Path) -> None:
    asked, wanted = CHOICES[case]
    assert [board.id for board in load(tmp_path, WHOLE).select(**asked)] == wanted  # type: ignore[arg-type]


def test_a_board_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no board air-dsk") as raised:
        load(tmp_path, WHOLE).board("air-dsk")
    assert "air-desk" in raised.value.hint


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["bench", "board", "x"]), _VALUES | st.lists(_VALUES)))
def test_any_tree_is_a_bench_or_one_error(tree: dict[str, object]) -> None:
    with contextlib.suppress(ConfigError):
        inventory.parse(tree, Path("/b/bench.toml"))


@given(st.dictionaries(st.sampled_from([row.name for row in fields(Board)]), _VALUES))
def test_any_board_is_a_board_or_one_error(row: dict[str, object]) -> None:
    with contextlib.suppress(ConfigError):
        inventory.parse({"board": [{"id": "a", "port": "p"} | row]}, Path("/b/bench.toml"))
