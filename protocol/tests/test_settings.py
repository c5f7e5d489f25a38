"""The settings table: found by id and name, its own defaults valid, what does not fit named."""

from protocol.settings import SETTINGS, fault_of, row_of

FAULTS = {
    "a value in the middle": ("interval_s", 60, None),
    "the least value": ("interval_s", 1, None),
    "the largest value": ("interval_s", 3600, None),
    "a value too small": ("interval_s", 0, "not within 1 .. 3600"),
    "a value too large": ("interval_s", 3601, "not within 1 .. 3600"),
    "text for a number": ("interval_s", "60", "not a whole number"),
    "a truth value for a number": ("interval_s", True, "not a whole number"),
    "null for a number": ("interval_s", None, "not a whole number"),
    "a truth value": ("stats", True, None),
    "a number for a truth value": ("stats", 1, "not true or false"),
}


def test_a_row_is_found_by_id_and_by_name() -> None:
    for row in SETTINGS:
        assert row_of(row[0]) is row
        assert row_of(row[1]) is row
    assert row_of(0) is None
    assert row_of("nope") is None


def test_ids_and_names_are_used_once() -> None:
    assert len({row[0] for row in SETTINGS}) == len({row[1] for row in SETTINGS}) == len(SETTINGS)


def test_every_default_is_valid() -> None:
    for row in SETTINGS:
        assert fault_of(row, row[5]) is None, row[1]


def test_what_does_not_fit_is_named() -> None:
    for what, (name, value, fault) in FAULTS.items():
        row = row_of(name)
        assert row is not None
        assert fault_of(row, value) == fault, what
