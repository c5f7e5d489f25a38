"""Rollouts: plans, heads, how far every node is, and what a step leaves behind. What to do is `fleet.rollout`'s."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import chain, count
from operator import attrgetter
from typing import Any

import cbor2
from sqlalchemy import Connection, CursorResult, Engine, Row, and_, bindparam, delete, func, insert, select, update

from fleet.errors import ConflictError, NotAllowedError, NotFoundError
from fleet.model import DesiredConfig, Ordered
from fleet.rollout import wire
from fleet.rollout.model import ENDED, Execution, Phase, Quarantine, Rollout, Stage, State, Verdict
from fleet.rollout.plan import Member, Plan, Skipped
from fleet.rollout.step import create
from fleet.store import audit, campaigns, configs, schema
from fleet.store.audit import Act
from fleet.store.dialect import many, reading, writing
from fleet.store.nodes import key_of, keys_of

_ROLLOUT = schema.rollout.c
_AT = schema.rollout_node.c
_NODE = schema.node.c
_EVIDENCE = schema.evidence.c
_QUARANTINE = schema.node_quarantine.c
_EPOCH = schema.epoch.c
_HEAD_NAMES = tuple(field.name for field in fields(Rollout))
_HEAD = tuple(_ROLLOUT[name] for name in _HEAD_NAMES)
_EXECUTION_NAMES = tuple(field.name for field in fields(Execution) if field.name != "node")
_EXECUTION = tuple(_AT[name] for name in _EXECUTION_NAMES)
_RECENT = 1 + _EXECUTION_NAMES.index("recent")
_STAGES = {stage.value: stage for stage in Stage}
_ENDED = tuple(stage.value for stage in ENDED)
NAME_MAX = 63  # characters, as in plan files
OPEN = (Phase.RUNNING, Phase.PAUSED, Phase.HALTED)  # it has nodes to order, or may get some
_DIGITS = 19  # of a number that is none of a rollout: no row can have it
_OPEN = tuple(phase.value for phase in OPEN)


@dataclass(frozen=True, slots=True)
class RolloutView:
    """A rollout without its nodes."""

    head: Rollout
    plan: Plan
    name: str
    created_s: int
    created_by: str
    hash: str  # of plan and members: what approvals are for

    @property
    def id(self) -> int:
        """Its number."""
        return self.head.id

    def missing_approvals(self, wanted: int) -> int:
        """How many more people have to approve it before it may start, where the fleet demands `wanted`."""
        if self.head.phase is not Phase.DRAFT or self.plan.parent:  # an undo is the way out: it waits for nobody
            return 0
        return max(0, wanted - len(set(self.head.approvals) - {self.created_by}))


@dataclass(frozen=True, slots=True)
class Epoch:
    """What was halted for everybody."""

    number: int
    issued_s: int
    halted: Mapping[int, int]  # {group: when the last of its campaigns has expired}
    envelope: bytes  # encoded Signed


@dataclass(frozen=True, slots=True)
class New:
    """A rollout to be kept."""

    plan: Plan
    members: Sequence[Member]
    created_by: str
    now_s: int
    skipped: Sequence[Skipped] = ()
    hash: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a step leaves behind, written whole or not at all."""

    head: Rollout  # the next one: its version is one above the one that the step has seen
    act: Act
    changed: Sequence[Execution] = ()
    orders: Sequence[Ordered] = ()
    configs: Sequence[DesiredConfig] = ()
    joined: Sequence[Member] = ()
    quarantine: Sequence[Quarantine] = ()
    epoch: Epoch | None = None
    spawned: Sequence[New] = field(default_factory=tuple)


class Rollouts:
    """Queries about rollouts."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(
        self,
        plan: Plan,
        members: Sequence[Member],
        skipped: Sequence[Skipped],
        actor: str,
        now_s: int,
        plan_hash: str = "",
    ) -> int:
        """Keep a new rollout as a draft; its number. NotAllowedError when another one has its name."""
        with writing(self._engine) as connection:
            return _add(connection, New(plan, members, actor, now_s, skipped, plan_hash))

    def get(self, name: "int | str") -> RolloutView:
        """The rollout of a number or a name; NotFoundError."""
        with reading(self._engine) as connection:
            return _view(_find(connection, name))

    def all(self, phases: Iterable[Phase] = ()) -> list[RolloutView]:
        """All, or those that stand so; the newest first."""
        query = select(schema.rollout).order_by(_ROLLOUT.id.desc())
        wanted = [phase.value for phase in phases]
        with reading(self._engine) as connection:
            return [
                _view(row) for row in connection.execute(query.where(_ROLLOUT.phase.in_(wanted)) if wanted else query)
            ]

    def free_name(self, wanted: str) -> str:
        """That name, or with a number behind it the first that no rollout has or had."""
        with reading(self._engine) as connection:
            taken = set(connection.scalars(select(_ROLLOUT.name)))
        names = chain([wanted[:NAME_MAX]], (f"{wanted[: NAME_MAX - 6]}-{number}" for number in count(2)))
        return next(name for name in names if name not in taken)

    def heads(self) -> dict[int, tuple[int, Phase, int]]:
        """{number: (version, phase, when it ended)} of all: what a look that is cheap can tell."""
        query = select(_ROLLOUT.id, _ROLLOUT.version, _ROLLOUT.phase, _ROLLOUT.ended_s)
        with reading(self._engine) as connection:
            return {row[0]: (row[1], Phase(row[2]), row[3]) for row in connection.execute(query)}

    def members(self, rollout: int) -> dict[str, Member]:
        """{node: the node as the plan saw it}, in the order of the ids."""
        query = select(_AT.member).where(_AT.rollout == rollout)
        with reading(self._engine) as connection:
            found = [wire.decode(Member, data) for data in connection.scalars(query)]
        return {member.node: member for member in sorted(found, key=lambda member: member.node)}

    def skipped(self, rollout: int) -> list[Skipped]:
        """The nodes that were selected and do not take part."""
        with reading(self._engine) as connection:
            return [Skipped(*row) for row in cbor2.loads(_find(connection, rollout).skipped)]

    def state(self, rollout: int) -> State:
        """How far it is, of one moment; NotFoundError."""
        query = select(_NODE.id, *_EXECUTION).join(schema.node, _NODE.key == _AT.node).where(_AT.rollout == rollout)
        with reading(self._engine) as connection:
            head = _view(_find(connection, rollout)).head
            rows = map(tuple, connection.execute(query.order_by(_NODE.id)))
            return State(head, {row[0]: _execution(row) for row in rows})

    def counts(self) -> dict[int, dict[Stage, int]]:
        """{number: {stage: its nodes that are there}} of all rollouts."""
        query = select(_AT.rollout, _AT.stage, func.count()).group_by(_AT.rollout, _AT.stage)
        found: dict[int, dict[Stage, int]] = {}
        with reading(self._engine) as connection:
            for rollout, stage, count in connection.execute(query):
                found.setdefault(rollout, {})[_STAGES[stage]] = count
        return found

    def of_node(self, node: str) -> list[tuple[RolloutView, Execution]]:
        """Every rollout that a node takes or took part in, the newest first, and how far it is there."""
        with reading(self._engine) as connection:
            key = key_of(connection, node)
            query = select(_AT.rollout, *_EXECUTION).where(_AT.node == key).order_by(_AT.rollout.desc())
            rows = [tuple(row) for row in connection.execute(query)]
            return [(_view(_find(connection, row[0])), _execution((node, *row[1:]))) for row in rows]

    def apply(self, outcome: Outcome) -> list[int]:
        """Write what a step leaves behind, all or nothing; the numbers of the rollouts that it began.

        ConflictError when the rollout, an order or a configuration is not any more what the step has seen.
        """
        with writing(self._engine) as connection:
            _advance(connection, outcome.head)
            keys = _keys(connection, outcome)
            _write(connection, outcome, keys)
            if outcome.orders:
                campaigns.write(connection, keys, outcome.orders)
            if outcome.configs:
                replaced = configs.write(connection, keys, outcome.configs)
                _remember(connection, outcome.head.id, keys, replaced)
            if outcome.epoch is not None:
                _set_epoch(connection, outcome.epoch)
            audit.append(connection, outcome.act)
            return [_add(connection, new) for new in outcome.spawned]

    def config_before(self, rollout: int) -> dict[str, dict[int, Any]]:
        """{node: the settings that this rollout replaced}, of the nodes whose settings it changed."""
        query = select(_NODE.id, _AT.config_before).join(schema.node, _NODE.key == _AT.node)
        with reading(self._engine) as connection:
            rows = connection.execute(query.where(_AT.rollout == rollout, _AT.config_before.is_not(None)))
            return {row[0]: {int(key): value for key, value in row[1].items()} for row in rows}

    def unfinished(self, rollout: int = 0) -> dict[str, tuple[int, ...]]:
        """{node: the open rollouts that have not done with it, ascending}; one of them left out."""
        query = select(_NODE.id, _AT.rollout).join(schema.node, _NODE.key == _AT.node)
        query = query.join(schema.rollout, _ROLLOUT.id == _AT.rollout)
        query = query.where(_ROLLOUT.phase.in_(_OPEN), _AT.stage.not_in(_ENDED), _AT.rollout != rollout)
        found: dict[str, tuple[int, ...]] = {}
        with reading(self._engine) as connection:
            for node, other in connection.execute(query.order_by(_AT.rollout)):
                found[node] = (*found.get(node, ()), other)
        return found

    def quarantined(self, now_s: int) -> dict[str, int]:
        """{node: until when no rollout orders it}."""
        query = select(_NODE.id, _QUARANTINE.until_s).join(schema.node, _NODE.key == _QUARANTINE.node)
        with reading(self._engine) as connection:
            return {row[0]: row[1] for row in connection.execute(query.where(_QUARANTINE.until_s > now_s))}

    def epoch(self) -> Epoch | None:
        """The newest; None when nothing was ever halted."""
        query = select(_EPOCH.number, _EPOCH.issued_s, _EPOCH.halted, _EPOCH.envelope)
        with reading(self._engine) as connection:
            row = connection.execute(query.order_by(_EPOCH.number.desc()).limit(1)).first()
        return (
            None if row is None else Epoch(row[0], row[1], {int(key): until for key, until in row[2].items()}, row[3])
        )

    def set_epoch(self, epoch: Epoch) -> None:
        """Make it the newest, without a step; ConflictError when there is one with its number."""
        with writing(self._engine) as connection:
            _set_epoch(connection, epoch)

    def add_evidence(self, rollout: int, wave: int, packet: Mapping[str, Any], at_s: int = 0) -> int:
        """Keep what is behind a verdict; its key."""
        values = {"rollout": rollout, "wave": wave, "at_s": at_s, "packet": dict(packet)}
        with writing(self._engine) as connection:
            return _made(connection.execute(insert(schema.evidence).values(**values)))

    def evidence(self, key: int) -> dict[str, Any]:
        """The packet of a key; NotFoundError."""
        with reading(self._engine) as connection:
            found = connection.scalar(select(_EVIDENCE.packet).where(_EVIDENCE.key == key))
        if found is None:
            raise NotFoundError(f"no evidence {key}", hint="`fleet rollout status` names that of a rollout")
        return dict(found)

    def evidence_of(self, rollout: int) -> list[tuple[int, int, int]]:
        """(key, wave, when) of every packet of a rollout, oldest first."""
        query = select(_EVIDENCE.key, _EVIDENCE.wave, _EVIDENCE.at_s).where(_EVIDENCE.rollout == rollout)
        with reading(self._engine) as connection:
            return [(row[0], row[1], row[2]) for row in connection.execute(query.order_by(_EVIDENCE.key))]


def _find(connection: Connection, name: "int | str") -> Row[Any]:
    query = select(schema.rollout).order_by(_ROLLOUT.id.desc()).limit(1)
    is_number = isinstance(name, int) or (name.isdecimal() and len(name) < _DIGITS)
    row = connection.execute(query.where(_ROLLOUT.id == int(name) if is_number else _ROLLOUT.name == name)).first()
    if row is None:
        raise NotFoundError(f"no rollout {name}", hint="`fleet rollout list` shows all")
    return row


def _view(row: Row[Any]) -> RolloutView:
    found = row._mapping
    values = {name: found[name] for name in _HEAD_NAMES}
    values |= {"phase": Phase(values["phase"]), "verdict": Verdict(values["verdict"])}
    head = Rollout(**{**values, "approvals": tuple(values["approvals"])})
    about = found["name"], found["created_s"], found["created_by"], found["hash"]
    return RolloutView(head, wire.decode(Plan, found["plan"]), *about)


def _execution(row: Sequence[Any]) -> Execution:
    """By position: a state of 100 000 nodes is made of these."""
    values = row[0], _STAGES[row[1]], *row[2:_RECENT], tuple(row[_RECENT]), *row[_RECENT + 1 :]
    return Execution(*values)


def _add(connection: Connection, new: New) -> int:
    name = new.plan.name
    if name.isdecimal() or connection.scalar(select(_ROLLOUT.id).where(_ROLLOUT.name == name)) is not None:
        raise NotAllowedError(f"a rollout cannot be called {name!r}", hint="give it a name that no other has or had")
    skipped = cbor2.dumps([[one.node, one.reason, one.code] for one in new.skipped], canonical=True)
    about = {"name": name, "created_s": new.now_s, "created_by": new.created_by, "hash": new.hash}
    values = {**_columns(Rollout(0), _HEAD_NAMES), **about, "plan": wire.encode(new.plan), "skipped": skipped}
    del values["id"]
    made = _made(connection.execute(insert(schema.rollout).values(**values)))
    members = {member.node: member for member in new.members}
    state = create(made, new.plan, members)
    _join(connection, _by_name(connection, members), state, members.values())
    audit.append(connection, Act(new.now_s, new.created_by, "plan", f"rollout {made}", f"{name}, {new.hash or 'undo'}"))
    return made


def _made(result: CursorResult[Any]) -> int:
    """The key of the row that was inserted."""
    key = result.inserted_primary_key
    assert key is not None
    return int(key[0])


def _join(connection: Connection, keys: Mapping[str, int], state: State, members: Iterable[Member]) -> None:
    at = {"rollout": state.rollout.id}
    rows = [
        {**at, "node": keys[one.node], "member": wire.encode(one), **_kept(state.executions[one.node])}
        for one in members
    ]
    if rows:
        connection.execute(insert(schema.rollout_node), rows)


def _kept(one: Execution) -> dict[str, Any]:
    return _columns(one, _EXECUTION_NAMES)


def _columns(one: "Rollout | Execution", names: Sequence[str]) -> dict[str, Any]:
    """As the database keeps it."""
    values = {name: getattr(one, name) for name in names}
    for name in ("phase", "verdict", "stage"):
        if name in values:
            values[name] = values[name].value
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def _advance(connection: Connection, head: Rollout) -> None:
    at = and_(_ROLLOUT.id == head.id, _ROLLOUT.version == head.version - 1)
    values = _columns(head, _HEAD_NAMES)
    del values["id"]
    if connection.execute(update(schema.rollout).where(at).values(**values)).rowcount != 1:
        raise ConflictError(f"somebody else has just changed rollout {head.id}", hint="look at it, then try again")


def _by_name(connection: Connection, nodes: Iterable[str]) -> dict[str, int]:
    return {node: key for key, node in keys_of(connection, dict.fromkeys(nodes)).items()}


def _keys(connection: Connection, outcome: Outcome) -> dict[str, int]:
    """{id: key} of all nodes that it is about."""
    several = (outcome.changed, outcome.orders, outcome.configs, outcome.joined, outcome.quarantine)
    return _by_name(connection, [one.node for group in several for one in group])


def _write(connection: Connection, outcome: Outcome, keys: Mapping[str, int]) -> None:
    joined = {one.node: Execution(one.node) for one in outcome.joined}
    _join(connection, keys, State(outcome.head, joined), outcome.joined)
    if outcome.changed:
        _change(connection, outcome.head.id, keys, outcome.changed)
    for one in outcome.quarantine:
        key = keys[one.node]
        connection.execute(delete(schema.node_quarantine).where(_QUARANTINE.node == key))
        values = {"node": key, "until_s": one.until_s, "rollout": outcome.head.id, "why": one.why}
        connection.execute(insert(schema.node_quarantine).values(**values))


def _change(connection: Connection, rollout: int, keys: Mapping[str, int], changed: Iterable[Execution]) -> None:
    """New values of executions, without a dictionary for each: a halt changes all of a fleet, and nodes wait for it."""
    at = _AT.rollout == bindparam("at_rollout"), _AT.node == bindparam("at_node")
    change = update(schema.rollout_node).where(*at).values({name: bindparam(f"to_{name}") for name in _EXECUTION_NAMES})
    values = attrgetter(*_EXECUTION_NAMES)
    names = [f"to_{name}" for name in _EXECUTION_NAMES]
    rows = []
    for one in changed:
        row = dict(zip(names, values(one), strict=True), at_rollout=rollout, at_node=keys[one.node])
        row["to_stage"], row["to_recent"] = one.stage.value, json.dumps(one.recent)
        rows.append(row)
    many(connection, change, rows)


def _remember(
    connection: Connection, rollout: int, keys: Mapping[str, int], replaced: Mapping[str, Mapping[int, Any]]
) -> None:
    """What settings were before this rollout: the first time only, whatever it tried since."""
    for node, values in replaced.items():
        at = and_(_AT.rollout == rollout, _AT.node == keys[node], _AT.config_before.is_(None))
        kept = {str(setting): value for setting, value in sorted(values.items())}
        connection.execute(update(schema.rollout_node).where(at).values(config_before=kept))


def _set_epoch(connection: Connection, epoch: Epoch) -> None:
    if (connection.scalar(select(func.max(_EPOCH.number))) or 0) >= epoch.number:
        raise ConflictError("somebody else has just halted something", hint="try again")
    halted = {str(group): until for group, until in sorted(epoch.halted.items())}
    values = {"number": epoch.number, "issued_s": epoch.issued_s, "halted": halted, "envelope": epoch.envelope}
    connection.execute(insert(schema.epoch).values(**values))
