"""The settings of a node: one table, known to both ends, from which the reference page is generated (SPEC 8).

Each row is (id, name, kind, low, high, default, unit, restart, text). `restart` says that a change
takes effect at the next boot only. Ids are never reused.
"""

from protocol import cbor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Row = tuple[int, str, type, int, int, Any, str, bool, str]

SETTINGS: "tuple[Row, ...]" = (
    (1, "interval_s", int, 1, 3600, 60, "s", False, "length of one record"),
    (2, "batch", int, 1, 60, 5, "1", False, "records that wait for each other before they are sent"),
    (3, "heartbeat_s", int, 5, 3600, 300, "s", False, "time between two state messages"),
    (4, "keepalive_s", int, 10, 1200, 60, "s", False, "MQTT keep-alive"),
    (5, "window", int, 1, 8, 4, "1", False, "QoS 1 messages in flight"),
    (6, "log_level", int, 3, 7, 6, "1", False, "least severe line that is sent, as in RFC 5424"),
    (7, "stats", bool, 0, 1, False, "1", False, "send n, sd, min and max with every mean"),
    (8, "outbox_kb", int, 16, 512, 384, "KiB", True, "flash for entries that are not acknowledged"),
    (9, "backoff_max_s", int, 5, 600, 300, "s", False, "longest wait between two connection attempts"),
    (10, "start_jitter_s", int, 0, 60, 30, "s", True, "random wait before the first connection after power-on"),
    (11, "ntp_s", int, 60, 86400, 3600, "s", False, "time between two clock synchronisations"),
    (20, "lamp_on_min", int, 0, 1439, 930, "min", False, "lamp programme: minute of the UTC day when the lamp goes on"),
    (21, "lamp_off_min", int, 0, 1439, 450, "min", False, "lamp programme: minute of the UTC day when it goes off"),
    (22, "dim_from_min", int, 0, 1439, 1380, "min", False, "lamp programme: start of the dimmed part of the night"),
    (23, "dim_to_min", int, 0, 1439, 240, "min", False, "lamp programme: end of the dimmed part of the night"),
    (24, "level_full", int, 2, 200, 200, "0.5 %", False, "lamp level in the evening and morning"),
    (25, "level_dim", int, 2, 200, 100, "0.5 %", False, "lamp level in the dimmed part of the night"),
    (26, "lamp_dw", int, 10, 10000, 400, "0.1 W", False, "rated power of the lamp, for the failure rules"),
    (27, "report_s", int, 10, 3600, 900, "s", False, "time between two records of a light node"),
    (30, "bench_required", bool, 0, 1, False, "1", False, "refuse a release that the role bench has not signed"),
)


_KINDS = {bool: "true or false", int: "a whole number", str: "text"}


def row_of(key: "int | str") -> "Row | None":
    """The row of a setting by id or by name, or None."""
    for row in SETTINGS:
        if row[0] == key or row[1] == key:
            return row
    return None


def fault_of(row: "Row", value: "Any") -> "str | None":
    """What is wrong with `value` for that setting, or None."""
    kind, low, high = row[2], row[3], row[4]
    found: "Any" = type(value)
    if found is not kind:
        return "not {}".format(_KINDS[kind])
    if kind is bool:
        return None
    size = len(cbor.encode_text(value)) if kind is str else value
    return None if low <= size <= high else "not within {} .. {}".format(low, high)
