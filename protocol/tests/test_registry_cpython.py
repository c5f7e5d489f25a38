"""The registry and the constants of the device say the same."""

import pytest

from protocol import channels, events, registry


def constants(module: object, without: tuple[str, ...]) -> dict[str, int]:
    """The public integers of a module of constants."""
    return {name: value for name, value in vars(module).items() if name.isupper() and not name.startswith(without)}


def test_every_channel_constant_has_one_row_of_its_name() -> None:
    rows = {row.name.upper(): row.id for row in registry.CHANNELS}
    assert rows == constants(channels, ("STATUS_", "REASON_"))
    assert len(registry.CHANNELS) == len(rows) == len(set(rows.values()))


def test_every_event_constant_has_one_row_of_its_name() -> None:
    rows = {row.name.upper(): row.code for row in registry.EVENTS}
    assert rows == constants(events, ())
    assert len(registry.EVENTS) == len(rows) == len(set(rows.values()))


def test_what_every_node_sends_each_minute_costs_one_byte_per_id() -> None:
    for name in ("pm25", "pm10", "t_amb", "rh_amb", "p", "co2", "level_actual", "p_active", "status"):
        row = registry.channel_named(name)
        assert row is not None
        assert row.id < 24


@pytest.mark.parametrize("row", registry.CHANNELS, ids=lambda row: row.name)
def test_a_channel_row_is_sound(row: registry.Channel) -> None:
    assert 1 <= row.id <= 0xFFFF
    assert row.low < row.high
    assert max(abs(row.low), abs(row.high)) < 1 << 47
    assert row.per in {1, 2, 10, 100, 1000, 10_000}
    assert row.kind in {"air", "light", "both"}
    assert row.label
    assert row.ucum
    assert row.doc
    assert registry.channel(row.id) is registry.channel_named(row.name) is row


@pytest.mark.parametrize("row", registry.EVENTS, ids=lambda row: row.name)
def test_an_event_row_is_sound(row: registry.EventCode) -> None:
    assert 1 <= row.code <= 0xFFFF
    assert row.severity in {"info", "warning", "error"}
    assert row.doc
    assert registry.event(row.code) is row


def test_what_is_not_in_the_table_is_none() -> None:
    assert registry.channel(9999) is None
    assert registry.channel_named("nope") is None
    assert registry.event(9999) is None


def test_status_bits_and_reasons_are_distinct() -> None:
    bits = constants(channels, tuple(name for name in vars(channels) if not name.startswith("STATUS_")))
    assert sum(bits.values()) == (1 << len(bits)) - 1
    reasons = constants(channels, tuple(name for name in vars(channels) if not name.startswith("REASON_")))
    assert sorted(reasons.values()) == list(range(len(reasons)))
