"""A plan file, or the same from a command line: strictly read into a Plan, and written again. `keys.py` lists the keys.

    name = "air-1.5.0"
    releases = ["air-1.5.0"]
    where = "site=mitte"

    [[waves]]
    name = "canary"
    share = "1%"

A draft names releases; `fleet.rollouts.planning` looks them up and finds the nodes.
"""

import difflib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from fleet import selection
from fleet.errors import UsageError
from fleet.rollout import keys, wire
from fleet.rollout.keys import Form, Key, Section
from fleet.rollout.plan import Gate, Goal, Member, Mode, Plan, Wave, Window
from protocol import settings as contract

MAX_FILE = 16 << 20  # bytes: room for the ids of every node
DEFAULT = "default"  # a setting is taken back to it
_SHARE = re.compile(r"(\d{1,3})(?:\.(\d))?\s*%")
_SPAN = re.compile(r"(\d{1,9})\s*(s|min|h|d|w)")
_UNITS = {"w": 604800, "d": 86400, "h": 3600, "min": 60, "s": 1}
_WAVE = re.compile(rf"({keys.NAME})(?:=(\d{{1,7}}|\d{{1,3}}(?:\.\d)?%))?")
_GATE, _SETTINGS = "gate", "settings"
_GOALS = "give it `releases`, or another `goal`; in a command --release ID, --set NAME=VALUE, --previous or a plan file"


class PlanError(UsageError):
    """A plan makes no sense. The message names the key."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A plan whose releases are names yet."""

    plan: Plan
    releases: tuple[str, ...] = ()
    hash: str = ""  # that it had when it was saved; "" = it was not
    source: str = field(default="plan", compare=False)  # for errors


def plan_hash(plan: Plan, members: Mapping[str, Member]) -> str:
    """What an approval is bound to: SHA-256 over the plan and each of its nodes, as `wire` writes them; hexadecimal."""
    found = sha256(wire.encode(plan))
    for node in sorted(members):
        found.update(wire.encode(members[node]))
    return found.hexdigest()


def load(text: str, source: str, more: Mapping[str, Any] | None = None) -> Draft:
    """The draft in the text of a plan file; keys of `more`, also within tables, stand over the file's. PlanError."""
    try:
        tree = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise PlanError(f"{source} is not TOML", cause=str(error), hint="correct that line") from error
    for name, value in (more or {}).items():
        both = isinstance(value, Mapping) and isinstance(tree.get(name), Mapping)
        tree[name] = {**tree[name], **value} if both else value
    return parse(tree, source)


def parse(tree: Mapping[str, Any], source: str = "plan") -> Draft:
    """The draft in a parsed file. PlanError names `source` and the key of the first fault."""
    known = [*(key.name for key in keys.PLAN.keys), *(table.name for table in keys.TABLES), keys.WAVE.name, _SETTINGS]
    _refuse_unknown(source, "", tree, known)
    own = {name: value for name, value in tree.items() if any(key.name == name for key in keys.PLAN.keys)}
    values = _values(source, keys.PLAN, own, "")
    tables = {
        table.name: table.kind(**_values(source, table, _table(source, table.name, tree), f"{table.name}."))
        for table in keys.TABLES
    }
    gate = tables.pop(_GATE)
    releases, digest = values.pop("releases", ()), values.pop("hash", "")
    plan = Plan(
        name=values.pop("name", ""),
        settings=_settings(source, _table(source, _SETTINGS, tree)),
        waves=_waves(source, tree, gate),
        **values,
        **tables,
    )
    draft = Draft(replace(plan, name=plan.name or _name(plan, releases)), releases, digest, source)
    _check(draft)
    return draft


def wave_of(text: str) -> dict[str, Any]:
    """The keys of a wave as a command line writes it: `canary=5`, `tenth=10%`, `rest`. PlanError."""
    found = _WAVE.fullmatch(text)
    if found is None:
        raise PlanError(f"{text!r} is no wave", hint="write NAME=5, NAME=10% or NAME for all that are left")
    size = found[2]
    if size is None:
        return {"name": found[1]}
    return {"name": found[1], **({"share": size} if size.endswith("%") else {"count": int(size)})}


def text(draft: Draft, remark: str = "") -> str:
    """The plan file of a draft: every key that is not its default. `load` reads the same draft from it."""
    plan = draft.plan
    lines = [f"# {line}" if line else "#" for line in remark.splitlines()]
    more = {"releases": list(draft.releases), "hash": draft.hash}
    lines += _lines(keys.PLAN, plan, Plan(""), {name: value for name, value in more.items() if value})
    if plan.settings:
        lines += ["", "[settings]"]
        lines += [f"{_row(key)[1]} = {_toml(DEFAULT if value is None else value)}" for key, value in _sorted(plan)]
    for table in keys.TABLES:
        if table.name != _GATE:
            found = _lines(table, getattr(plan, table.name), table.kind())
            lines += ["", f"[{table.name}]", *found] if found else []
    for wave in plan.waves:
        lines += ["", "[[waves]]", *_lines(keys.WAVE, wave, None)]
        found = _lines(keys.GATE, wave.gate, Gate())
        lines += ["[waves.gate]", *found] if found else []
    return "\n".join(lines) + "\n"


def span_text(seconds: int) -> str:
    """A time as a plan file writes it: in the largest unit that holds it whole."""
    for unit, size in _UNITS.items():
        if unit != "w" and seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def share_text(permille: int) -> str:
    """A share as a plan file writes it: `5%`, `0.5%`."""
    return f"{permille // 10}.{permille % 10}%" if permille % 10 else f"{permille // 10}%"


def _table(source: str, name: str, tree: Mapping[str, Any]) -> Mapping[str, Any]:
    found = tree.get(name, {})
    if not isinstance(found, Mapping):
        raise PlanError(f"{source}: {name} must be a table", hint=f"write [{name}] on a line of its own")
    return found


def _refuse_unknown(source: str, prefix: str, tree: Mapping[str, Any], known: Iterable[str]) -> None:
    names = list(known)
    for name in tree:
        if name not in names:
            raise PlanError(f"{source}: {prefix}{name} is no key of a plan", hint=_meant(prefix, name, names))


def _meant(prefix: str, name: str, names: Sequence[str]) -> str:
    """The hint for an unknown key: one that is written nearly like it, here or in a table."""
    tables = {f"{table.name}.{key.name}": key.name for table in keys.TABLES for key in table.keys}
    near = difflib.get_close_matches(name, [*names, *({} if prefix else tables.values())], 1)
    if not near:
        return f"known here: {', '.join(names)}"
    found = [f"{prefix}{near[0]}"] if near[0] in names else [full for full, key in tables.items() if key == near[0]]
    return f"did you mean {' or '.join(found)}?"


def _values(source: str, section: Section, tree: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """{field: value} of the keys that are given."""
    rows = {key.name: key for key in section.keys}
    _refuse_unknown(source, prefix, tree, rows)
    return {
        rows[name].field or name: _value(rows[name], value, f"{source}: {prefix}{name}") for name, value in tree.items()
    }


def _value(key: Key, given: Any, where: str) -> Any:
    found = _READ[key.form](key, given)
    if found is None:
        raise PlanError(f"{where} must be {_wanted(key)}", cause=f"it is {json.dumps(given, default=str)}")
    return found


def _wanted(key: Key) -> str:
    if key.form is Form.COUNT:
        return f"a whole number from {key.low} to {key.high}"
    if key.form is Form.SHARE:
        return f'a share such as "5%" or "0.5%", from {share_text(key.low)} to {share_text(key.high)}'
    if key.form is Form.SPAN:
        return f'a time such as "90s", "15min", "2h" or "7d", from {span_text(key.low)} to {span_text(key.high)}'
    if key.form is Form.CHOICE and key.choices:
        return "one of " + ", ".join(one.value for one in key.choices)
    if key.form is Form.TEXTS:
        return "a list of texts"
    if key.form is Form.TRUTH:
        return "true or false"
    return f"text of the form {key.pattern}" if key.pattern else "text"


def _within(key: Key, found: int) -> int | None:
    return found if key.low <= found <= key.high else None


def _count(key: Key, given: Any) -> int | None:
    return _within(key, given) if type(given) is int else None


def _share(key: Key, given: Any) -> int | None:
    found = _SHARE.fullmatch(given) if isinstance(given, str) else None
    return _within(key, int(found[1]) * 10 + int(found[2] or 0)) if found else None


def _span(key: Key, given: Any) -> int | None:
    found = _SPAN.fullmatch(given) if isinstance(given, str) else None
    return _within(key, int(found[1]) * _UNITS[found[2]]) if found else None


def _plain(key: Key, given: Any) -> str | None:
    right = isinstance(given, str) and given.isprintable() and (not key.pattern or re.fullmatch(key.pattern, given))
    return given if right else None


def _texts(_: Key, given: Any) -> tuple[str, ...] | None:
    right = isinstance(given, (list, tuple)) and all(isinstance(one, str) and one for one in given)
    return tuple(dict.fromkeys(given)) if right else None


def _choice(key: Key, given: Any) -> Any:
    return next((one for one in key.choices or () if one.value == given), None)


_READ = {
    Form.COUNT: _count,
    Form.SHARE: _share,
    Form.SPAN: _span,
    Form.TRUTH: lambda _, given: given if isinstance(given, bool) else None,
    Form.TEXT: _plain,
    Form.TEXTS: _texts,
    Form.CHOICE: _choice,
}


def _waves(source: str, tree: Mapping[str, Any], gate: Gate) -> tuple[Wave, ...]:
    if keys.WAVE.name not in tree:
        return tuple(replace(wave, gate=gate) for wave in Plan("").waves)
    given = tree[keys.WAVE.name]
    if not isinstance(given, list) or not given or len(given) > keys.WAVES_MAX:
        raise PlanError(f"{source}: waves must be 1 to {keys.WAVES_MAX} tables", hint="write [[waves]] before each")
    found = []
    for number, one in enumerate(given, 1):
        where = f"waves[{number}]"
        if not isinstance(one, Mapping):
            raise PlanError(f"{source}: {where} must be a table", hint="write [[waves]] on a line of its own")
        own = _values(source, keys.GATE, _table(f"{source}: {where}", _GATE, one), f"{where}.gate.")
        rest = {name: value for name, value in one.items() if name != _GATE}
        values = {"judged": number < len(given), **_values(source, keys.WAVE, rest, f"{where}.")}
        found.append(Wave(**{"name": f"wave {number}", **values}, gate=replace(gate, **own)))
    return tuple(found)


def _settings(source: str, tree: Mapping[str, Any]) -> dict[int, Any]:
    found: dict[int, Any] = {}
    for name, value in tree.items():
        _refuse_unknown(source, "settings.", {name: value}, [row[1] for row in contract.SETTINGS])
        row = _row(name)
        fault = None if value == DEFAULT else contract.fault_of(row, value)
        if fault:
            raise PlanError(f"{source}: settings.{name}: {fault}", cause=f"it is {json.dumps(value, default=str)}")
        found[row[0]] = None if value in (DEFAULT, row[5]) else value
    return dict(sorted(found.items()))


def _row(key: int | str) -> "contract.Row":
    row = contract.row_of(key)
    assert row is not None
    return row


def _sorted(plan: Plan) -> list[tuple[int, Any]]:
    return sorted(plan.settings.items())


def _name(plan: Plan, releases: tuple[str, ...]) -> str:
    """What a rollout is called that nobody gave a name."""
    if plan.goal is Goal.CONFIG:
        parts = ["config", *(_row(key)[1] for key, _ in _sorted(plan))]
    else:
        parts = list(releases) or [plan.goal.value]
    return re.sub(r"[^A-Za-z0-9._-]", "-", "-".join(parts))[:63]


def _check(draft: Draft) -> None:
    """PlanError for keys that do not go together."""
    plan, source = draft.plan, draft.source
    for given, goal, key in ((draft.releases, Goal.RELEASE, "releases"), (plan.settings, Goal.CONFIG, "settings")):
        if bool(given) != (plan.goal is goal):
            fault = f"is of the goal {goal}" if given else f"is empty, which the goal {goal} needs"
            hint = "" if given else _GOALS
            raise PlanError(f"{source}: {key} {fault}", hint, f"the goal is {plan.goal}")
    if plan.nodes and (plan.where or plan.mode is Mode.CONTINUOUS):
        other = "where" if plan.where else "mode"
        raise PlanError(f"{source}: nodes and {other} do not go together", hint="choose nodes by `where` alone")
    for key, expression in (
        ("where", plan.where),
        *((f"waves[{n}].where", one.where) for n, one in enumerate(plan.waves, 1)),
    ):
        _check_where(f"{source}: {key}", expression)
    _check_waves(source, plan)
    for name, window in (("download", plan.download), ("switch", plan.switch)):
        fault = _window_fault(window)
        if fault:
            raise PlanError(f"{source}: {name}: {fault}", cause=_shown(window))


def _check_where(key: str, expression: str) -> None:
    try:
        selection.parse(expression or selection.EXAMPLE)
    except selection.SelectionError as error:
        raise PlanError(f"{key}: {error.message.removeprefix('--where: ')}", error.hint, error.cause) from error


def _check_waves(source: str, plan: Plan) -> None:
    names: set[str] = set()
    for number, wave in enumerate(plan.waves, 1):
        where = f"{source}: waves[{number}]"
        if wave.name in names:
            raise PlanError(f"{where}.name: two waves are called {wave.name}")
        names.add(wave.name)
        takes_all = not (wave.count or wave.share or wave.where)
        if takes_all and number < len(plan.waves):
            raise PlanError(
                f"{where} takes all nodes that are left",
                hint="give it `count`, `share` or `where`, or make it the last",
            )


def _window_fault(window: Window) -> str:
    if not (window.cron or window.duration_s):
        return ""
    if not (window.cron and window.duration_s):
        return "cron and duration belong together"
    try:
        if len(window.cron.split()) != 5:
            return "cron must have five fields"
        next(CronSim(window.cron, datetime(2026, 1, 1, tzinfo=UTC)))
        ZoneInfo(window.zone)
    except CronSimError as error:
        return f"cron: {error}"
    except StopIteration:
        return "cron: it never comes"
    except (KeyError, ValueError, OSError):  # ZoneInfoNotFoundError is a KeyError
        return "zone: there is no such time zone"
    return ""


def _shown(window: Window) -> str:
    return f"cron {window.cron!r}, zone {window.zone!r}, duration {span_text(window.duration_s)}"


def _lines(section: Section, value: Any, default: Any, more: Mapping[str, Any] | None = None) -> list[str]:
    """The lines of a table: of every key with `default` None, else of those that differ from it."""
    plain = default if default is not None else _without_name(section)
    found = []
    for key in section.keys:
        if more and key.name in more:
            found.append(f"{key.name} = {_toml(more[key.name])}")
        elif key.field:
            one = getattr(value, key.field)
            if (default is None and key.name == "judged") or one != getattr(plain, key.field):
                found.append(f"{key.name} = {_toml(_written(key, one))}")
    return found


def _without_name(section: Section) -> Any:
    return section.kind(**{one.name: "" for one in fields(section.kind) if one.name == "name"})


def _written(key: Key, value: Any) -> Any:
    if key.form is Form.SPAN:
        return span_text(value)
    return share_text(value) if key.form is Form.SHARE else list(value) if isinstance(value, tuple) else value


def _toml(value: Any) -> str:
    """A value as TOML writes it; the strings of a plan are also JSON strings."""
    return json.dumps(value, ensure_ascii=False)
