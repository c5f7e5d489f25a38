"""The output layer: what machines get is exact and stable, what people get is readable."""

import io
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import click
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fleet.cli import human
from fleet.cli.edge import _wants_json, run
from fleet.cli.output import Column, Output, View, moment
from fleet.cli.types import plain_value
from fleet.errors import FleetError, PartlyFailedError
from fleet.tests.cli_rig import Screen
from fleet.tests.cli_rig import run as run_fleet

NOW = 1_800_000_000
VIEW = View(
    "things",
    (
        Column("id", "THING"),
        Column("seen", "SEEN", right=True),
        Column("value", "VALUE"),
        Column("tags", "TAGS"),
        Column("hidden"),
    ),
    id="id",
)
ROWS = [
    {"id": "a", "seen": moment(NOW - 90), "value": Decimal("21.50"), "tags": {"x": "1"}, "hidden": True, "more": 1},
    {"id": "b", "seen": None, "value": None, "tags": {}, "hidden": b"\x01"},
]

SPANS = {0: "0 s", 1: "1 s", 119: "119 s", 120: "2 min", 7199: "119 min", 7200: "2 h", 172799: "47 h", 172800: "2 d"}
SIZES = {0: "0 B", 999: "999 B", 1000: "1.0 kB", 9990: "10.0 kB", 12345: "12 kB", 1_234_567: "1.2 MB", 10**12: "1.0 TB"}


@pytest.mark.parametrize(("seconds", "text"), SPANS.items())
def test_spans_of_time(seconds: int, text: str) -> None:
    assert human.span(seconds) == text


@pytest.mark.parametrize(("count", "text"), SIZES.items())
def test_sizes(count: int, text: str) -> None:
    assert human.size(count) == text


def test_numbers_and_courses() -> None:
    assert human.number(1234567) == "1 234 567"
    assert human.sparkline([0, 1, None, 7]) == "▁▂ █"
    assert human.sparkline([5, 5]) == "▁▁"
    assert human.sparkline([None, None]) == "  "
    assert human.sparkline([Decimal("-1.5"), Decimal("2.5")]) == "▁█"


@given(st.lists(st.none() | st.integers(), max_size=30))
def test_a_course_has_one_character_per_value(values: list[int | None]) -> None:
    assert len(human.sparkline(values)) == len(values)


def output(form: str, tty: bool = False) -> tuple[Output, io.StringIO]:
    stream = Screen() if tty else io.StringIO()
    return Output(form, stream, NOW), stream


def test_json_has_the_keys_of_the_view_and_no_other() -> None:
    out, stream = output("json")
    out.rows(VIEW, ROWS)
    assert json.loads(stream.getvalue()) == {
        "schema_version": 1,
        "things": [
            {"id": "a", "seen": "2027-01-15T07:58:30Z", "value": 21.5, "tags": {"x": "1"}, "hidden": True},
            {"id": "b", "seen": None, "value": None, "tags": {}, "hidden": "01"},
        ],
    }


def test_a_row_without_a_key_of_its_view_is_a_mistake() -> None:
    out, _ = output("json")
    with pytest.raises(KeyError):
        out.rows(VIEW, [{"id": "a"}])


def test_csv_keeps_digits_and_empty_cells() -> None:
    out, stream = output("csv")
    out.rows(VIEW, ROWS)
    assert stream.getvalue().splitlines() == [
        "id,seen,value,tags,hidden",
        'a,2027-01-15T07:58:30Z,21.50,"{""x"": ""1""}",true',
        "b,,,{},01",
    ]


def test_a_table_for_people() -> None:
    out, stream = output("table")
    out.rows(VIEW, ROWS)
    assert stream.getvalue().splitlines() == [
        "THING  SEEN  VALUE  TAGS",
        "a      90 s  21.50  x=1",
        "b         -  -      -",
    ]


def test_nothing_found_is_a_note_for_people_and_an_empty_list_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    out, stream = output("table")
    out.rows(VIEW, [], empty="Nothing.")
    assert (stream.getvalue(), capsys.readouterr().err) == ("", "Nothing.\n")
    out, stream = output("json")
    out.rows(VIEW, [], empty="Nothing.")
    assert (json.loads(stream.getvalue())["things"], capsys.readouterr().err) == ([], "")


@pytest.mark.parametrize(
    ("form", "lines"),
    {
        "json": ['{"schema_version": 1, "id": "a"', '{"schema_version": 1, "id": "b"'],
        "csv": ["id,seen", "a,2027", "b,,"],
        "name": ["a", "b"],
        "table": ["a  90 s", "b  -"],
        "yaml": ["---", "schema_version: 1", "id: a"],
    }.items(),
)
def test_a_stream_is_one_line_or_document_per_row(form: str, lines: list[str]) -> None:
    out, stream = output(form)
    for row in ROWS:
        out.item(VIEW, row)
    for line, start in zip(stream.getvalue().splitlines(), lines, strict=False):
        assert line.startswith(start)


def test_one_thing_in_full() -> None:
    out, stream = output("table")
    out.record(VIEW, ROWS[0], [("Parts", VIEW, ROWS), ("None", VIEW, [])])
    text = stream.getvalue()
    assert text.startswith("THING  a\nSEEN   90 s\n")
    assert "\nParts\nTHING  SEEN" in text
    assert "None" not in text


def test_yaml_says_what_json_says() -> None:
    texts = {}
    for form in ("yaml", "json"):
        out, stream = output(form)
        out.rows(VIEW, ROWS)
        texts[form] = stream.getvalue()
    assert yaml.safe_load(texts["yaml"]) == json.loads(texts["json"])


JSON_WANTED = {
    "--json": True,
    "-o json": True,
    "-ojson": True,
    "--output json": True,
    "--output=json": True,
    "-o yaml": False,
    "json": False,
    "": False,
    "-o": False,
    "-- --json": False,
}


@pytest.mark.parametrize(("line", "wanted"), JSON_WANTED.items())
def test_whether_errors_are_wanted_as_json(line: str, wanted: bool) -> None:
    assert _wants_json(line.split()) is wanted


def test_arguments_of_commands() -> None:
    values = {"true": True, "false": False, "-12": -12, "007": 7, "1.5": "1.5", "on": "on", "": "", "9" * 19: "9" * 19}
    assert {text: plain_value(text) for text in values} == values


def test_a_moment() -> None:
    assert moment(NOW) == datetime(2027, 1, 15, 8, tzinfo=UTC)
    assert moment(None) is moment(0) is None


# sentence: what somebody else wrote
HOSTILE = {
    "a title and a cleared screen": "\x1b]0;pwned\x07\x1b[2J",
    "controls of eight bits": "a\x9b31mb\x85c",
    "a line written over": "good\rbad\x08\x08",
    "writing from right to left": "a\u202eb\u2066c",
    "half a character": "a\ud800b",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("form", ["table", "json", "name", "csv"])
def test_what_others_wrote_moves_no_cursor(form: str, text: str) -> None:
    screen, stream, card = io.StringIO(), io.StringIO(), io.StringIO()
    row = {"id": text, "seen": None, "value": text, "tags": {text: text}, "hidden": text}
    Output(form, screen, NOW).rows(VIEW, [row])
    Output(form, stream, NOW).item(VIEW, row)
    Output(form, card, NOW).record(VIEW, row)
    for said in (screen.getvalue(), stream.getvalue(), card.getvalue()):
        assert said.replace("\n", "").isprintable()
    if form == "json":
        assert json.loads(stream.getvalue())["value"] == text, "a script gets what was written"


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
def test_an_error_moves_no_cursor(as_json: bool, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    def fails() -> None:
        raise PartlyFailedError(text, {text: FleetError(text, text, text), "b": text}, hint=text, cause=text)

    command = click.Command(
        "fails", callback=fails, params=[click.Option(["--json"], is_flag=True, expose_value=False)]
    )
    assert run(command, ["--json"] if as_json else [], "fails") == PartlyFailedError.exit_code
    assert capsys.readouterr().err.replace("\n", "").isprintable()


def test_an_error_fits_its_terminal_and_is_never_broken_within_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    deep = tmp_path / ("x" * 70)
    shown = click.unstyle(run_fleet("node", "list", "--fleet", deep, tty=True).err)
    assert str(deep) in shown
    assert all(len(line) <= 60 or " " not in line.strip() for line in shown.splitlines())
    assert any(line.startswith("  ") for line in shown.splitlines())
    piped = run_fleet("node", "list", "--fleet", deep).err
    assert " ".join(piped.split()) == " ".join(shown.split())
