"""The configuration that each node shall have. Delivering it is `fleet.deliver`'s task."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Row, bindparam, insert, or_, select, update

from fleet.errors import ConflictError
from fleet.model import DesiredConfig, Standing
from fleet.store import schema
from fleet.store.dialect import reading, writing
from fleet.store.nodes import NAMED, key_of, keys_of

_CONFIG = schema.node_config.c
_NODE = schema.node.c
_STATE = schema.node_state.c
_REV_MAX = 1 << 31  # room for as many more, whatever a node says


@dataclass(frozen=True, slots=True)
class Undelivered:
    """A configuration that its node has not confirmed to hold."""

    config: DesiredConfig
    sent_rev: int  # the newest revision that the broker took, 0 = none
    sent_ms: int
    online: bool
    said_ms: int  # when the node said so; 0 = it never said anything


class Configs:
    """Queries about desired configurations."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def get(self, node: str) -> DesiredConfig | None:
        """What the node shall have, or None while nobody wanted anything but the defaults."""
        with reading(self._engine) as connection:
            key = key_of(connection, node)
            row = connection.execute(
                select(schema.node_config, _NODE.id)
                .join(schema.node, _NODE.key == _CONFIG.node)
                .where(_NODE.key == key)
            ).one_or_none()
        return None if row is None else _config(row)

    def set(
        self, node: str, values: Mapping[int, Any], issued_s: int, probation_s: int = 600, after: int | None = None
    ) -> DesiredConfig:
        """Make `values` the whole desired configuration, as the next revision. The caller has checked the values.

        ConflictError when `after` is given and is not the revision that they shall follow.
        """
        with writing(self._engine) as connection:
            key = key_of(connection, node)
            before = connection.scalar(select(_CONFIG.rev).where(_CONFIG.node == key))
            if after is not None and after != (before or 0):
                raise ConflictError(
                    f"somebody else has just changed the configuration of {node}", hint="look at it, then try again"
                )
            rev = max(before or 0, _claimed(connection, key)) + 1
            columns = {
                "rev": rev,
                "values": {str(setting): value for setting, value in sorted(values.items())},
                "issued_s": issued_s,
                "probation_s": probation_s,
            }
            if before is None:
                connection.execute(insert(schema.node_config).values(node=key, sent_rev=0, sent_ms=0, **columns))
            else:
                connection.execute(update(schema.node_config).where(_CONFIG.node == key).values(**columns))
        return DesiredConfig(node, rev, dict(values), issued_s, probation_s)

    def undelivered(self) -> list[Undelivered]:
        """Every configuration whose newest revision the broker or the node has not got yet."""
        joined = schema.node_config.join(schema.node, _NODE.key == _CONFIG.node)
        joined = joined.outerjoin(schema.node_state, _STATE.node == _CONFIG.node)
        behind = or_(_CONFIG.sent_rev < _CONFIG.rev, _STATE.config_desired < _CONFIG.rev)
        query = select(schema.node_config, _NODE.id, _STATE.online, _STATE.received_ms).select_from(joined)
        with reading(self._engine) as connection:
            rows = connection.execute(query.where(_NODE.standing == Standing.ACCEPTED.value, behind)).all()
        return [
            Undelivered(_config(row), row.sent_rev, row.sent_ms, bool(row.online), row.received_ms or 0) for row in rows
        ]

    def next(self, nodes: Sequence[str]) -> dict[str, DesiredConfig]:
        """{node: what it shall have, under the revision that the next change has to take}."""
        with reading(self._engine) as connection:
            keys = keys_of(connection, nodes)
            wanted, claimed = select(schema.node_config), select(_STATE.node, _STATE.config_desired)
            if len(keys) <= NAMED:
                wanted, claimed = wanted.where(_CONFIG.node.in_(keys)), claimed.where(_STATE.node.in_(keys))
            said = {row[0]: min(row[1], _REV_MAX) for row in connection.execute(claimed)}
            found = {row.node: row for row in connection.execute(wanted)}
        made = {}
        for key, node in keys.items():
            row = found.get(key)
            rev = max(row.rev if row else 0, said.get(key, 0)) + 1
            made[node] = DesiredConfig(node, rev, _values(row) if row else {}, 0)
        return made

    def sent(self, configs: Iterable[tuple[str, int, int]]) -> None:
        """The broker took these: (node, revision, when in ms)."""
        at = _CONFIG.node == select(_NODE.key).where(_NODE.id == bindparam("of")).scalar_subquery()
        change = update(schema.node_config).where(at)
        change = change.values(sent_rev=bindparam("taken"), sent_ms=bindparam("at_ms"))
        rows = [{"of": node, "taken": rev, "at_ms": at_ms} for node, rev, at_ms in configs]
        if rows:
            with writing(self._engine) as connection:
                connection.execute(change, rows)


def write(
    connection: Connection, keys: Mapping[str, int], wanted: Sequence[DesiredConfig]
) -> dict[str, Mapping[int, Any]]:
    """Make each the configuration of its node, within a transaction; {node: the values that it takes the place of}.

    `keys` has the keys of these nodes. ConflictError when one has a revision that is not above the one before.
    """
    replaced: dict[str, Mapping[int, Any]] = {}
    for one in wanted:
        at = _CONFIG.node == keys[one.node]
        row = connection.execute(select(schema.node_config).where(at)).one_or_none()
        if row is not None and row.rev >= one.rev:
            raise ConflictError(
                f"somebody else has just changed the configuration of {one.node}", hint="look at it, then try again"
            )
        replaced[one.node] = _values(row) if row else {}
        values = {str(setting): value for setting, value in sorted(one.values.items())}
        columns = {"rev": one.rev, "values": values, "issued_s": one.issued_s, "probation_s": one.probation_s}
        if row is None:
            connection.execute(insert(schema.node_config).values(node=keys[one.node], sent_rev=0, sent_ms=0, **columns))
        else:
            connection.execute(update(schema.node_config).where(at).values(**columns))
    return replaced


def _claimed(connection: Connection, key: int) -> int:
    """The revision that a node says it was given: a restored backup may know earlier ones only, which it ignores."""
    said = connection.scalar(select(_STATE.config_desired).where(_STATE.node == key))
    return min(said or 0, _REV_MAX)


def _config(row: Row[Any]) -> DesiredConfig:
    return DesiredConfig(row.id, row.rev, _values(row), row.issued_s, row.probation_s)


def _values(row: Row[Any]) -> dict[int, Any]:
    return {int(setting): value for setting, value in row._mapping["values"].items()}
