"""Exported values are exact, and every channel of the registry can be exported."""

import csv
import io
import json
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet import export
from fleet.model import Reading
from fleet.store.readings import Hour
from protocol import registry

RAW = st.integers(-(2**47), 2**47 - 1)
CHANNELS = st.sampled_from([row.id for row in registry.CHANNELS])


@pytest.mark.parametrize("row", registry.CHANNELS, ids=lambda row: row.name)
def test_every_channel_has_exact_decimals(row: registry.Channel) -> None:
    known = export.quantity(row.id)
    assert (known.name, known.unit) == (row.name, row.ucum)
    assert 10**known.digits % row.per == 0


@given(CHANNELS, RAW)
def test_a_value_is_its_integer_divided_exactly(channel: int, raw: int) -> None:
    known = export.quantity(channel)
    text = export.scaled(raw, known.per, known.digits)
    assert Fraction(text) == Fraction(raw, known.per)
    assert len(text.partition(".")[2]) == known.digits
    assert export.decimal(raw, channel) == Decimal(text)


@given(CHANNELS, RAW)
def test_the_nearest_double_prints_every_digit_again(channel: int, raw: int) -> None:
    """What `-o json` of `data show` relies on."""
    value = export.decimal(raw, channel)
    assert value is not None
    assert Decimal(json.dumps(float(value))) == value


def test_small_negative_values_keep_their_sign() -> None:
    assert export.scaled(-5, 100, 2) == "-0.05"
    assert export.scaled(5, 2, 1) == "2.5"
    assert export.scaled(None, 10, 1) == ""


def test_a_channel_of_a_newer_node_keeps_its_integer() -> None:
    assert export.quantity(60000) == export.Quantity("channel-60000", "", 1, 0)


@given(CHANNELS, st.lists(RAW, min_size=1, max_size=5))
def test_the_mean_of_an_hour_is_rounded_by_less_than_half_of_its_last_digit(channel: int, raws: list[int]) -> None:
    known = export.quantity(channel)
    row = export.hour_row(Hour("air-1", channel, 3600, len(raws), min(raws), max(raws), sum(raws)))
    exact = Fraction(sum(raws), len(raws) * known.per)
    assert abs(Fraction(row[5]) - exact) <= Fraction(1, 2 * 10 ** (known.digits + 1))


READINGS = st.lists(
    st.builds(
        Reading,
        node=st.just("air-1"),
        boot=st.integers(0, 2**32 - 1),
        seq=st.integers(0, 2**32 - 1),
        t_s=st.integers(0, 2**32 - 1),
        tq=st.integers(0, 4),
        interval_s=st.integers(1, 86400),
        channel=st.integers(0, 100),
        mean=st.none() | RAW,
        flag=st.sampled_from([1, 2, 3, 4, 9]),
        n=st.none() | st.integers(0, 100),
        sd=st.none() | st.integers(0, 100),
    ),
    max_size=5,
)


@given(READINGS)
def test_both_formats_say_the_same(readings: list[Reading]) -> None:
    texts = {}
    for form in ("csv", "jsonl"):
        out = io.StringIO()
        counts: list[int] = []
        assert export.write(form, map(export.reading_row, readings), export.COLUMNS, out, counts.append) == len(
            readings
        )
        texts[form] = out.getvalue()
    table = [{key: cell for key, cell in row.items() if cell} for row in csv.DictReader(io.StringIO(texts["csv"]))]
    lines = [json.loads(line, parse_float=str, parse_int=str) for line in texts["jsonl"].splitlines()]
    assert table == lines


def test_rows_are_written_while_they_come() -> None:
    out = io.StringIO()
    seen: list[int] = []

    def rows() -> "export.Iterator[tuple[str, ...]]":
        for number in range(2500):
            yield (str(number), "b")
            assert out.getvalue().count("\n") >= number // 1000 * 1000

    assert export.write("csv", rows(), ("a", "b"), out, seen.append) == 2500
    assert seen == [1000, 2000, 2500]
