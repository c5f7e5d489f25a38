"""Windows and daylight: spans of seconds, over changes of the clock and beyond the polar circle."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from fleet.rollout.plan import DAY_S, HOUR_S, Window
from fleet.rollout.sun import daylight, intersect
from fleet.rollout.windows import next_open, spans

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp())


NIGHTLY = Window("0 2 * * *", "Europe/Berlin", 2 * HOUR_S)


@pytest.mark.parametrize(
    ("window", "begin", "end", "found"),
    [
        pytest.param(Window(), "2027-01-15", "2027-01-16", [("2027-01-15", "2027-01-16")], id="no cron: always"),
        pytest.param(
            NIGHTLY, "2027-01-15T03:00", "2027-01-16", [("2027-01-15T03:00", "2027-01-15T04:00")], id="inside"
        ),
        pytest.param(NIGHTLY, "2027-01-15T04:00", "2027-01-16T02:00", [], id="it does not hold at its end"),
        pytest.param(
            Window("0 2 * * 1", "Europe/Berlin", HOUR_S),
            "2027-01-15",
            "2027-01-26",
            [("2027-01-18T02:00", "2027-01-18T03:00"), ("2027-01-25T02:00", "2027-01-25T03:00")],
            id="mondays",
        ),
        pytest.param(
            Window("0 * * * *", "Europe/Berlin", HOUR_S),
            "2027-01-15",
            "2027-01-16",
            [("2027-01-15", "2027-01-16")],
            id="windows that touch are one",
        ),
        pytest.param(
            NIGHTLY,
            "2027-03-28",
            "2027-03-29",
            [("2027-03-28T03:00", "2027-03-28T05:00")],
            id="the hour that is not there",
        ),
    ],
)
def test_spans(window: Window, begin: str, end: str, found: list[tuple[str, str]]) -> None:
    assert spans(window, at(begin), at(end)) == [(at(one), at(two)) for one, two in found]


def test_the_hour_that_comes_twice_opens_once() -> None:
    found = spans(NIGHTLY, at("2027-10-31"), at("2027-11-01"))
    assert len(found) == 1
    assert found[0][1] - found[0][0] == 2 * HOUR_S


def test_next_open() -> None:
    assert next_open(Window(), 5) == 5
    assert next_open(NIGHTLY, at("2027-01-15T03:00")) == at("2027-01-15T03:00")
    assert next_open(NIGHTLY, at("2027-01-15T04:00")) == at("2027-01-16T02:00")
    assert next_open(Window("0 0 29 2 *", "UTC", HOUR_S), at("2029-03-01")) is None, "not within a year"


@pytest.mark.parametrize(
    ("lat", "lon", "day", "rise", "fall"),
    [
        # upper edge of the sun at the horizon, as almanacs print it, to two minutes
        pytest.param(52_520_000, 13_405_000, "2027-06-21T00:00", "04:43", "21:33", id="Berlin in June"),
        pytest.param(52_520_000, 13_405_000, "2027-12-21T00:00", "08:15", "15:54", id="Berlin in December"),
    ],
)
def test_daylight(lat: int, lon: int, day: str, rise: str, fall: str) -> None:
    (begin, end), *more = daylight(lat, lon, at(day), at(day) + DAY_S)
    assert not more
    assert abs(begin - at(f"{day[:11]}{rise}")) <= 120
    assert abs(end - at(f"{day[:11]}{fall}")) <= 120


def test_a_window_that_opens_each_minute_is_not_followed_for_a_year() -> None:
    begin = at("2027-01-15")
    for duration_s in (60, HOUR_S, 7 * DAY_S):
        ((first, last),) = spans(Window("* * * * *", "UTC", duration_s), begin, begin + 366 * DAY_S, 8)
        assert first == begin
        assert DAY_S < last - begin < 2 * DAY_S


def test_daylight_anywhere_is_in_order_and_inside() -> None:
    begin = at("2027-03-20")
    for lat in range(-90_000_000, 90_000_001, 15_000_000):
        for lon in range(-180_000_000, 180_000_001, 30_000_000):
            found = daylight(lat, lon, begin, begin + 30 * DAY_S)
            edges = [edge for span in found for edge in span]
            assert edges == sorted(set(edges))
            assert all(begin <= edge <= begin + 30 * DAY_S for edge in edges)
            if abs(lat) <= 60_000_000:
                assert 29 <= len(found) <= 31


def test_polar_day_and_night() -> None:
    tromso = 69_650_000, 18_960_000
    june, december = at("2027-06-15"), at("2027-12-15")
    assert daylight(*tromso, june, june + 3 * DAY_S) == [(june, june + 3 * DAY_S)]
    assert daylight(*tromso, december, december + 3 * DAY_S) == []


def test_intersect() -> None:
    assert intersect([(0, 10), (20, 30)], [(5, 25)]) == [(5, 10), (20, 25)]
    assert intersect([(0, 10)], [(10, 20)]) == []
    assert intersect([], [(0, 9)]) == []
