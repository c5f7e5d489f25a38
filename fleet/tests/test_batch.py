"""Files that say what boards are to become: what they hold, and where exactly they are wrong."""

import contextlib
import csv
import io
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.boards import batch, spec
from fleet.boards.spec import NodeSpec
from fleet.errors import FleetError, NotFoundError, UsageError

CSV = """\
node,mac,kind,board,wifi_ssid,wifi_psk,site,lat,lon,tag.street,brokers
air-1,24:0A:C4:00:00:01,air,esp32_air,city,12345678,mitte,52.5170,13.3889,Unter den Linden,a:8883 b:8883

air-2,24-0a-c4-00-00-02,air,esp32_air,,,,,,,
"""
TOML = """\
[defaults]
kind = "air"
wifi_ssid = "city"
wifi_psk = "12345678"

[[board]]
node = "air-1"
mac = "240ac4000001"
lat = 52.5170
brokers = ["a:8883", "b:8883"]
tags = { street = "Unter den Linden" }

[[board]]
node = "light-1"
port = "/dev/ttyUSB1"
kind = "light"
"""


NOTHING = NodeSpec()


def parse(text: str, is_toml: bool = False, defaults: NodeSpec = NOTHING) -> list[NodeSpec]:
    return batch.parse(text, is_toml, "boards", defaults)


def test_a_csv_file_says_what_each_board_becomes() -> None:
    one, two = parse(CSV)
    assert (one.node, one.mac, one.kind, one.board) == ("air-1", "240ac4000001", "air", "esp32_air")
    assert (one.wifi_ssid, one.wifi_psk, one.brokers) == ("city", "12345678", ("a:8883", "b:8883"))
    assert one.tags == {"site": "mitte", "lat": "52.5170", "lon": "13.3889", "street": "Unter den Linden"}
    assert (two.mac, two.wifi_ssid, two.tags, two.where) == ("240ac4000002", "", {}, "line 4")


def test_a_toml_file_says_the_same_and_has_defaults() -> None:
    one, two = parse(TOML, is_toml=True)
    assert (one.kind, one.wifi_psk, one.brokers) == ("air", "12345678", ("a:8883", "b:8883"))
    assert one.tags == {"lat": "52.5170", "street": "Unter den Linden"}
    assert (two.kind, two.port, two.where) == ("light", "/dev/ttyUSB1", "line 13")


def test_options_fill_what_the_file_leaves_open_and_a_key_stays_with_its_network() -> None:
    defaults = NodeSpec(kind="light", wifi_ssid="city", wifi_psk="12345678", tags={"site": "mitte"})
    text = "node,mac,wifi_ssid,site\nair-1,240ac4000001,,\nair-2,240ac4000002,other,wedding\nair-3,240ac4000003,city,\n"
    one, two, three = parse(text, defaults=defaults)
    assert (one.kind, one.wifi_psk, one.tags) == ("light", "12345678", {"site": "mitte"})
    assert (two.wifi_ssid, two.wifi_psk, two.tags) == ("other", "", {"site": "wedding"})
    assert three.wifi_psk == "12345678"


def test_a_spreadsheet_may_write_semicolons_and_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "boards.csv"
    path.write_text(CSV.replace(",", ";"), encoding="utf-8-sig")
    assert batch.read(path, NodeSpec()) == parse(CSV)


HEAD = "node,mac,kind,wifi_ssid,wifi_psk,lat\n"
CSV_MISTAKES = {
    "a node id with a capital": ("Air-1,240ac4000001,air,,,", "line 2, column 1: node must be 3 to 32"),
    "a MAC address that is too short": ("air-1,240ac4,air,,,", "line 2, column 2: mac must be a MAC"),
    "a kind that there is not": ("air-1,240ac4000001,noise,,,", "line 2, column 3: kind must be air or light"),
    "a key that is too short": ("air-1,240ac4000001,air,city,geheim,", "line 2, column 5: wifi_psk must be 8 to 63"),
    "a key without its network": (
        "air-1,240ac4000001,air,,12345678,",
        "line 2, column 5: wifi_psk belongs to no network",
    ),
    "a latitude beyond the pole": ("air-1,240ac4000001,air,,,91", "line 2, column 6: lat must be degrees"),
    "no node": (",240ac4000001,air,,,", "line 2: no node"),
    "neither MAC nor port": ("air-1,,air,,,", "line 2: neither mac nor port"),
    "a cell too many": ("air-1,240ac4000001,air,,,,x", "line 2: 7 cells under 6 headings"),
    "a node twice": ("air-1,240ac4000001,air,,,\nair-1,240ac4000002,air,,,", "line 3: node air-1 is in line 2 too"),
    "a MAC twice": (
        "air-1,240ac4000001,air,,,\nair-2,240AC4000001,air,,,",
        "line 3: mac 240ac4000001 is in line 2 too",
    ),
}


@pytest.mark.parametrize("mistake", CSV_MISTAKES)
def test_a_mistake_in_a_csv_file_is_named_with_line_and_column(mistake: str) -> None:
    lines, words = CSV_MISTAKES[mistake]
    with pytest.raises(UsageError, match="boards has 1 mistake") as raised:
        parse(HEAD + lines + "\n")
    assert words in raised.value.cause
    assert "geheim" not in str(raised.value) + raised.value.hint


TOML_MISTAKES = {
    "no TOML": ("[[board]\n", "line 1"),
    "brackets without end": ("x = " + "[" * 100_000, "recursion"),
    "a number without end": ("x = " + "9" * 5000, "limit"),
    "a kind that there is not": (
        '[[board]]\nnode = "air-1"\nmac = "240ac4000001"\nkind = "noise"\n',
        "line 4, column 8: kind",
    ),
    "a key that is not known": ('[[board]]\nnod = "air-1"\n', "line 2, column 7: nod is not known; did you mean node?"),
    "a table that is not known": ("[[bord]]\n", "line 1: bord is not known here"),
    "a default that is wrong": (
        '[defaults]\nkind = "x"\n[[board]]\nnode = "air-1"\nport = "p"\n',
        "line 2, column 8: kind",
    ),
    "a value of no use": ('[[board]]\nnode = "air-1"\nport = true\n', "line 3, column 8: port must be text"),
    "a tag with a bad name": (
        '[[board]]\nnode = "air-1"\nport = "p"\ntags = { Street = "x" }\n',
        "line 4, column 8: Street",
    ),
    "a node without a board": ('[[board]]\nnode = "air-1"\n', "line 1: neither mac nor port"),
    "an inline list": ('board = [{ node = "Air" }]\n', "board 1: node must be"),
}


@pytest.mark.parametrize("mistake", TOML_MISTAKES)
def test_a_mistake_in_a_toml_file_is_named_with_line_and_column(mistake: str) -> None:
    text, words = TOML_MISTAKES[mistake]
    with pytest.raises(UsageError) as raised:
        parse(text, is_toml=True)
    assert words in raised.value.cause


@pytest.mark.parametrize("heading", ["nodes", "colour", "wifi_pass"])
def test_a_column_that_is_not_known_is_a_mistake_and_no_tag(heading: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse(f"node,mac,{heading}\nair-1,240ac4000001,x\n")
    assert f"line 2, column 3: {heading} is not known" in raised.value.cause


def test_every_mistake_is_told_at_once_but_not_thousands() -> None:
    with pytest.raises(UsageError, match="boards has 50 mistakes") as raised:
        parse("node,mac\n" + "Air,1\n" * 50)
    assert raised.value.cause.count("\n") == 20
    assert raised.value.cause.endswith("and 30 more")


@pytest.mark.parametrize("text", ["", "node,mac\n", "\n\n", "node,node\nair-1,air-1\n"])
def test_a_file_that_names_no_board_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse(text)


def test_a_file_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        batch.read(tmp_path / "none.csv", NodeSpec())
    (tmp_path / "x.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="UTF-8"):
        batch.read(tmp_path / "x.csv", NodeSpec())
    (tmp_path / "y.csv").write_bytes(b"x" * (batch.MAX_FILE + 1))
    with pytest.raises(UsageError, match="larger"):
        batch.read(tmp_path / "y.csv", NodeSpec())


@given(st.text(max_size=400), st.booleans())
def test_any_text_is_boards_or_a_reason(text: str, is_toml: bool) -> None:
    with contextlib.suppress(FleetError):
        assert parse(text, is_toml)


ROWS = st.lists(
    st.fixed_dictionaries(
        {"node": st.sampled_from(["air-1", "pole-77", "0a-"]), "mac": st.integers(0, 2**48 - 1).map("{:012x}".format)},
        optional={
            "kind": st.sampled_from(["air", "light"]),
            "wifi_ssid": st.text("abc äß,;\"'#", min_size=1, max_size=12).map(lambda text: f"x{text}x"),
            "tag.street": st.text("abc äß,;\"'#=", min_size=1, max_size=30).map(lambda text: f"x{text}x"),
        },
    ),
    min_size=1,
    max_size=4,
    unique_by=(lambda row: row["node"], lambda row: row["mac"]),
)


@given(ROWS)
def test_both_forms_of_the_same_boards_mean_the_same(rows: list[dict[str, str]]) -> None:
    names = sorted({name for row in rows for name in row})
    sheet = io.StringIO()
    writer = csv.DictWriter(sheet, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    lines = []
    for row in rows:
        lines.append("[[board]]")
        lines += [f"{_quoted(name)} = {_quoted(value)}" for name, value in row.items()]
    text = "\n".join(lines)
    assert tomllib.loads(text)["board"] == rows
    assert [_plain(one) for one in parse(sheet.getvalue())] == [_plain(one) for one in parse(text, is_toml=True)]


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _plain(one: NodeSpec) -> tuple[object, ...]:
    return one.node, one.mac, one.kind, one.wifi_ssid, one.tags


# Values, from options too

BAD = {
    "brokers": ["host", "host:0", "host:70000", "a:1 b:1 c:1 d:1 e:1", "ho st", "a_b:1", ""],
    "ntp": ["", "a b c d e", "a/b"],
    "board": ["ESP32", "../x", "a b", ""],
    "wifi_ssid": ["", "ß" * 17],
    "wifi_psk": ["1234567", "x" * 64, "passwörter", "a\nbcdefgh"],
    "tz": ["", "C", "CET 1", "x" * 65],
    "lat": ["north", "90.1", "nan", "inf", "1e999", "-91", "0." + "1" * 20],
    "lon": ["180.5", ""],
    "port": ["", "a\x07b"],
    "site": ["", "x" * 129],
    "tag.id": ["air-1"],
    "tag.X": ["y"],
}


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in BAD.items() for text in texts])
def test_a_wrong_value_is_refused_under_its_name(name: str, text: str) -> None:
    with pytest.raises(UsageError) as raised:
        spec.of({name: text}, "--{}".format)
    assert raised.value.message.startswith(f"--{name} ")
    assert name != "wifi_psk" or text not in raised.value.message


GOOD = {
    "brokers": "broker.example:8883 192.0.2.1:1883 [2001:db8::1]:8883",
    "ntp": "pool.ntp.org ntp.example:1123",
    "wifi_psk": "ab" * 32,
    "tz": "<+03>-3",
    "lat": "-52.5170",
    "wifi_ssid": "Stadt-Netz äöü",
}


@pytest.mark.parametrize("name", GOOD)
def test_a_right_value_is_taken(name: str) -> None:
    assert spec.of({name: GOOD[name]}) != NodeSpec()


def test_a_key_is_not_shown_when_a_node_is() -> None:
    assert "12345678" not in repr(NodeSpec(wifi_psk="12345678"))
