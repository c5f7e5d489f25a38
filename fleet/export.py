"""Use case: measured values for others, as CSV or JSON Lines.

Every value is the node's integer in the unit of its channel, written as an exact decimal with all digits that the
channel resolves; no float is involved. Rows are made while they are written, so a year of a fleet needs no memory.
"""

import csv
import io
import json
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache, lru_cache
from typing import TextIO

from fleet.model import TQ_AHEAD, Reading
from fleet.store.readings import Hour
from protocol import registry
from protocol.records import TQ_BOUND, TQ_NTP_DAY, TQ_NTP_HOUR, TQ_RTC, TQ_UPTIME

COLUMNS = (
    "node", "time", "interval_s", "channel", "unit", "value", "flag",
    "n", "sd", "min", "max", "time_quality", "boot", "seq",
)  # fmt: skip
HOUR_COLUMNS = ("node", "time", "interval_s", "channel", "unit", "value", "n", "min", "max")
TIME_QUALITY = {  # by TQ_* of protocol.records
    TQ_AHEAD: "ahead",
    TQ_UPTIME: "unknown",
    TQ_BOUND: "bound",
    TQ_RTC: "rtc",
    TQ_NTP_DAY: "ntp-day",
    TQ_NTP_HOUR: "ntp-hour",
}
_SYMBOLS = {
    "1": "",
    "1/cm3": "1/cm³",
    "By": "B",
    "Cel": "°C",
    "V.A": "VA",
    "W.h": "Wh",
    "[g]": "g",
    "[ppb]": "ppb",
    "[ppm]": "ppm",
    "dB[SPL]": "dB",
    "deg": "°",
    "ug/m3": "µg/m³",
    "uV": "µV",
    "um": "µm",
}
_BATCH = 1000  # rows between two writes and two calls of `progress`
_TEXT = {"node", "time", "channel", "unit", "time_quality"}


@dataclass(frozen=True)
class Quantity:
    """How values of one channel are written."""

    name: str
    unit: str  # UCUM
    per: int
    digits: int  # behind the decimal point


@cache
def quantity(channel: int) -> Quantity:
    """The quantity of a channel id; a channel that this program does not know yet keeps its integer."""
    row = registry.channel(channel)
    if row is None:
        return Quantity(f"channel-{channel}", "", 1, 0)
    digits = 0
    while 10**digits % row.per:
        digits += 1  # ends: every `per` of the registry is made of twos and fives, which a test asserts
    return Quantity(row.name, row.ucum, row.per, digits)


def scaled(raw: int | None, per: int, digits: int) -> str:
    """`raw / per` as a decimal with `digits` places; "" for None."""
    if raw is None:
        return ""
    value = abs(raw) * 10**digits // per
    sign = "-" if raw < 0 else ""
    return f"{sign}{value}" if not digits else f"{sign}{value // 10**digits}.{value % 10**digits:0{digits}}"


def decimal(raw: int | None, channel: int) -> Decimal | None:
    """A raw value of a channel in its unit."""
    known = quantity(channel)
    return None if raw is None else Decimal(scaled(raw, known.per, known.digits))


def symbol(ucum: str) -> str:
    """A unit as people write it: `°C` for `Cel`; nothing for a mere number."""
    return _SYMBOLS.get(ucum, ucum)


@lru_cache(maxsize=1024)  # the channels of one record have one time
def time_text(t_s: int) -> str:
    """RFC 3339 in UTC."""
    return datetime.fromtimestamp(t_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def reading_row(reading: Reading) -> tuple[str, ...]:
    """One reading as the texts of COLUMNS; "" where there is none."""
    known = quantity(reading.channel)
    per, digits = known.per, known.digits
    return (
        reading.node,
        time_text(reading.t_s),
        str(reading.interval_s),
        known.name,
        known.unit,
        scaled(reading.mean, per, digits),
        str(reading.flag),
        "" if reading.n is None else str(reading.n),
        scaled(reading.sd, per, digits),
        scaled(reading.low, per, digits),
        scaled(reading.high, per, digits),
        TIME_QUALITY[reading.tq],
        str(reading.boot),
        str(reading.seq),
    )


def hour_row(hour: Hour) -> tuple[str, ...]:
    """One hour as the texts of HOUR_COLUMNS; the mean is rounded half up to one digit more than the channel has."""
    known = quantity(hour.channel)
    fine = 10 * hour.total * 10**known.digits // known.per  # total in tenths of the last digit
    mean = (2 * fine + hour.n) // (2 * hour.n)
    return (
        hour.node,
        time_text(hour.t_s),
        "3600",
        known.name,
        known.unit,
        scaled(mean, 10 ** (known.digits + 1), known.digits + 1),
        str(hour.n),
        scaled(hour.low, known.per, known.digits),
        scaled(hour.high, known.per, known.digits),
    )


def write(
    form: str, rows: Iterable[tuple[str, ...]], columns: Collection[str], out: TextIO, progress: Callable[[int], None]
) -> int:
    """Write rows as "csv" (RFC 4180 with a header, LF) or "jsonl" (an object per line, absent values left out).

    Returns the number of rows; `progress` is told the number so far.
    """
    text_of = _csv if form == "csv" else _jsonl(columns)
    if form == "csv":
        out.write(_csv([tuple(columns)]))
    count = 0
    for batch in _batches(rows):
        out.write(text_of(batch))
        count += len(batch)
        progress(count)
    return count


def _csv(rows: Iterable[tuple[str, ...]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _jsonl(columns: Iterable[str]) -> Callable[[Iterable[tuple[str, ...]]], str]:
    keys = [(f"{json.dumps(column)}: ", column in _TEXT) for column in columns]

    def text_of(rows: Iterable[tuple[str, ...]]) -> str:
        return "".join("{" + ", ".join(members(row)) + "}\n" for row in rows)

    def members(row: tuple[str, ...]) -> Iterator[str]:
        for (key, is_text), cell in zip(keys, row, strict=True):
            if cell:  # a number is written digit by digit, never through a float
                yield key + (json.dumps(cell) if is_text else cell)

    return text_of


def _batches(rows: Iterable[tuple[str, ...]]) -> Iterator[list[tuple[str, ...]]]:
    batch = []
    for row in rows:
        batch.append(row)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
