"""Every key of a plan file: what it is called, which field of `plan.py` it sets, what values it takes, what it means.

`draft.py` reads and writes plan files by this table; docs/reference/rollout-plan.md is generated from it.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from fleet.rollout.plan import (
    DAY_S,
    Gate,
    Goal,
    Judging,
    Limits,
    Mode,
    OnFailure,
    Overlap,
    Places,
    Plan,
    Retries,
    Wave,
    Window,
)

YEAR_S = 366 * DAY_S
NAME = r"[A-Za-z][A-Za-z0-9._-]{0,62}"
WAVES_MAX = 50
NODES_MAX = 1_000_000


class Form(StrEnum):
    """How a value is written."""

    COUNT = "number"
    SHARE = "share"  # "5%", "0.5%"
    SPAN = "time"  # "90s", "15min", "2h", "7d"
    TRUTH = "true or false"
    TEXT = "text"
    TEXTS = "texts"
    CHOICE = "choice"


@dataclass(frozen=True, slots=True)
class Key:
    """One key. `low` and `high` bound numbers, permille and seconds; a text has to match `pattern` if there is one."""

    name: str
    field: str  # of the section's class; "" = of the draft itself
    form: Form
    text: str
    low: int = 0
    high: int = 0
    pattern: str = ""
    choices: type[StrEnum] | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """The keys of one table of the file, and the class that they fill."""

    name: str
    kind: type[Any]
    keys: tuple[Key, ...]
    text: str


def _count(name: str, low: int, high: int, text: str) -> Key:
    return Key(name, name, Form.COUNT, text, low, high)


def _share(name: str, low: int, high: int, text: str) -> Key:
    return Key(name, name, Form.SHARE, text, low, high)


def _span(name: str, low: int, high: int, text: str) -> Key:
    return Key(name, f"{name}_s", Form.SPAN, text, low, high)


def _truth(name: str, text: str) -> Key:
    return Key(name, name, Form.TRUTH, text)


def _text(name: str, text: str, pattern: str = "") -> Key:
    return Key(name, name, Form.TEXT, text, pattern=pattern)


def _choice(name: str, choices: type[StrEnum], text: str) -> Key:
    return Key(name, name, Form.CHOICE, text, choices=choices)


PLAN = Section(
    "",
    Plan,
    (
        _text("name", "What the rollout is called; empty = after its releases or settings.", f"({NAME})?"),
        _choice("goal", Goal, "What nodes shall do: install a `release`, take a `config`, or boot the `previous` one."),
        Key("releases", "", Form.TEXTS, "With `release`: ids, one per product."),
        _text("where", "Which nodes, as in `--where`; empty = every node that can take part."),
        Key("nodes", "nodes", Form.TEXTS, "Or their ids."),
        _choice("mode", Mode, "`continuous`: nodes that match later join the last wave. `snapshot`: they do not."),
        _choice(
            "on_failure",
            OnFailure,
            "When a gate fails, nodes on their way stop; then an operator decides, or it ends, or is undone.",
        ),
        _choice(
            "overlap",
            Overlap,
            "Nodes that another open rollout has: `refuse` to start, wait until `after`, or `supersede` it.",
        ),
        _span("expires", 60, YEAR_S, "From the start; nodes that were never reached by then are dark."),
        _truth("force", "Also what failed on a node before."),
        _truth("now", "Restart at once, also a lamp that is wanted: for emergencies."),
        Key("hash", "", Form.TEXT, "The plan hash when it was saved: `start` refuses another.", pattern="[0-9a-f]{64}"),
    ),
    "The rollout itself. A table `[settings]` has the settings of a `config` by name; `default` takes one back.",
)
WAVE = Section(
    "waves",
    Wave,
    (
        _text("name", "What it is called.", NAME),
        _count("count", 0, NODES_MAX, "So many nodes."),
        _share("share", 0, 1000, "Or so many of all nodes, the greater. Neither: all that are left."),
        _text("where", "Only nodes that match."),
        _truth("per_kind", "`count` and `share` are of each product."),
        _truth("judged", "Telemetry has to speak for the release before the next wave begins; the last: `false`."),
    ),
    "`[[waves]]`, in their order. A table `[waves.gate]` below one has what is different for it.",
)
GATE = Section(
    "gate",
    Gate,
    (
        _share("success", 1, 1000, "Executed nodes that have to be proved before the next wave begins."),
        _share("presence", 0, 1000, "Nodes of the wave that have to be executed before it is judged."),
        _share("failures", 0, 1000, "Executed nodes that failed: more than that halts."),
        _count("sample", 1, NODES_MAX, "Executed nodes from which `failures` counts."),
        _count("failures_max", 0, NODES_MAX, "Failed nodes of the whole rollout: more than that halts; 0 = no cap."),
        _span("soak", 0, 30 * DAY_S, "Between the last proof of a wave and the next one."),
        _span("deadline", 60, 30 * DAY_S, "From an order to the proof; windows that are closed do not count."),
    ),
    "What makes a wave good or bad, for all waves.",
)
LIMITS = Section(
    "limits",
    Limits,
    (
        _count("in_flight", 1, NODES_MAX, "Nodes that are ordered and have not ended, at a time."),
        _count("per_minute", 1, NODES_MAX, "Orders."),
        _span("jitter", 0, DAY_S, "Over which the nodes of a wave are spread, by the hash of their ids."),
    ),
    "How fast.",
)
_WINDOW = (
    _text("cron", "When it opens: five fields, as in crontab(5)."),
    _text("zone", "The time zone of these, an IANA name.", r"[A-Za-z0-9_+/-]{1,64}"),
    _span("duration", 0, 7 * DAY_S, "How long it stays open."),
)
DOWNLOAD = Section("download", Window, _WINDOW, "When nodes may fetch; without it at any time.")
SWITCH = Section("switch", Window, _WINDOW, "When nodes may restart into the new program; without it at any time.")
PLACES = Section(
    "places",
    Places,
    (
        _count("neighbour_m", 0, 10_000, "Lamps nearer than that, in metres, are never down together; 0 = no rule."),
        _text("district", "The tag that names the district of a station.", r"[a-z][a-z0-9_.-]{0,31}"),
        _count("measuring", 0, NODES_MAX, "Stations of a district that have to go on measuring; 0 = no rule."),
        _truth("dark_hours", "A lamp with a place (tags `lat` and `lon`) restarts between sunrise and sunset only."),
    ),
    "What a city must not notice.",
)
RETRIES = Section(
    "retries",
    Retries,
    (
        _count("tries", 1, 100, "Attempts per node, the first one counted."),
        _span("backoff", 0, DAY_S, "Before the second, twice as long before each further one."),
        _count("burst", 1, 1000, "Attempts of a node within `burst_span`, of whatever rollout: quarantine."),
        Key("burst_span", "burst_s", Form.SPAN, "See `burst`.", 1, DAY_S),
        _span("quarantine", 0, 30 * DAY_S, "How long no rollout orders such a node."),
    ),
    "What follows when an attempt fails by chance.",
)
JUDGING = Section(
    "judging",
    Judging,
    (
        _truth("enabled", "Judge waves by the telemetry of their nodes at all."),
        _share("alpha", 1, 500, "Chance to halt a release that is as good as the one before."),
        _share("beta", 1, 500, "Chance to promote one that is worse by the minimum effect."),
        _count("controls", 0, NODES_MAX, "Nodes of each product that are compared with; 0 = all that are left."),
        _span("patience", 0, 30 * DAY_S, "After the soak; then an operator has to decide."),
    ),
    "How telemetry judges the nodes that have the new program.",
)
TABLES = (GATE, LIMITS, DOWNLOAD, SWITCH, PLACES, RETRIES, JUDGING)
SECTIONS = (PLAN, WAVE, *TABLES)
