"""What the demonstration shows: one row per node, and a few lines about all of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.console import Group
from rich.table import Table
from rich.text import Text

from fleet.model import Reading
from fleet.store import Store
from protocol import channels, registry

SHOWN = {
    "air": (channels.PM25,),
    "light": (channels.LEVEL_ACTUAL,),
}
_NAMES = {channels.LEVEL_ACTUAL: "level"}
_COLOURS = {"proved": "green", "back": "green", "on trial": "yellow", "reverted": "red", "failed": "red"}
_UNITS = {"Cel": "°C", "ug/m3": "µg/m³", "[ppm]": "ppm"}


@dataclass(frozen=True)
class Line:
    """What is known about one node now."""

    node: str
    kind: str
    online: bool | None  # None: it said nothing yet
    runs: str  # version of its program
    rollout: str  # how far the newest is that it takes part in
    records: int
    newest_s: int | None  # UTC of the newest record
    values: Mapping[int, Reading]

    @property
    def state(self) -> str:
        """One word."""
        return "starts" if self.online is None else "online" if self.online else "offline"

    @property
    def newest(self) -> str:
        """Time of day of the newest record, UTC."""
        return "" if self.newest_s is None else datetime.fromtimestamp(self.newest_s, UTC).strftime("%H:%M")

    @property
    def text(self) -> str:
        """The values of SHOWN."""
        return "  ".join(value_text(self.values[channel]) for channel in SHOWN[self.kind] if channel in self.values)


def value_text(reading: Reading) -> str:
    """A reading with name and unit: `PM2.5 11.3 µg/m³`."""
    channel = registry.channel(reading.channel)
    assert channel is not None  # every id of SHOWN is registered
    name = _NAMES.get(channel.id, channel.label)
    if reading.mean is None:
        return f"{name} -"
    digits = 0 if channel.per == 1 else 1
    return f"{name} {reading.mean / channel.per:.{digits}f} {_UNITS.get(channel.ucum, channel.ucum)}"


def lines(store: Store, counts: Mapping[str, int], rollouts: Mapping[str, str]) -> list[Line]:
    """One line per node of the fleet; `counts` are the records of each, `rollouts` how far it is."""
    latest: dict[str, dict[int, Reading]] = {}
    for reading in store.readings.latest():
        latest.setdefault(reading.node, {})[reading.channel] = reading
    found = []
    for view in store.nodes.views():
        values = latest.get(view.node.id, {})
        state = view.state
        found.append(
            Line(
                view.node.id,
                view.node.kind.value,
                state.online if state else None,
                state.firmware if state else "",
                rollouts.get(view.node.id, ""),
                counts.get(view.node.id, 0),
                max((reading.t_s for reading in values.values()), default=None),
                values,
            )
        )
    return sorted(found, key=lambda line: (line.kind, len(line.node), line.node))


def render(rows: Iterable[Line], headlines: Sequence[str]) -> Group:
    """The headlines and the live table; all fit 80 columns."""
    table = Table(box=None, pad_edge=False)
    for name in ("NODE", "STATE", "RUNS", "ROLLOUT", "RECORDS", "UTC", "NEWEST RECORD"):
        table.add_column(name, justify="right" if name == "RECORDS" else "left", no_wrap=True)
    for row in rows:
        colour = {"online": "green", "offline": "red", "starts": "yellow"}[row.state]
        rollout = Text(row.rollout, style=_COLOURS.get(row.rollout, ""))
        table.add_row(row.node, f"[{colour}]{row.state}[/]", row.runs, rollout, str(row.records), row.newest, row.text)
    return Group(*map(Text, headlines), table)


def plain(rows: Iterable[Line]) -> str:
    """The same in a few words, for a log."""
    found = list(rows)
    silent = [row.node for row in found if not row.records]
    online = f"{sum(1 for row in found if row.online)} of {len(found)} nodes online"
    return f"{online}, no record from {len(silent)}" if silent else online
